"""Moves a gallery to another model pack: every reference is embedded anew from the photo that was kept of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from detector import Detector, PictureRejected
from detector.enrolment import fingerprint_of_face
from detector.template import reference_embedding
from detector.verdict import Box
from records.errors import UnknownReference
from records.gallery import GalleryRecords
from records.pack_move import PackEmbedding
from records.references import ReferenceDetail

LEAST_OVERLAP = 0.3
"""Intersection over union of the boxes that two packs draw around one face."""


@dataclass(frozen=True, slots=True)
class Reembedded:
    """What became of one reference: embedded, or why not."""

    reference_id: str
    identity_name: str
    refused: str | None = None


def reembed(records: GalleryRecords, detector: Detector, *, everything: bool) -> Iterator[Reembedded]:
    """Embeds the references that lack the detector's pack, or all of them; one change for each identity.

    A reference in whose photo this pack does not find the face stays as it was. A fingerprint that there is stays, too,
    unless `everything` is asked for: the pack in force, whose landmarks it was taken by, is compared with it.
    """
    for identity_id, reference_ids in list(_by_identity(records, detector.engine.pack, everything)):
        detail = records.show(identity_id)
        references = [one for one in detail.references if one.id in reference_ids]
        made: dict[str, PackEmbedding] = {}
        for reference, outcome in zip(
            references, detector.map(lambda one: _embed(records, detector, one, everything), references), strict=True
        ):
            if isinstance(outcome, str):
                yield Reembedded(reference.id, detail.name, outcome)
            else:
                made[reference.id] = outcome
        if made:
            records.add_embeddings(identity_id, made)
        yield from (Reembedded(reference_id, detail.name) for reference_id in made)


def _by_identity(records: GalleryRecords, pack: str, everything: bool) -> Iterator[tuple[str, set[str]]]:
    if everything:
        for identity in records.list_identities():
            yield identity.id, {one.id for one in records.show(identity.id).references if one.face_box is not None}
        return
    for identity_id, group in groupby(records.references_without(pack), key=lambda one: one[0]):
        yield identity_id, {reference_id for _, reference_id in group}


def _embed(
    records: GalleryRecords, detector: Detector, reference: ReferenceDetail, everything: bool
) -> PackEmbedding | str:
    try:
        probes = detector.probe(records.reference_photo(reference.id))
    except (PictureRejected, UnknownReference) as error:
        return str(error)
    assert reference.face_box is not None, "there is no photo of a reference that is a hash alone"
    scale = probes.picture.width / reference.width
    wanted: Box = tuple(scale * value for value in reference.face_box)  # type: ignore[assignment]
    overlaps = [_overlap(face.box, wanted) for face in probes.faces]
    if not overlaps or max(overlaps) < LEAST_OVERLAP:
        return "this pack does not find the face in the photo that was kept"
    number = overlaps.index(max(overlaps))
    embedding = reference_embedding(detector.engine, probes.crops[number])
    kept = reference.fingerprinted and not everything
    return detector.engine.pack, embedding, None if kept else fingerprint_of_face(probes, number)


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / (one[2] * one[3] + other[2] * other[3] - across * down)
