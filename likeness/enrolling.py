"""From photos to references: judge each photo, keep the good ones, one change per identity."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from config import Settings
from detector.enrolment import Candidate, EnrolmentLimits, EnrolmentRefused, judge_photo, nearer_to_another
from detector.identity import DEFAULT_REACH, Embedding, Identity, Reference
from detector.verdict import IdentityKind
from likeness.errors import BadInput
from likeness.folders import read_picture
from likeness.workbench import Workbench
from records.references import ReferencePhoto


@dataclass(frozen=True, slots=True)
class Person:
    """Who is enrolled. `provenance`: where the photos come from and by what right they are used; `reach`: how widely
    the face is known, 1 to 5; None leaves a known identity's as it is."""

    name: str
    kind: IdentityKind
    provenance: str
    own_accounts: tuple[str, ...] = ()
    reach: int | None = None


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
        self._limits = EnrolmentLimits(**settings.enrolment.model_dump())

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
        own = detector.index.embeddings(known.id) if known else []

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
        good: list[Candidate] = []
        for photo, candidate in candidates:
            others = [*own, *(other.embedding for _, other in candidates if other is not candidate)]
            refusal = None if force else self._stranger(candidate, others, result.identity_id)
            if refusal:
                result.refused.append((photo, refusal))
            else:
                result.accepted.append(photo)
                likest = max((float(candidate.embedding @ other) for other in others), default=1.0)
                if likest < detector.thresholds.review:
                    result.unlike.append((photo, likest))
                good.append(candidate)
        if all_or_none and result.refused:
            result.accepted = []
        if result.accepted:
            result.identity_id = self._store(person, result.identity_id, good)
        if known and not (all_or_none and result.refused):
            for account in person.own_accounts:
                records.add_own_account(known.id, account)
            if person.reach is not None:
                records.set_reach(known.id, person.reach)
        return result

    def _judge(self, photo: Path, face: int | None) -> Candidate | EnrolmentRefused:
        try:
            return judge_photo(self._bench.detector, read_picture(photo, self._max_bytes), self._limits, face)
        except EnrolmentRefused as refused:
            return refused

    def _stranger(
        self, candidate: Candidate, own: Sequence[Embedding], identity_id: str | None
    ) -> EnrolmentRefused | None:
        detector = self._bench.detector
        match = nearer_to_another(candidate.embedding, own, identity_id, detector.index, detector.thresholds.review)
        if match is None:
            return None
        return EnrolmentRefused(
            "nearer_to_another",
            f"The face is more like {match.identity.name} ({match.identity.id}) than like its own photos; "
            "if that is right all the same, use --force.",
        )

    def _store(self, person: Person, identity_id: str | None, good: Sequence[Candidate]) -> str:
        records, index = self._bench.records, self._bench.detector.index
        photos = [self._reference(person, candidate) for candidate in good]
        if identity_id is None:
            reach = DEFAULT_REACH if person.reach is None else person.reach
            identity_id = records.add_identity(
                person.name, person.kind, person.own_accounts, references=photos, reach=reach
            )
        else:
            records.add_references(identity_id, photos)
        embeddings = [*index.embeddings(identity_id), *(candidate.embedding for candidate in good)]
        references = tuple(Reference(f"{number}", {index.pack: vector}) for number, vector in enumerate(embeddings))
        sequence = records.latest_sequence()
        index.apply(Identity(identity_id, person.name, person.kind, sequence, frozenset(), references))
        return identity_id

    def _reference(self, person: Person, candidate: Candidate) -> ReferencePhoto:
        return ReferencePhoto(
            provenance=person.provenance,
            photo_sha256=candidate.sha256,
            photo_jpeg=candidate.jpeg,
            width=candidate.width,
            height=candidate.height,
            face_box=candidate.face.box,
            quality=candidate.face.quality,
            embeddings={self._bench.detector.engine.pack: candidate.embedding},
            fingerprint=candidate.fingerprint,
        )


def report(result: Enrolled, say: Callable[[str], None]) -> None:
    """One line per refused photo, which and why, and per accepted photo that is unlike the identity's others."""
    for photo, refusal in result.refused:
        say(f"refused {photo}: {refusal.reason}: {refusal.detail}")
    for photo, similarity in result.unlike if result.accepted else ():
        say(f"look at {photo}: its similarity to the identity's other photos is only {similarity:.2f}; same person?")
