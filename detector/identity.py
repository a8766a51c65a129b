"""The gallery's entries as the detector searches them: protected identities and their references."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.verdict import IdentityKind

Embedding = NDArray[np.float32]
"""Unit vector of a face, float32, (D,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """One photo of an identity: its embeddings by model pack, each a unit vector, float32, (D,)."""

    id: str
    embeddings: dict[str, Embedding]


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """A protected person as of one gallery change.

    `sequence` numbers the gallery's changes; of two states of one identity the higher sequence is the newer.
    """

    id: str
    name: str
    kind: IdentityKind
    sequence: int
    own_accounts: frozenset[str]
    references: tuple[Reference, ...]
