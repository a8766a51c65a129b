"""How alike two faces are, and who of the gallery a report's photos are like: what a moderator is told before anybody
new is protected."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from detector.fingerprint import LEAST_QUALITY, hash_from
from detector.identity import Embedding, Identity
from detector.policy import Thresholds
from detector.searchable import Query, SearchableGallery

Level = Literal["below", "above", "sure"]
"""Of a similarity: below the line from which faces count as alike, above it, above what look-alikes may reach."""


@dataclass(frozen=True, slots=True)
class Resemblance:
    """All are cosines, -1..1: from `line` on faces count as alike, and look-alikes do not reach `sure`."""

    similarity: float
    line: float
    sure: float

    @property
    def level(self) -> Level:
        return "below" if self.similarity < self.line else "above" if self.similarity < self.sure else "sure"


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """What is compared of a photo. pdq: 32 bytes with its quality, 0..100; embedding: None of a photo that is known by
    its hash only."""

    pdq: bytes | None
    pdq_quality: int
    embedding: Embedding | None


@dataclass(frozen=True, slots=True, eq=False)
class Conflict:
    """Somebody of the gallery who is like one of the photos. resemblance: of the likest, None where no face is alike;
    same_picture: a photo is one of theirs."""

    identity: Identity
    resemblance: Resemblance | None
    same_picture: bool


def resemblance(one: Embedding, other: Embedding, thresholds: Thresholds) -> Resemblance:
    return Resemblance(float(one @ other), thresholds.review, thresholds.sure)


def conflicts(photos: Sequence[Photo], index: SearchableGallery, thresholds: Thresholds) -> list[Conflict]:
    """Those of the index who are like any of the photos, the likest first."""
    queries = [
        Query(
            np.stack([photo.embedding]) if photo.embedding is not None else np.empty((0, index.dimension), np.float32),
            np.stack([hash_from(photo.pdq)])
            if photo.pdq and photo.pdq_quality >= LEAST_QUALITY
            else np.empty((0, 4), np.uint64),
        )
        for photo in photos
    ]
    found, _, _ = index.look_up(queries, lambda comparisons: thresholds.review)
    people: dict[str, Identity] = {}
    likest: dict[str, float] = {}
    pictured: set[str] = set()
    for one in found:
        for match in (match for face in one.faces for match in face):
            people[match.identity.id] = match.identity
            likest[match.identity.id] = max(match.similarity, likest.get(match.identity.id, -1.0))
        for picture in one.pictures:
            people[picture.identity.id] = picture.identity
            pictured.add(picture.identity.id)
    ordered = sorted(people.values(), key=lambda identity: (-likest.get(identity.id, -1.0), identity.id))
    return [
        Conflict(
            identity,
            Resemblance(likest[identity.id], thresholds.review, thresholds.sure) if identity.id in likest else None,
            identity.id in pictured,
        )
        for identity in ordered
    ]
