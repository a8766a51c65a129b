"""Cases: what moderators work on. A review becomes one, waits in a queue, is claimed, decided and closed.

1. cases.py opens, shows and finds them, 2. case_claims.py gives each to one person at a time, 3. case_decisions.py
takes decisions and takes them back, 4. case_closing.py draws the consequences once the grace period is over,
5. decision_outbox.py hands the decision to who tells the platform.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.casework import case_pictures
from records.casework.case_pictures import CasePicture
from records.casework.picture_groups import PictureGroups
from records.casework.queues import CaseStage, QueueRule, route
from records.casework.schema_around_cases import CoopReportRow
from records.casework.schema_cases import BAND, CaseCommentRow, CasePictureRow, CaseRow
from records.database import Database
from records.errors import UnknownCase
from records.keys.keyring import MasterKey
from records.people.schema_people import ModeratorRow
from records.schema import IdentityRow

__all__ = ["Case", "CasePicture", "CaseRecords", "CaseState", "Comment", "NewCase", "QueueRule"]

CaseState = Literal["open", "decided", "closed"]
"""Somebody must decide; decided and still to be undone; over."""
CaseTrigger = Literal["upload", "look_back"]
"""The upload of a picture; the search for a newly protected person among earlier ones."""

ID_START = 8
"""Characters of a case id that are enough to search by."""
_LOWEST = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class NewCase:
    """A review that becomes a case. id: the review's; kind, identity_*: of its leading finding; priority: higher is
    worked first; held: the identity is in quarantine; evidence: JSON, without names; reference_id, similarity,
    threshold: of the leading finding, where it compares faces; picture_url: where the platform keeps the picture;
    trigger: what brought the picture up."""

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
    picture_url: str | None = None
    trigger: CaseTrigger = "upload"

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
    trigger: CaseTrigger
    golden_id: str | None
    golden_for: str | None
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


_NOT_KEPT = ("similarity", "threshold", "picture_url")
_KEPT = tuple(name for name in (*NewCase.__dataclass_fields__, "band") if name not in _NOT_KEPT)
"""What the row of a case takes from the new one."""


class CaseRecords:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch.

    `queues`: in the order in which they take cases; `keep_pictures`: how long a case's picture is kept;
    `double_review_rate`: share of the cases that two people judge; `report_to_coop`: whether each new case is noted for
    records/casework/coop_reports.py; `clock` gives the moment, aware.
    """

    def __init__(
        self,
        database: Database,
        master_key: MasterKey,
        queues: Sequence[QueueRule],
        *,
        keep_pictures: timedelta,
        double_review_rate: float = 0.0,
        report_to_coop: bool = False,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._queues = queues
        self._keep_pictures = keep_pictures
        self._double_review_rate = double_review_rate
        self._report_to_coop = report_to_coop
        self._clock = clock
        self._groups = PictureGroups(master_key)

    def open(self, new: NewCase, picture: CasePicture | None) -> bool:
        """Whether the case is new; one that is there already stays as it is, whatever became of it. A look-back opens
        none where the upload itself has led to a case about the person."""
        now = self._clock()
        row = {name: getattr(new, name) for name in _KEPT} | {
            "opened_at": now,
            "double_review": sampled(new.id, self._double_review_rate),
            "queue": route(self._queues, new.kind, new.identity_kind, new.held),
            "state": "open",
            "stage": "first",
        }
        if picture is not None and picture.turns:
            with self._database.read() as session:
                self._groups.catch_up(session)  # all of them, the first time: not while others wait to write
        insert_into = postgresql.insert if self._database.postgresql else sqlite.insert
        with self._database.write() as session:
            if new.trigger == "look_back" and _is_known(session, new):
                return False
            if session.scalar(insert_into(CaseRow).values(row).on_conflict_do_nothing().returning(CaseRow.id)) is None:
                return False
            if picture is not None:
                group = self._groups.group_of(session, new.id, picture.turns, now) if picture.turns else new.id
                session.execute(update(CaseRow).where(CaseRow.id == new.id).values(picture_group=group))
                case_pictures.put(session, new.id, picture, self._master_key, now, now + self._keep_pictures)
            if self._report_to_coop:
                report = {"case_id": new.id, "created_at": now, "picture_url": new.picture_url}
                session.execute(insert(CoopReportRow).values(report))
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

    def pictured(self, case_ids: Iterable[str]) -> set[str]:
        """Those of the cases that have a picture which may still be shown."""
        kept = select(CasePictureRow.case_id).where(
            CasePictureRow.case_id.in_(set(case_ids)), CasePictureRow.kept_until > self._clock()
        )
        with self._database.read() as session:
            return set(session.scalars(kept))

    def erase_pictures(self, now: datetime) -> int:
        """Erases those whose retention has passed; returns how many."""
        with self._database.write() as session:
            erased = case_pictures.erase(session, now)
        if erased:
            self._database.empty_log()
        with self._database.read() as session:
            self._groups.forget_erased(session)
        return len(erased)

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

    def of_picture(self, case: Case, limit: int) -> list[Case]:
        """The other cases that show the same picture, newest first."""
        if case.picture_group is None:
            return []
        same = and_(CaseRow.picture_group == case.picture_group, CaseRow.id != case.id, CaseRow.golden_id.is_(None))
        with self._database.read() as session:
            return _newest(session, limit, same)

    def names(self, identity_ids: Iterable[str]) -> dict[str, str]:
        """By id, the names of those identities that still are there."""
        named = select(IdentityRow.id, IdentityRow.name).where(IdentityRow.id.in_(set(identity_ids)))
        with self._database.read() as session:
            return {row.id: row.name for row in session.execute(named)}

    def comment(self, case_id: str, moderator_id: str, text: str) -> bool:
        """Adds what a moderator has to say to the others; whether that was more than blanks. Raises UnknownCase."""
        if not (text := text.strip()):
            return False
        with self._database.write() as session:
            case = session.get(CaseRow, case_id)
            if case is None:
                raise unknown_case(case_id)
            said = {"moderator_id": moderator_id, "stage": case.stage, "text": text, "written_at": self._clock()}
            session.execute(insert(CaseCommentRow).values(case_id=case_id, **said))
        return True

    def count_comments(self, case_id: str) -> int:
        """How many comments there are on the case."""
        with self._database.read() as session:
            return session.scalar(select(func.count()).where(CaseCommentRow.case_id == case_id)) or 0

    def is_pictured(self, case_id: str) -> bool:
        """Whether `picture` would find one."""
        kept = select(CasePictureRow.case_id).where(
            CasePictureRow.case_id == case_id, CasePictureRow.kept_until > self._clock()
        )
        with self._database.read() as session:
            return session.scalar(kept) is not None

    def comments(self, case_id: str, reader_id: str = "") -> list[Comment]:
        """Oldest first. While the case is at its second reviewer, whose decision is not final yet, what others wrote is
        left out, so that the second judges alone."""
        blind = and_(CaseRow.stage == "second", CaseRow.state != "closed")
        written = (
            select(CaseCommentRow, ModeratorRow.name)
            .join(ModeratorRow, ModeratorRow.id == CaseCommentRow.moderator_id)
            .join(CaseRow, CaseRow.id == CaseCommentRow.case_id)
            .where(CaseCommentRow.case_id == case_id, or_(~blind, CaseCommentRow.moderator_id == reader_id))
            .order_by(CaseCommentRow.id)
        )
        with self._database.read() as session:
            return [Comment(row.moderator_id, name, row.text, row.written_at) for row, name in session.execute(written)]


def case_of(row: CaseRow) -> Case:
    """The row as others may keep it when its transaction is over."""
    facts = {name: getattr(row, name) for name in Case.__dataclass_fields__}
    return Case(**facts | {"evidence": json.loads(row.evidence)})


def is_named(case: Case, text: str) -> bool:
    """Whether a search for the text finds the case."""
    text = text.strip()
    begins = len(text) >= ID_START and case.id.startswith(text.lower())
    return begins or text in (case.account_id, case.event_id, case.identity_id, case.id)


def sampled(case_id: str, rate: float) -> bool:
    """Whether the case is one of the share `rate`, 0..1, that two people judge: the same in every process."""
    return int.from_bytes(hashlib.sha256(case_id.encode()).digest()[:8]) < rate * 2**64


def unknown_case(case_id: str) -> UnknownCase:
    return UnknownCase(f"There is no case {case_id}; search for it by its account or its event.")


def _is_known(session: Session, new: NewCase) -> bool:
    """Whether the same upload has led to a case about the same person."""
    evidences = session.scalars(select(CaseRow.evidence).where(CaseRow.event_id == new.event_id))
    findings = (finding for evidence in evidences for finding in json.loads(evidence).get("findings", ()))
    return any(finding.get("identity_id") == new.identity_id for finding in findings)


def _newest(session: Session, limit: int, which: ColumnElement[bool]) -> list[Case]:
    newest = (
        select(CaseRow)
        .where(which, CaseRow.golden_id.is_(None))
        .order_by(CaseRow.opened_at.desc(), CaseRow.id.desc())
        .limit(limit)
    )
    return [case_of(row) for row in session.scalars(newest)]


def _ids_from(start: str) -> tuple[str, str] | None:
    """The lowest and the highest UUID that begin so; None when none does or too many would."""
    lowest = start + _LOWEST[len(start) :]
    if len(start) < ID_START or re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", lowest) is None:
        return None
    return lowest, start + _LOWEST[len(start) :].replace("0", "f")
