"""The gallery, page by page, as the console shows it: who is in it, and how often its findings were false alarms."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from sqlalchemy import ColumnElement, and_, case, func, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from detector.verdict import IdentityKind
from records import gallery_listing
from records.announcer import utc_now
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.database import Database
from records.quality.last_word import FOUND_ANOTHER, LAST_WORD, TELLS_OF_LEADING
from records.references import IdentitySummary
from records.schema import IdentityRow, OwnAccountRow

PAGE = 50
SPAN = timedelta(days=30)
ALARMING = 3
"""From so many dismissed cases on, if they are more than half of those decided, a reference causes false alarms."""

T = TypeVar("T")
State = Literal["active", "suspended", "quarantined"]

_SHOWN: Mapping[State, ColumnElement[bool]] = {
    "active": and_(IdentityRow.status == "active", IdentityRow.quarantined_at.is_(None)),
    "suspended": IdentityRow.status == "suspended",
    "quarantined": IdentityRow.quarantined_at.is_not(None),
}


@dataclass(frozen=True, slots=True)
class Led:
    """Cases that an identity or a reference led to: all, those decided by now, and of these the ones whose last
    decision says that it is not this person, or that it is another one."""

    cases: int = 0
    decided: int = 0
    dismissed: int = 0

    @property
    def alarming(self) -> bool:
        """Whether it causes more false alarms than it finds."""
        return self.dismissed >= ALARMING and 2 * self.dismissed > self.decided


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """`following`: name and id to ask for the next page with; None on the last one."""

    identities: tuple[IdentitySummary, ...]
    following: tuple[str, str] | None


class GalleryPages:
    """Every method is one transaction at most, and may raise DatabaseAway or SchemaMismatch. `clock` gives the moment,
    aware. `keep`: how old the counts of cases may be: a much-copied person may have ten thousand."""

    def __init__(self, database: Database, *, keep: timedelta, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._keep = keep
        self._clock = clock
        self._of_identities: dict[str, tuple[datetime, Led]] = {}
        self._of_references: dict[str, tuple[datetime, Mapping[str, Led]]] = {}

    def page(
        self,
        text: str = "",
        kind: IdentityKind | None = None,
        state: State | None = None,
        after: tuple[str, str] | None = None,
    ) -> GalleryPage:
        """Identities by name, from the one `after` on: those with this id, or with this text in their name."""
        wanted = [IdentityRow.kind == kind] if kind else []
        if state:
            wanted.append(_SHOWN[state])
        if text:
            wanted.append(IdentityRow.name.icontains(text, autoescape=True))
        if after:
            wanted.append(tuple_(IdentityRow.name, IdentityRow.id) > after)
        with self._database.read() as session:
            if text and not after and (found := gallery_listing.summaries(session, IdentityRow.id == text)):
                return GalleryPage(tuple(found), None)
            rows = (
                select(IdentityRow.id, IdentityRow.name)
                .where(*wanted)
                .order_by(IdentityRow.name, IdentityRow.id)
                .limit(PAGE + 1)
            )
            chosen = session.execute(rows).all()
            shown = chosen[:PAGE]
            following = (shown[-1].name, shown[-1].id) if len(chosen) > PAGE else None
            found = gallery_listing.summaries(session, IdentityRow.id.in_([row.id for row in shown]))
            return GalleryPage(tuple(found), following)

    def owners_of(self, accounts: Iterable[str]) -> Mapping[str, list[str]]:
        """By account the names of those whose own account it is, of accounts that are somebody's."""
        owned = (
            select(OwnAccountRow.account_id, IdentityRow.name)
            .join(IdentityRow, IdentityRow.id == OwnAccountRow.identity_id)
            .where(OwnAccountRow.account_id.in_(set(accounts)))
            .order_by(IdentityRow.name)
        )
        owners: defaultdict[str, list[str]] = defaultdict(list)
        with self._database.read() as session:
            for account_id, name in session.execute(owned):
                owners[account_id].append(name)
        return owners

    def led_by_identities(self, identity_ids: Iterable[str]) -> Mapping[str, Led]:
        """What each of the identities led to within the last SPAN."""
        now, asked = self._clock(), set(identity_ids)
        _drop_old(self._of_identities, now)
        known = {one: kept[1] for one in asked if (kept := self._of_identities.get(one))}
        if unknown := asked - known.keys():
            about = (CaseRow.identity_id.in_(unknown), CaseRow.opened_at >= now - SPAN)
            with self._database.read() as session:
                led = _led(session, CaseRow.identity_id, *about)
            known |= {one: led[one] for one in unknown}
            self._of_identities.update({one: (now + self._keep, led[one]) for one in unknown})
        return known

    def led_by_references(self, identity_id: str) -> Mapping[str, Led]:
        """What each reference of the identity has ever led to, by its id; Led() for one that led to nothing."""
        now = self._clock()
        _drop_old(self._of_references, now)
        if kept := self._of_references.get(identity_id):
            return kept[1]
        with self._database.read() as session:
            led = _led(session, CaseRow.reference_id, CaseRow.identity_id == identity_id)
        self._of_references[identity_id] = (now + self._keep, led)
        return led


def _drop_old(counted: dict[str, tuple[datetime, T]], now: datetime) -> None:
    for name in [name for name, (until, _) in list(counted.items()) if until <= now]:
        counted.pop(name, None)


def _led(session: Session, by: InstrumentedAttribute[str | None], *which: ColumnElement[bool]) -> Mapping[str, Led]:
    """The cases that meet the conditions `which`, but for copies of golden ones, counted by a column of theirs. What
    was judged anew on an appeal counts with its last word, or a reversed alarm would seem half right."""
    decided = and_(LAST_WORD, TELLS_OF_LEADING)
    dismissed = and_(decided, or_(CaseDecisionRow.decision == "not_this_person", FOUND_ANOTHER))
    # told by the join, SQLite would look for each case through all decisions that are final
    counted = (func.sum(case((it, 1), else_=0)) for it in (decided, dismissed))
    counts = (
        select(by, func.count(CaseRow.id.distinct()), *counted)
        .select_from(CaseRow)
        .outerjoin(CaseDecisionRow, CaseDecisionRow.case_id == CaseRow.id)
        .where(CaseRow.golden_id.is_(None), *which)
        .group_by(by)
    )
    found = ((row[0], Led(*row[1:])) for row in session.execute(counts) if row[0] is not None)
    return defaultdict(Led, found)
