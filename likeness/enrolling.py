"""From photos to references: judge each photo, keep the good ones, one change per identity."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from config import Settings
from detector.enrolment import Candidate, Compared, EnrolmentLimits, EnrolmentRefused, compare, judge_photo
from detector.identity import DEFAULT_REACH, Identity, Reference
from likeness.errors import BadInput
from likeness.folders import read_picture
from likeness.operator_name import operator
from likeness.workbench import Workbench
from records.gallery import GalleryRecords
from records.references import Person, ReferencePhoto


@dataclass(slots=True)
class Enrolled:
    """What became of one identity's photos. `unlike`: accepted ones, and the highest cosine to their own others, where
    that is below the threshold."""

    identity_id: str | None = None
    accepted: list[Path] = field(default_factory=list)
    known: list[Path] = field(default_factory=list)
    refused: list[tuple[Path, EnrolmentRefused]] = field(default_factory=list)
    unlike: list[tuple[Path, float]] = field(default_factory=list)


class Enroller:
    """Enrols people into the gallery of a workbench, whose index follows."""

    def __init__(self, bench: Workbench, settings: Settings) -> None:
        self._bench = bench
        self._max_bytes = settings.pictures.max_bytes
        self._limits = enrolment_limits(settings)

    def enrol(
        self, person: Person, photos: Sequence[Path], *, face: int | None = None, force: bool = False, all_or_none: bool
    ) -> Enrolled:
        """Add what is good of `photos` to the identity of that name, new or known; `force` allows photos that lie
        nearer to another identity. With `all_or_none` one refusal leaves the gallery as it was."""
        records, detector = self._bench.records, self._bench.detector
        known = records.find_identity(person.name)
        if known is not None and known.kind != person.kind:
            raise BadInput(f"{person.name} is in the gallery as a {known.kind}, not as a {person.kind}.")
        there = {reference.photo_sha256 for reference in records.show(known.id).references} if known else set()

        result = Enrolled(known.id if known else None)
        candidates: list[tuple[Path, Candidate]] = []
        judged = detector.map(lambda photo: self._judge(photo, face), photos)
        for photo, outcome in zip(photos, judged, strict=True):
            if isinstance(outcome, EnrolmentRefused):
                result.refused.append((photo, outcome))
            elif outcome.sha256 in there:
                result.known.append(photo)
            else:
                there.add(outcome.sha256)
                candidates.append((photo, outcome))
        faces = [candidate for _, candidate in candidates]
        compared = compare(faces, result.identity_id, detector.index, detector.thresholds.review)
        good: list[Candidate] = []
        for (photo, candidate), found in zip(candidates, compared, strict=True):
            if found.nearer is not None and not force:
                result.refused.append((photo, _stranger(found)))
                continue
            result.accepted.append(photo)
            if found.unlike and found.likest is not None:
                result.unlike.append((photo, found.likest))
            good.append(candidate)
        if all_or_none and result.refused:
            result.accepted = []
        if result.accepted:
            result.identity_id = store(records, person, result.identity_id, good, detector.engine.pack, operator())
            self._follow(person, result.identity_id, good)
        if known and not (all_or_none and result.refused):
            for account in person.own_accounts:
                records.add_own_account(known.id, account, by=operator())
            if person.reach is not None:
                records.set_reach(known.id, person.reach, by=operator())
        return result

    def _judge(self, photo: Path, face: int | None) -> Candidate | EnrolmentRefused:
        try:
            return judge_photo(self._bench.detector, read_picture(photo, self._max_bytes), self._limits, face)
        except EnrolmentRefused as refused:
            return refused

    def _follow(self, person: Person, identity_id: str, good: Sequence[Candidate]) -> None:
        """Brings what was stored into the index."""
        index = self._bench.detector.index
        embeddings = [*index.embeddings(identity_id), *(candidate.embedding for candidate in good)]
        references = tuple(Reference(f"{number}", {index.pack: vector}) for number, vector in enumerate(embeddings))
        sequence = self._bench.records.latest_sequence()
        for one in self._bench.detector.indexes:
            one.apply(Identity(identity_id, person.name, person.kind, sequence, frozenset(), references))


def enrolment_limits(settings: Settings) -> EnrolmentLimits:
    return EnrolmentLimits(**settings.enrolment.model_dump())


def store(
    records: GalleryRecords, person: Person, identity_id: str | None, good: Sequence[Candidate], pack: str, by: str
) -> str:
    """Puts the candidates, embedded by `pack`, into the gallery as one change: as references of a known identity, or
    with a new one, whose id it gives. `by`: an actor of the audit log. Raises DuplicateReference, UnknownIdentity,
    UnfitId."""
    photos = [reference_photo(one, person.provenance, pack) for one in good]
    if identity_id is not None:
        records.add_references(identity_id, photos, by=by)
        return identity_id
    reach = DEFAULT_REACH if person.reach is None else person.reach
    return records.add_identity(person.name, person.kind, person.own_accounts, references=photos, reach=reach, by=by)


def reference_photo(good: Candidate, provenance: str, pack: str) -> ReferencePhoto:
    """The reference that the candidate, embedded by `pack`, becomes."""
    return ReferencePhoto(
        provenance=provenance,
        photo_sha256=good.sha256,
        photo_jpeg=good.jpeg,
        width=good.width,
        height=good.height,
        face_box=good.face.box,
        quality=good.face.quality,
        embeddings={pack: good.embedding},
        fingerprint=good.fingerprint,
    )


def _stranger(found: Compared) -> EnrolmentRefused:
    assert found.nearer is not None
    other = found.nearer.identity
    return EnrolmentRefused(
        "nearer_to_another",
        f"The face is more like {other.name} ({other.id}) than like its own photos; "
        "if that is right all the same, use --force.",
    )


def report(result: Enrolled, say: Callable[[str], None]) -> None:
    """One line per refused photo, which and why, and per accepted photo that is unlike the identity's others."""
    for photo, refusal in result.refused:
        say(f"refused {photo}: {refusal.reason}: {refusal.detail}")
    for photo, similarity in result.unlike if result.accepted else ():
        say(f"look at {photo}: its similarity to the identity's other photos is only {similarity:.2f}; same person?")
