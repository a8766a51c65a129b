"""What the gallery's answer about one avatar amounts to: faces that are alike, photos that are the same, names
claimed."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from detector.judgement import ClaimMatch, Evidence, FaceMatch, PhotoMatch
from detector.picture import Picture
from detector.policy import Policy, Thresholds
from detector.same_photo import same_photo
from detector.searchable import Found, Match
from detector.verdict import Face

MOST_PHOTOS = 16
"""References that one avatar's faces are compared with pixel by pixel; more only in a crowd of protected people."""


def gather(
    picture: Picture | None,
    faces: Sequence[Face],
    hashes: NDArray[np.uint64],
    found: Found,
    policy: Policy,
    thresholds: Thresholds,
) -> Evidence:
    """The evidence about one avatar. picture: None where its pixels are gone, so that a reference photo that its faces
    were cut from is not known as such; hashes: (8, 4) uint64 of detector/fingerprint.py, or (0, 4)."""
    alike = [
        FaceMatch(face, match, matches)
        for face, matches in zip(faces, found.faces, strict=True)
        for match in matches
        if match.similarity >= thresholds.review
    ]
    claims = [
        ClaimMatch(one.claim, FaceMatch(faces[one.face], one.match, found.faces[one.face]), agrees_from)
        for one in found.claims
        if one.match.similarity >= (agrees_from := policy.name_claim(thresholds, one.comparisons))
    ]
    photos = [PhotoMatch(one.identity, one.reference_id, one.photo) for one in found.pictures]
    known = {one.identity.id for one in photos}
    compared = {(id(one.face), one.match.identity.id): one for one in (*alike, *(claim.face for claim in claims))}
    unknown = [one for one in compared.values() if one.match.identity.id not in known]
    if picture is not None:
        photos += _same_by_face(picture, hashes, unknown, thresholds.near)
    return Evidence(alike, photos, claims)


def _same_by_face(
    picture: Picture, hashes: NDArray[np.uint64], alike: Sequence[FaceMatch], near_from: float
) -> Iterator[PhotoMatch]:
    """Reference photos that the avatar's faces were cut from: the nearest reference of each is looked at first."""
    pairs = [
        (reference.id != one.match.reference_id, -one.match.similarity, number, one, reference)
        for number, one in enumerate(alike)
        for reference in one.match.identity.references
        if reference.fingerprint is not None
    ]
    for further, _, _, one, reference in sorted(pairs, key=lambda pair: pair[:3])[:MOST_PHOTOS]:
        assert reference.fingerprint is not None
        near = not further and one.match.similarity >= near_from
        if photo := same_photo(reference.fingerprint, picture, hashes, one.face, near=near):
            match = Match(one.match.identity, reference.id, one.match.similarity)
            yield PhotoMatch(match.identity, reference.id, photo, FaceMatch(one.face, match, one.others))
