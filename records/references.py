"""What goes into and comes out of the gallery's records: reference photos, summaries and details of identities."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from detector.identity import Embedding, Fingerprint
from detector.verdict import Box, IdentityKind
from records.fingerprints import fingerprint_bytes

IdentityStatus = Literal["pending", "active", "suspended", "withdrawn", "expired"]


def check_unit_vector(pack: str, vector: Embedding) -> None:
    """Raises ValueError unless `vector` is a unit vector, float32, (D,)."""
    length = float(np.linalg.norm(vector))
    if vector.ndim != 1 or vector.dtype != np.float32 or not abs(length - 1) < 1e-3:
        raise ValueError(
            f"The embedding of {pack} is no unit vector: {vector.dtype} {vector.shape}, length {length:.3f}."
        )


def checked_reach(reach: int) -> int:
    """The reach, 1 (known to few) to 5 (worldwide). Raises ValueError for any other."""
    if type(reach) is not int or not 1 <= reach <= 5:
        raise ValueError(f"The reach of an identity is a whole number from 1 to 5, not {reach!r}.")
    return reach


@dataclass(frozen=True, slots=True)
class Person:
    """Who is enrolled. `provenance`: where the photos come from and by what right they are used; `reach`: how widely
    the face is known, 1 to 5; None leaves a known identity's as it is."""

    name: str
    kind: IdentityKind
    provenance: str
    own_accounts: tuple[str, ...] = ()
    reach: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ReferencePhoto:
    """A photo to enrol. `photo_sha256`: hex digest of the original file; `photo_jpeg`: the copy kept for moderators;
    `width`, `height` and `face_box`: pixels of the upright original; `quality`: 0..1;
    `embeddings`: by model pack, each a unit vector, float32, (D,); `fingerprint`: to know the photo again.

    Raises ValueError without an embedding, for one that is no such vector, and for a fingerprint that is none.
    """

    provenance: str
    photo_sha256: str
    photo_jpeg: bytes
    width: int
    height: int
    face_box: Box
    quality: float
    embeddings: Mapping[str, Embedding]
    fingerprint: Fingerprint | None = None

    def __post_init__(self) -> None:
        if not self.embeddings:
            raise ValueError("A reference photo needs an embedding.")
        for pack, vector in self.embeddings.items():
            check_unit_vector(pack, vector)
        if self.fingerprint is not None:
            fingerprint_bytes(self.fingerprint)


LEAST_PDQ_QUALITY = 50
"""A hash of lower quality protects nobody: it is never compared, see detector/fingerprint.py."""


@dataclass(frozen=True, slots=True)
class PictureHash:
    """The PDQ of a photo that the browser made: 32 bytes, its quality, and the photo's size in pixels. quality:
    LEAST_PDQ_QUALITY..100."""

    pdq: bytes
    quality: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class IdentitySummary:
    """A line of the gallery's list. `references`, `own_accounts` and `negative_pairs` are counts; `reach`: 1..5;
    `quarantined_at` and `quarantine_reason` are None out of quarantine."""

    id: str
    name: str
    kind: IdentityKind
    status: IdentityStatus
    references: int
    own_accounts: int
    packs: tuple[str, ...]
    negative_pairs: int
    reach: int
    quarantined_at: datetime | None
    quarantine_reason: str | None


@dataclass(frozen=True, slots=True)
class ReferenceDetail:
    """One enrolled photo, without its biometrics. Sizes and box in pixels; `suspended_at`: since when nothing is
    compared with it. Of a photo that stayed with the person, of which there is a fingerprint alone, `face_box` is None
    and `quality` is 0."""

    id: str
    provenance: str
    photo_sha256: str
    width: int
    height: int
    face_box: Box | None
    quality: float
    packs: tuple[str, ...]
    added_at: datetime
    fingerprinted: bool
    suspended_at: datetime | None


@dataclass(frozen=True, slots=True)
class IdentityDetail:
    """All that is kept of an identity, but for photos, biometrics and decisions. `sequence`: that of its newest
    change; the rest as in IdentitySummary."""

    id: str
    name: str
    kind: IdentityKind
    status: IdentityStatus
    sequence: int
    created_at: datetime
    updated_at: datetime
    own_accounts: tuple[str, ...]
    references: tuple[ReferenceDetail, ...]
    negative_pairs: int
    reach: int
    quarantined_at: datetime | None
    quarantine_reason: str | None
