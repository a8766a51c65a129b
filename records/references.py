"""What goes into and comes out of the gallery's records: reference photos, summaries and details of identities."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from detector.identity import Embedding
from detector.verdict import Box, IdentityKind

IdentityStatus = Literal["pending", "active", "suspended", "withdrawn", "expired"]


@dataclass(frozen=True, slots=True, eq=False)
class ReferencePhoto:
    """A photo to enrol. `photo_sha256`: hex digest of the original file; `photo_jpeg`: the copy kept for moderators;
    `width`, `height` and `face_box`: pixels of the upright original; `quality`: 0..1;
    `embeddings`: by model pack, each a unit vector, float32, (D,).

    Raises ValueError without an embedding, or for one that is no such vector.
    """

    provenance: str
    photo_sha256: str
    photo_jpeg: bytes
    width: int
    height: int
    face_box: Box
    quality: float
    embeddings: Mapping[str, Embedding]

    def __post_init__(self) -> None:
        if not self.embeddings:
            raise ValueError("A reference photo needs an embedding.")
        for pack, vector in self.embeddings.items():
            length = float(np.linalg.norm(vector))
            if vector.ndim != 1 or vector.dtype != np.float32 or not abs(length - 1) < 1e-3:
                raise ValueError(
                    f"The embedding of {pack} is no unit vector: {vector.dtype} {vector.shape}, length {length:.3f}."
                )


@dataclass(frozen=True, slots=True)
class IdentitySummary:
    """A line of the gallery's list. `references` and `own_accounts` are counts."""

    id: str
    name: str
    kind: IdentityKind
    status: IdentityStatus
    references: int
    own_accounts: int
    packs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReferenceDetail:
    """One enrolled photo, without its biometrics. Sizes and box in pixels."""

    id: str
    provenance: str
    photo_sha256: str
    width: int
    height: int
    face_box: Box
    quality: float
    packs: tuple[str, ...]
    added_at: datetime


@dataclass(frozen=True, slots=True)
class IdentityDetail:
    """All that is kept of an identity, but for photos and biometrics. `sequence`: that of its newest change."""

    id: str
    name: str
    kind: IdentityKind
    status: IdentityStatus
    sequence: int
    created_at: datetime
    updated_at: datetime
    own_accounts: tuple[str, ...]
    references: tuple[ReferenceDetail, ...]
