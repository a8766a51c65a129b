"""What the page of a campaign shows: the cases in hand as a grid of faces, and the one reference beside them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from records.casework.campaigns import Campaign
from records.casework.case_batches import Passed, Planned
from records.casework.cases import Case
from records.people.moderators import Moderator
from records.references import ReferenceDetail
from web.console.case_faces import CaseFaces
from web.console.case_view import Person, view_case
from web.console.casework import may_decide
from web.desk import Desk


@dataclass(frozen=True, slots=True)
class CampaignCard:
    """A campaign, and the name of the person that it is about; None for nobody of the gallery."""

    campaign: Campaign
    name: str | None


@dataclass(frozen=True, slots=True)
class InHand:
    """The cases of a campaign that somebody holds. person: whom a decision is about, that of most cases; `reference`:
    the one of theirs that most cases were matched with, which is served by the page of the case `reference_of`."""

    cases: tuple[Case, ...]
    person: Person | None
    reference: ReferenceDetail | None
    reference_of: str | None
    offered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a decision will do. by_fate: cases by Fate; left: accounts of those it does not touch, by why not."""

    by_fate: dict[str, list[Case]]
    left: dict[str, list[str]]

    @property
    def count(self) -> int:
        return sum(map(len, self.by_fate.values()))


def cards(desk: Desk, moderator: Moderator) -> list[CampaignCard]:
    """The campaigns that they may work on, largest first; none where cases are worked in Coop alone."""
    found = [] if desk.settings.coop.only else desk.campaigns.largest(moderator.role)
    names = desk.cases.names(one.identity_id for one in found if one.identity_id) if found else {}
    return [CampaignCard(one, names.get(one.identity_id or "")) for one in found]


def in_hand(desk: Desk, faces: CaseFaces, cases: Sequence[Case], moderator: Moderator) -> InHand:
    """What they hold. Raises DatabaseAway."""
    about = Counter(case.identity_id for case in cases).most_common(1)[0][0] if cases else None
    theirs = [case for case in cases if about is not None and case.identity_id == about]
    detail = faces.person(about) if about else None
    references = {one.id: one for one in detail.references} if detail else {}
    matched = Counter(case.reference_id for case in theirs if case.reference_id in references).most_common(1)
    best = matched[0][0] if matched else next(iter(references), None)
    offered = [name for case in cases for name in may_decide(desk, case, moderator)]
    return InHand(
        cases=tuple(cases),
        person=Person(about, detail.name if detail else None) if about else None,
        reference=references.get(best or ""),
        reference_of=theirs[0].id if theirs and best else None,
        offered=tuple(dict.fromkeys(offered)),
    )


def prepare(faces: CaseFaces, cases: Sequence[Case]) -> None:
    """Makes the faces of the grid ready in memory."""
    for case in cases:
        faces.avatar_face(case, view_case(case, lambda _: {}).suspect(0))


def preview(planned: Sequence[Planned], left: Sequence[tuple[str, str]]) -> Preview:
    """`left`: account and why not, of each case that is not touched."""
    by_fate: dict[str, list[Case]] = {}
    for one in planned:
        by_fate.setdefault(one.fate, []).append(one.case)
    whys: dict[str, list[str]] = {}
    for account_id, why in left:
        whys.setdefault(why, []).append(account_id)
    return Preview(by_fate, whys)


def passed_over(passed: Sequence[Passed]) -> list[tuple[str, str]]:
    return [(one.case.account_id, one.why) for one in passed]
