"""What a gallery is asked, wherever it is kept: in this process's memory (detector/index.py) or in a vector database.

Matching, enrolment and the check for conflicts know this only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.identity import Identity
from detector.verdict import NameClaim, SamePhoto


class GalleryOfAnotherPack(Exception):
    """The gallery holds references that cannot be searched with this model pack: they would be unprotected."""

    def __init__(self, missing: int, pack: str) -> None:
        super().__init__(
            f"{missing} references of the gallery have no embedding of model pack {pack} and would be unprotected: run "
            "`likeness gallery reembed`, or the pack they were made with (models.pack)."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """The nearest reference of one identity to a probe. `similarity`: cosine, -1..1, of it or of their template.

    The identities that a gallery answers with have no embeddings, only what is told of them and fingerprints.
    """

    identity: Identity
    reference_id: str
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What is asked about one avatar. embeddings: (F, D) float32 unit vectors of its faces; pictures: (8, 4) uint64,
    its fingerprint under detector/fingerprint.py's TRANSFORMS, or (0, 4) for a picture too flat to have one."""

    embeddings: NDArray[np.float32]
    pictures: NDArray[np.uint64]
    display_name: str | None = None
    handle: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PictureFound:
    """A reference whose photo is the avatar's picture."""

    identity: Identity
    reference_id: str
    photo: SamePhoto


@dataclass(frozen=True, slots=True, eq=False)
class ClaimFound:
    """An identity whose name the profile claims; `face`: number of the avatar's face most like it; `comparisons`: how
    many were made for the names that the profile claims."""

    claim: NameClaim
    face: int
    match: Match
    comparisons: int


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the gallery holds about one avatar; `faces`: the matches of each face, most similar first."""

    faces: list[list[Match]]
    pictures: list[PictureFound] = field(default_factory=list)
    claims: list[ClaimFound] = field(default_factory=list)


class SearchableGallery(Protocol):
    """All active references of one model pack. Its methods are called from several threads at once."""

    @property
    def pack(self) -> str: ...

    @property
    def dimension(self) -> int:
        """Length D of an embedding."""
        ...

    @property
    def version(self) -> int:
        """The highest sequence number among the changes that are searched."""
        ...

    @property
    def comparisons(self) -> int:
        """With how many embeddings a face is compared: references, and the template of who has several."""
        ...

    @property
    def references(self) -> int:
        """References that are searched, by face or by picture alone."""
        ...

    @property
    def identities(self) -> int: ...

    @property
    def without_embedding(self) -> int:
        """References that cannot be searched: of their faces there is no embedding of this pack."""
        ...

    def require_searchable(self) -> None:
        """Raises GalleryOfAnotherPack when `without_embedding` is not 0."""
        ...

    def embeddings(self, identity_id: str) -> list[NDArray[np.float32]]:
        """The embeddings of the identity's references, (D,) float32 each; none for an unknown identity."""
        ...

    def search(self, probes: NDArray[np.float32], threshold: float) -> tuple[list[list[Match]], int]:
        """For each probe of (P, D) float32 unit vectors: per identity at or above `threshold` its nearest reference,
        most similar first; and the gallery version searched."""
        ...

    def look_up(self, queries: Sequence[Query], lowest: Callable[[int], float]) -> tuple[list[Found], int, int]:
        """What the gallery holds about each query, the gallery version searched, and the number of comparisons.

        `lowest`: the cosine worth finding, given the number of comparisons.
        """
        ...
