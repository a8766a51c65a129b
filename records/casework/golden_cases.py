"""Golden cases: closed cases whose right answer is known, and what became of the tests that are made with them.

A lead marks one; golden_copies.py mixes copies of it into the work; once somebody has decided on a copy, and can undo
it no more, they are told here whether they were right, and leads see how all did.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, cast
from uuid import uuid4

from sqlalchemy import Exists, Select, exists, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from records.announcer import utc_now
from records.audit import AuditLog
from records.casework import golden_copies
from records.casework.cases import Case, case_of, is_named, unknown_case
from records.casework.queues import CaseDecision
from records.casework.schema_around_cases import GoldenCaseRow
from records.casework.schema_cases import CaseDecisionRow, CasePictureRow, CaseRow
from records.database import Database
from records.errors import GoldenRefused, ReasonMissing, UnknownCase
from records.kept import Kept
from records.people.schema_people import ModeratorRow

GoldenAnswer = Literal["confirmed", "not_this_person", "genuine_owner", "bad_picture"]
ANSWERS: tuple[GoldenAnswer, ...] = ("confirmed", "not_this_person", "genuine_owner", "bad_picture")
"""What the right answer may be."""


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """source_id: the case that was marked; expected, why: the right answer. Of its copies that were decided: right,
    wrong, and escalated, which is neither. added_by: the
    person's name. retired_at: from when on it is given to nobody."""

    id: str
    source_id: str
    kind: str
    identity_id: str | None
    queue: str
    expected: CaseDecision
    why: str
    added_by: str
    added_at: datetime
    retired_at: datetime | None
    right: int
    wrong: int
    escalated: int


@dataclass(frozen=True, slots=True)
class TestTold:
    """What somebody is told who decided on a copy."""

    right: bool
    expected: CaseDecision
    why: str


class _Answers(NamedTuple):
    """How many of the copies of a golden case were answered how."""

    right: int
    wrong: int
    escalated: int


class GoldenCases:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch. `keep`: how old the counts of
    answers may be before they are made anew, see Kept; `clock` gives the moment, aware."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        *,
        keep: timedelta = timedelta(),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._answers = Kept(self._count_answers, keep=keep, clock=clock)

    def mark(self, case_id: str, expected: str, why: str, moderator_id: str) -> str:
        """Makes a closed case golden, or one anew that was retired; gives the golden case's id. Raises UnknownCase,
        ReasonMissing, GoldenRefused."""
        now = self._clock()
        if not (why := why.strip()):
            raise ReasonMissing("A test case needs a sentence that says why its answer is right.")
        if expected not in ANSWERS:
            raise GoldenRefused("not_an_answer", "A test case is answered by a decision; choose one.")
        with self._database.write() as session:
            row = session.get(CaseRow, case_id, with_for_update=True)
            if row is None or golden_copies.is_told(row, moderator_id):
                raise unknown_case(case_id)
            if row.state != "closed":
                raise GoldenRefused("not_closed", "Only a closed case can test others; decide on it first.")
            if not session.scalar(select(_shown(case_id, now))):
                raise GoldenRefused("picture_erased", "The case's picture is erased; choose a newer case.")
            golden = session.scalar(select(GoldenCaseRow).where(GoldenCaseRow.source_id == case_id))
            if golden is None:
                golden = GoldenCaseRow(id=str(uuid4()), source_id=case_id)
                session.add(golden)
            golden.expected, golden.why, golden.retired_at = expected, why, None
            golden.added_by, golden.added_at = moderator_id, now
            session.flush()
            self._audit.append_in(session, moderator_id, "golden_added", case_id, {"expected": expected})
            return golden.id

    def retire(self, golden_id: str, moderator_id: str) -> None:
        """From now on nobody is given it; nothing happens when it is retired already. Raises UnknownCase."""
        with self._database.write() as session:
            golden = session.get(GoldenCaseRow, golden_id, with_for_update=True)
            if golden is None:
                raise UnknownCase("There is no such test case; look at the list of them again.")
            if golden.retired_at is None:
                golden.retired_at = self._clock()
                session.flush()
                self._audit.append_in(session, moderator_id, "golden_retired", golden.source_id)

    def sweep(self) -> int:
        """Retires those whose picture is erased, and erases copies that their reviewers left; how many were retired."""
        now = self._clock()
        bare = GoldenCaseRow.retired_at.is_(None) & ~_shown(GoldenCaseRow.source_id, now)
        with self._database.write() as session:
            golden_copies.sweep(session, now)
            retired = update(GoldenCaseRow).where(bare).values(retired_at=now).returning(GoldenCaseRow.id)
            return len(session.scalars(retired).all())

    def all(self) -> list[GoldenCase]:
        """All, the newest first, those in use before the retired."""
        order = (GoldenCaseRow.retired_at.is_not(None), GoldenCaseRow.added_at.desc())
        answers = self._answers.get()
        with self._database.read() as session:
            return [_golden_case(row, answers.get(row[0].id)) for row in session.execute(_golden().order_by(*order))]

    def _count_answers(self, _now: datetime) -> Mapping[str, _Answers]:
        with self._database.read() as session:
            return _answered(session)

    def about(self, case_id: str) -> GoldenCase | None:
        """What was made of the case; None when it is not golden."""
        with self._database.read() as session:
            row = session.execute(_golden().where(GoldenCaseRow.source_id == case_id)).one_or_none()
            return None if row is None else _golden_case(row, _answered(session, row[0].id).get(row[0].id))

    def told(self, moderator_id: str, case_ids: Collection[str]) -> dict[str, TestTold]:
        """By case id, which of these cases were tests that the person has done, and how it went."""
        tests = (
            select(CaseRow.id, CaseDecisionRow.decision, GoldenCaseRow.expected, GoldenCaseRow.why)
            .join(GoldenCaseRow, GoldenCaseRow.id == CaseRow.golden_id)
            .join(CaseDecisionRow, CaseDecisionRow.case_id == CaseRow.id)
            .where(
                CaseRow.id.in_(case_ids),
                CaseRow.state == "closed",
                CaseDecisionRow.decided_by == moderator_id,
                CaseDecisionRow.state != "undone",
            )
        )
        with self._database.read() as session:
            return {
                case_id: TestTold(decision == expected, cast(CaseDecision, expected), why)
                for case_id, decision, expected, why in session.execute(tests)
            }

    def given_to(self, moderator_id: str) -> dict[str, Case]:
        """The copies that the person was given, and not told of yet, by the id of the case that each is a copy of: to
        them it must look as if there were the copy in that one's place."""
        untold = (
            select(GoldenCaseRow.source_id, CaseRow)
            .join(CaseRow, CaseRow.golden_id == GoldenCaseRow.id)
            .where(CaseRow.golden_for == moderator_id, CaseRow.state != "closed")
        )
        with self._database.read() as session:
            return {source_id: case_of(row) for source_id, row in session.execute(untold)}

    def as_found(self, moderator_id: str, text: str, found: Sequence[Case]) -> list[Case]:
        """What a search for the text found, newest first, as the person may see it."""
        copies = self.given_to(moderator_id)
        seen = [one for one in found if one.id not in copies]
        seen += [copy for copy in copies.values() if is_named(copy, text)]
        return sorted(seen, key=lambda case: (case.opened_at, case.id), reverse=True)


def _golden() -> Select[*tuple[Any, ...]]:
    """Golden cases, their sources, and who added them."""
    return (
        select(GoldenCaseRow, CaseRow, ModeratorRow.name)
        .join(CaseRow, CaseRow.id == GoldenCaseRow.source_id)
        .join(ModeratorRow, ModeratorRow.id == GoldenCaseRow.added_by)
    )


def _answered(session: Session, golden_id: str | None = None) -> Mapping[str, _Answers]:
    """By golden case, or of one alone, how often its copies were answered how."""
    # so put, SQLite finds the few copies by their index, and does not go through all closed cases
    which = CaseRow.golden_id > "" if golden_id is None else CaseRow.golden_id == golden_id
    right = CaseDecisionRow.state == "first"
    escalated = CaseDecisionRow.decision == "escalated"
    counted = (
        select(
            CaseRow.golden_id,
            func.count().filter(right),
            func.count().filter(~right, ~escalated),
            func.count().filter(escalated),
        )
        .join(CaseDecisionRow, CaseDecisionRow.case_id == CaseRow.id)
        .where(which, CaseRow.closed_at.is_not(None), CaseDecisionRow.state != "undone")
        .group_by(CaseRow.golden_id)
    )
    return {str(golden): _Answers(*counts) for golden, *counts in session.execute(counted)}


def _golden_case(row: Any, answers: _Answers | None) -> GoldenCase:
    golden, source, name = row
    answers = answers or _Answers(0, 0, 0)
    return GoldenCase(
        id=golden.id,
        source_id=source.id,
        kind=source.kind,
        identity_id=source.identity_id,
        queue=source.queue,
        expected=golden.expected,
        why=golden.why,
        added_by=name,
        added_at=golden.added_at,
        retired_at=golden.retired_at,
        right=answers.right,
        wrong=answers.wrong,
        escalated=answers.escalated,
    )


def _shown(case_id: str | InstrumentedAttribute[str], now: datetime) -> Exists:
    """Whether the case still has a picture to show."""
    return exists().where(CasePictureRow.case_id == case_id, CasePictureRow.kept_until > now)
