"""The gallery's entries as the detector searches them: protected identities and their references."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.verdict import Box, IdentityKind

Embedding = NDArray[np.float32]
"""Unit vector of a face, float32, (D,)."""

PICTURE_LIMIT = 31
"""Bits of 256 by which the PDQ of a picture shown again may differ, what PDQ's authors advise. Of 10.7 million pairs of
LFW pictures of different people, all eight turns tried, the nearest differ by 52 bits; of 5,911 pairs of pictures of
one person one is below 46, a true duplicate."""

DEFAULT_REACH = 3
"""How widely an identity's face is known, 1 (to few) to 5 (worldwide), where nobody has said."""


class Fingerprint(NamedTuple):
    """What is kept of a photo to know it again after edits; see detector/fingerprint.py.

    `picture` and `face`: PDQ of the whole photo and of its aligned face crop, 32 bytes each; `picture_quality`: PDQ's,
    0..100; `width`, `height` and `face_box`: pixels of the upright photo. Of a photo that stayed with the person its
    face is unknown: `face` and `face_box` are None.
    """

    picture: bytes
    picture_quality: int
    face: bytes | None
    width: int
    height: int
    face_box: Box | None


class Reference(NamedTuple):
    """One photo of an identity: its embeddings by model pack, each a unit vector, float32, (D,), and its fingerprint,
    which photos enrolled by older releases lack. A photo that stayed with the person has a fingerprint alone."""

    id: str
    embeddings: dict[str, Embedding]
    fingerprint: Fingerprint | None = None

    @property
    def hash_only(self) -> bool:
        """Whether the photo stayed with the person: the same picture is known again, the person is not."""
        return self.fingerprint is not None and self.fingerprint.face is None


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """A protected person as of one gallery change.

    `sequence` numbers the gallery's changes; of two states of one identity the higher sequence is the newer.
    `own_accounts` are the person's; `negative_accounts` are known to be other people's; `reach` is 1..5; what a
    `quarantined` identity matches waits apart from the queue.
    """

    id: str
    name: str
    kind: IdentityKind
    sequence: int
    own_accounts: frozenset[str]
    references: tuple[Reference, ...]
    negative_accounts: frozenset[str] = frozenset()
    reach: int = DEFAULT_REACH
    quarantined: bool = False
