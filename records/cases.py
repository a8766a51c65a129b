"""Cases: what moderators work on. A review becomes one, waits in a queue, is claimed, decided and closed.

1. cases.py opens, shows and finds them, 2. case_claims.py gives each to one person at a time, 3. case_decisions.py
takes decisions and takes them back, 4. case_closing.py draws the consequences once the grace period is over,
5. decision_outbox.py hands the decision to who tells the platform.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from records import case_pictures
from records.announcer import utc_now
from records.case_pictures import CasePicture
from records.database import Database
from records.errors import UnknownCase
from records.queues import CaseStage, QueueRule, route
from records.schema import IdentityRow
from records.schema_cases import BAND, CaseCommentRow, CaseRow
from records.schema_people import ModeratorRow

__all__ = ["Case", "CasePicture", "CaseRecords", "CaseState", "Comment", "NewCase", "QueueRule"]

CaseState = Literal["open", "decided", "closed"]
"""Somebody must decide; decided and still to be undone; over."""

ID_START = 8
"""Characters of a case id that are enough to search by."""
_LOWEST = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class NewCase:
    """A review that becomes a case. id: the review's; kind, identity_*: of its leading finding; priority: higher is
    worked first; held: the identity is in quarantine; evidence: JSON, without names; reference_id, similarity,
    threshold: of the leading finding, where it compares faces."""

    id: str
    event_id: str
    account_id: str
    handle: str | None
    display_name: str | None
    account_created_at: datetime | None
    uploaded_at: datetime | None
    screened_at: datetime
    kind: str
    identity_id: str | None
    identity_kind: str | None
    priority: int
    held: bool
    evidence: str
    reference_id: str | None = None
    similarity: float | None = None
    threshold: float | None = None

    @property
    def band(self) -> int | None:
        """How far the similarity is over the threshold, in steps of BAND; 0 too for one below, found otherwise."""
        if self.similarity is None or self.threshold is None:
            return None
        return max(0, int((self.similarity - self.threshold) / BAND + 1e-9))


@dataclass(frozen=True, slots=True)
class Case:
    """A case as it stands. Of an open one, `claimed_by` holds it until another takes it, which is possible from
    `claimed_until` on."""

    id: str
    event_id: str
    account_id: str
    handle: str | None
    display_name: str | None
    account_created_at: datetime | None
    uploaded_at: datetime | None
    screened_at: datetime
    opened_at: datetime
    queue: str
    kind: str
    identity_id: str | None
    identity_kind: str | None
    reference_id: str | None
    band: int | None
    priority: int
    held: bool
    evidence: Mapping[str, Any]
    picture_group: str | None
    golden_id: str | None
    double_review: bool
    state: CaseState
    stage: CaseStage
    claimed_by: str | None
    claimed_until: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Comment:
    moderator_id: str
    moderator_name: str
    text: str
    written_at: datetime


_KEPT = tuple(name for name in (*NewCase.__dataclass_fields__, "band") if name not in ("similarity", "threshold"))
"""What the row of a case takes from the new one."""


class CaseRecords:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch.

    `queues`: in the order in which they take cases; `keep_pictures`: how long a case's picture is kept; `clock` gives
    the moment, aware.
    """

    def __init__(
        self,
        database: Database,
        master_key: bytes,
        queues: Sequence[QueueRule],
        *,
        keep_pictures: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._queues = queues
        self._keep_pictures = keep_pictures
        self._clock = clock

    def open(self, new: NewCase, picture: CasePicture | None) -> bool:
        """Whether the case is new; one that is there already stays as it is, whatever became of it."""
        now = self._clock()
        row = {name: getattr(new, name) for name in _KEPT} | {
            "opened_at": now,
            "double_review": False,
            "queue": route(self._queues, new.kind, new.identity_kind, new.held),
            "state": "open",
            "stage": "first",
        }
        insert_into = postgresql.insert if self._database.postgresql else sqlite.insert
        with self._database.write() as session:
            if session.scalar(insert_into(CaseRow).values(row).on_conflict_do_nothing().returning(CaseRow.id)) is None:
                return False
            if picture is not None:
                case_pictures.put(session, new.id, picture, self._master_key, now + self._keep_pictures)
        return True

    def reroute(self) -> int:
        """Moves cases that wait in a queue which the settings no longer have to those that take them now; how many."""
        names = [rule.name for rule in self._queues]
        with self._database.write() as session:
            stranded = session.scalars(
                select(CaseRow).where(CaseRow.state != "closed", CaseRow.queue.not_in(names)).with_for_update()
            ).all()
            for row in stranded:
                row.queue = route(self._queues, row.kind, row.identity_kind, row.held)
        return len(stranded)

    def get(self, case_id: str) -> Case:
        """Raises UnknownCase."""
        with self._database.read() as session:
            row = session.get(CaseRow, case_id)
            if row is None:
                raise unknown_case(case_id)
            return case_of(row)

    def picture(self, case_id: str) -> CasePicture | None:
        """None when the case never had one or its retention has passed. Raises MasterKeyError, SealBroken."""
        with self._database.read() as session:
            return case_pictures.find(session, case_id, self._master_key, self._clock())

    def erase_pictures(self, now: datetime) -> int:
        """Erases those whose retention has passed; returns how many."""
        with self._database.write() as session:
            erased = case_pictures.erase(session, now)
        if erased:
            self._database.empty_log()
        return erased

    def search(self, text: str, limit: int = 50) -> list[Case]:
        """Cases with exactly this account, event, identity or case id, or whose id begins with it (from ID_START
        characters on), newest first."""
        text = text.strip()
        ways = [CaseRow.account_id == text, CaseRow.event_id == text, CaseRow.identity_id == text, CaseRow.id == text]
        if (ids := _ids_from(text.lower())) is not None:
            ways.append(CaseRow.id.between(*ids))
        with self._database.read() as session:
            # one index each: a single question with OR would gather all of a much-copied person's cases to sort them
            found = {case.id: case for way in ways for case in _newest(session, limit, way)}
        return sorted(found.values(), key=lambda case: (case.opened_at, case.id), reverse=True)[:limit]

    def of_account(self, account_id: str, limit: int) -> list[Case]:
        """The account's cases, newest first."""
        with self._database.read() as session:
            return _newest(session, limit, CaseRow.account_id == account_id)

    def of_identity(self, identity_id: str, limit: int) -> list[Case]:
        """The cases whose leading finding is about the identity, newest first."""
        with self._database.read() as session:
            return _newest(session, limit, CaseRow.identity_id == identity_id)

    def names(self, identity_ids: Iterable[str]) -> dict[str, str]:
        """By id, the names of those identities that still are there."""
        named = select(IdentityRow.id, IdentityRow.name).where(IdentityRow.id.in_(set(identity_ids)))
        with self._database.read() as session:
            return {row.id: row.name for row in session.execute(named)}

    def comment(self, case_id: str, moderator_id: str, text: str) -> None:
        """Adds what a moderator has to say to the others; blank text adds nothing. Raises UnknownCase."""
        if not (text := text.strip()):
            return
        with self._database.write() as session:
            if session.get(CaseRow, case_id) is None:
                raise unknown_case(case_id)
            row = {"case_id": case_id, "moderator_id": moderator_id, "text": text, "written_at": self._clock()}
            session.execute(insert(CaseCommentRow).values(row))

    def comments(self, case_id: str) -> list[Comment]:
        """Oldest first."""
        written = (
            select(CaseCommentRow, ModeratorRow.name)
            .join(ModeratorRow, ModeratorRow.id == CaseCommentRow.moderator_id)
            .where(CaseCommentRow.case_id == case_id)
            .order_by(CaseCommentRow.id)
        )
        with self._database.read() as session:
            return [Comment(row.moderator_id, name, row.text, row.written_at) for row, name in session.execute(written)]


def case_of(row: CaseRow) -> Case:
    """The row as others may keep it when its transaction is over."""
    facts = {name: getattr(row, name) for name in Case.__dataclass_fields__}
    return Case(**facts | {"evidence": json.loads(row.evidence)})


def unknown_case(case_id: str) -> UnknownCase:
    return UnknownCase(f"There is no case {case_id}; search for it by its account or its event.")


def _newest(session: Session, limit: int, which: ColumnElement[bool]) -> list[Case]:
    newest = select(CaseRow).where(which).order_by(CaseRow.opened_at.desc(), CaseRow.id.desc()).limit(limit)
    return [case_of(row) for row in session.scalars(newest)]


def _ids_from(start: str) -> tuple[str, str] | None:
    """The lowest and the highest UUID that begin so; None when none does or too many would."""
    lowest = start + _LOWEST[len(start) :]
    if len(start) < ID_START or re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", lowest) is None:
        return None
    return lowest, start + _LOWEST[len(start) :].replace("0", "f")
