"""From a case's evidence to what its page says: who is suspected to be shown, why, and how sure that is.

The sentences themselves are in templates/words.html, since they have to be said in the moderator's language; the ones
that screening wrote are not kept. Names are looked up now: one that was erased is None.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from detector.policy import CLEAR_MARGIN
from detector.verdict import Box
from records.casework.cases import Case

Doubt = Literal["rival_nearer", "rival", "poor_face"]
"""Why a likeness is to be compared with care: somebody else is more alike, or nearly as alike, or the face is poor."""
Level = Literal["below", "above", "sure"]
"""Of a similarity: below the line from which faces alone are raised, above it, above what look-alikes may reach."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One finding. What its kind does not have is None; `visible`: the share of the reference photo, as "40%";
    `hash_only`: that photo stayed with the person; `text`: of the profile or in the picture; `field`: where in the
    profile; `box`: where in the picture, in pixels of it."""

    kind: str
    doubt: Doubt | None = None
    by: str | None = None
    transform: str | None = None
    visible: str | None = None
    hash_only: bool = False
    field: str | None = None
    text: str | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the gallery; `name` is None once they have been erased."""

    identity_id: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike the faces are. All but `level` are cosines, -1..1: `line` is the one from which faces are raised,
    `sure` the one that look-alikes do not reach, `rival` the runner-up's."""

    similarity: float
    line: float
    sure: float
    rival: float | None
    level: Level


@dataclass(frozen=True, slots=True)
class Suspect:
    """An identity that the avatar may show, with all that was found about it. face_box: pixels of the upload."""

    number: int
    person: Person
    identity_kind: str
    quarantined: bool
    reference_id: str | None
    face_box: Box | None
    suspicions: tuple[Suspicion, ...]
    rivals: tuple[Person, ...]
    likeness: Likeness | None


@dataclass(frozen=True, slots=True)
class CaseView:
    """suspects: most urgent first; marks: what was read in the picture and is not the account's."""

    suspects: tuple[Suspect, ...]
    marks: tuple[Suspicion, ...]

    def suspect(self, number: int) -> Suspect | None:
        """The one that the page is about; the first when there is none of that number."""
        return next((one for one in self.suspects if one.number == number), next(iter(self.suspects), None))

    def about(self, identity_id: str | None) -> Suspect | None:
        """The one who is this identity, None when there is none."""
        return next((one for one in self.suspects if one.person.identity_id == identity_id), None)


def view_case(case: Case, names_of: Callable[[Sequence[str]], Mapping[str, str]]) -> CaseView:
    """What the case's evidence says. `names_of` gives the names, by identity id, that still are there."""
    findings = _findings(case)
    names = names_of(identities(case))
    suspects: list[Suspect] = []
    for identity_id in dict.fromkeys(one["identity_id"] for one in findings if one.get("identity_id")):
        about = [one for one in findings if one.get("identity_id") == identity_id]
        suspects.append(_suspect(len(suspects), case, identity_id, about, names))
    marks = tuple(_suspicion(one, case) for one in findings if one.get("foreign_text"))
    return CaseView(tuple(suspects), marks)


def identities(case: Case) -> list[str]:
    """The ids of all whom the evidence speaks of, each once."""
    found = [one.get("identity_id") for one in _findings(case)]
    found += [one["runner_up"]["identity_id"] for one in _findings(case) if one.get("runner_up")]
    return list(dict.fromkeys(one for one in found if one))


def _findings(case: Case) -> list[Mapping[str, Any]]:
    return cast(list[Mapping[str, Any]], case.evidence.get("findings", []))


def _suspect(
    number: int, case: Case, identity_id: str, about: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> Suspect:
    def first(name: str) -> Any:
        return next((one[name] for one in about if one.get(name) is not None), None)

    compared = next((one for one in about if one.get("similarity") is not None), None)
    rivals = dict.fromkeys(one["runner_up"]["identity_id"] for one in about if one.get("runner_up"))
    return Suspect(
        number=number,
        person=Person(identity_id, names.get(identity_id)),
        identity_kind=first("identity_kind") or "celebrity",
        quarantined=any(one.get("quarantined") for one in about),
        reference_id=first("reference_id"),
        face_box=first("face_box"),
        suspicions=tuple(_suspicion(one, case) for one in about),
        rivals=tuple(Person(rival, names.get(rival)) for rival in rivals),
        likeness=_likeness(compared, case) if compared else None,
    )


def _suspicion(finding: Mapping[str, Any], case: Case) -> Suspicion:
    photo = finding.get("same_photo") or {}
    said = finding.get("name_claim") or finding.get("foreign_text") or {}
    visible = photo.get("visible")
    return Suspicion(
        kind=finding["kind"],
        doubt=_doubt(finding, case) if finding["kind"] == "look_alike_risk" else None,
        by=photo.get("by"),
        transform=photo.get("transform"),
        visible=None if visible is None else f"{visible:.0%}",
        hash_only=photo.get("hash_only", False),
        field=said.get("field"),
        text=said.get("text"),
        box=said.get("box"),
    )


def _doubt(finding: Mapping[str, Any], case: Case) -> Doubt | None:
    """As detector/explanation.py tells it."""
    rival = finding.get("runner_up")
    if rival:
        nearer = rival["similarity"] - finding["similarity"] >= CLEAR_MARGIN
        return "rival_nearer" if nearer else "rival"
    return "poor_face" if finding["similarity"] >= case.evidence["sure_threshold"] else None


def _likeness(finding: Mapping[str, Any], case: Case) -> Likeness:
    similarity, line, sure = finding["similarity"], case.evidence["threshold"], case.evidence["sure_threshold"]
    rival = finding.get("runner_up")
    level: Level = "below" if similarity < line else "above" if similarity < sure else "sure"
    return Likeness(similarity, line, sure, rival["similarity"] if rival else None, level)
