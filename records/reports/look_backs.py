"""Look-backs: the search for a newly protected person among avatars that were uploaded before.

1. who approves a report, or an operator, asks for one  2. `likeness lookback` takes all that wait together, and
searches a slice at a time  3. after each slice it notes here how far it is, from where whoever comes next goes on.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, exists, func, insert, select, update
from sqlalchemy.orm import Session

from detector.identity import Identity
from records.announcer import utc_now
from records.audit import AuditLog
from records.database import Database
from records.gallery_state import active_identities, comparisons
from records.keys.keyring import DataKey, MasterKey
from records.reports.schema_reports import LookBackRow
from records.schema import IdentityRow, OutboxEntry

LookBackState = Literal["waiting", "running", "done"]


@dataclass(frozen=True, slots=True)
class Part:
    """What of a partition is searched: from the offset `first` on, before `end`; `next` is read next."""

    first: int
    next: int
    end: int


@dataclass(frozen=True, slots=True)
class Window:
    """What of a topic is searched, by the numbers of its partitions, and how far that is."""

    topic: str
    parts: Mapping[int, Part]

    @property
    def done(self) -> bool:
        return all(part.next >= part.end for part in self.parts.values())

    @property
    def share(self) -> float:
        """How much is searched, 0..1."""
        total = sum(part.end - part.first for part in self.parts.values())
        return sum(part.next - part.first for part in self.parts.values()) / total if total else 1.0


@dataclass(frozen=True, slots=True)
class LookBack:
    """A search for one identity. since: uploads from then on; window: None before it begins; seen: pictures looked at;
    found: of these, those that went to moderators. Moments are aware."""

    id: str
    identity_id: str
    state: LookBackState
    since: datetime
    asked_at: datetime
    asked_by: str
    finished_at: datetime | None
    window: Window | None
    seen: int
    found: int

    @property
    def percent(self) -> int:
        """How much is searched, 0..100."""
        return 100 if self.state == "done" else int(100 * self.window.share) if self.window else 0


@dataclass(frozen=True, slots=True)
class Shown:
    """An account that showed a face, and when it did first, aware."""

    account_id: str
    uploaded_at: datetime


class LookBacks:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch. back: how far back is searched
    unless it is said; `clock` gives the moment, aware."""

    def __init__(
        self,
        database: Database,
        master_key: MasterKey,
        audit: AuditLog,
        *,
        back: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._audit = audit
        self._back = back
        self._clock = clock

    def ask(self, identity_ids: Sequence[str], by: str, since: datetime | None = None) -> list[str]:
        """Asks for the search for those of the identities that there are; the ids of the look-backs. `by`: an actor of
        the audit log."""
        there = select(IdentityRow.id).where(IdentityRow.id.in_(identity_ids)).order_by(IdentityRow.id)
        with self._database.write() as session:
            held = session.scalars(there.with_for_update(read=True, key_share=True)).all()  # nobody is erased meanwhile
            return [self.ask_in(session, identity_id, by, since) for identity_id in held]

    def ask_in(self, session: Session, identity_id: str, by: str, since: datetime | None = None) -> str:
        """The same for one identity within a write transaction, which it notes in the audit log: do it last."""
        now = self._clock()
        since = now - self._back if since is None else since
        row = {"id": f"lkb_{uuid.uuid4().hex}", "identity_id": identity_id, "state": "waiting", "since": since}
        row |= {"asked_at": now, "asked_by": by, "seen": 0, "found": 0}
        session.execute(insert(LookBackRow).values(row))
        self._audit.append_in(session, by, "look_back", identity_id, {"since": since.isoformat()})
        return str(row["id"])

    def take(self) -> list[LookBack]:
        """What is to be searched for now, together: what somebody has begun, else all that waits. Nobody who is not in
        the gallery, or of whom consumers are still to be told."""
        fit = (IdentityRow.status == "active", ~exists().where(OutboxEntry.key == LookBackRow.identity_id))
        with self._database.write() as session:
            for state in ("running", "waiting"):
                rows = session.scalars(
                    select(LookBackRow)
                    .join(IdentityRow, IdentityRow.id == LookBackRow.identity_id)
                    .where(LookBackRow.state == state, *fit)
                    .order_by(LookBackRow.asked_at, LookBackRow.id)
                    .with_for_update(of=LookBackRow)  # whoever withdraws just now deletes theirs
                ).all()
                if rows:
                    for row in rows:
                        row.state = "running"
                    return [_look_back(row) for row in rows]
        return []

    def people(self, identity_ids: Sequence[str], pack: str) -> tuple[list[Identity], int]:
        """Those of the identities that are active, with what is sealed of them opened; and with how many embeddings of
        `pack` the whole gallery compares a face, see GalleryIndex.comparisons. Raises MasterKeyError."""
        with self._database.read() as session:
            found = active_identities(session, self._unwrap, None, IdentityRow.id.in_(identity_ids))
            return list(found), comparisons(session, pack)

    def advance(self, look_back_ids: Sequence[str], window: Window, seen: int, found: Mapping[str, int]) -> None:
        """Notes how far the search is, with what has come since: pictures, and by look-back id what they led to. What
        has been searched to its end is done."""
        now = self._clock()
        ours: ColumnElement[bool] = LookBackRow.id.in_(look_back_ids)
        values: dict[str, Any] = {"position": _written(window), "seen": LookBackRow.seen + seen}
        if window.done:
            values |= {"state": "done", "finished_at": now}
        with self._database.write() as session:
            session.execute(update(LookBackRow).where(ours).values(values))
            for look_back_id, count in found.items():
                row = update(LookBackRow).where(LookBackRow.id == look_back_id)
                session.execute(row.values(found=LookBackRow.found + count))

    def find(self, look_back_ids: Sequence[str]) -> list[LookBack]:
        """Those of these that there are; the others' people were erased."""
        return self._listed(LookBackRow.id.in_(look_back_ids))

    def of_identity(self, identity_id: str) -> list[LookBack]:
        """Newest first."""
        return self._listed(LookBackRow.identity_id == identity_id)

    def undone(self) -> tuple[int, datetime | None]:
        """How many are to be done, and when the oldest of them was asked for. One for somebody who is suspended waits
        for nobody but them."""
        left = (
            select(func.count(), func.min(LookBackRow.asked_at))
            .join(IdentityRow, IdentityRow.id == LookBackRow.identity_id)
            .where(LookBackRow.state != "done", IdentityRow.status == "active")
        )
        with self._database.read() as session:
            count, oldest = session.execute(left).one()
        return count, oldest

    def suspended(self, look_back_ids: Sequence[str]) -> dict[str, str]:
        """Those of these that are not done and whose person is not in the gallery now, with the person's id."""
        stand_still = (
            select(LookBackRow.id, LookBackRow.identity_id)
            .join(IdentityRow, IdentityRow.id == LookBackRow.identity_id)
            .where(LookBackRow.id.in_(look_back_ids), LookBackRow.state != "done", IdentityRow.status != "active")
        )
        with self._database.read() as session:
            return {row.id: row.identity_id for row in session.execute(stand_still)}

    def untold(self, waiting: timedelta) -> list[str]:
        """Who is to be searched for, and cannot be, since consumers have not been told of them for so long."""
        since = self._clock() - waiting
        told_of = exists().where(OutboxEntry.key == LookBackRow.identity_id, OutboxEntry.created_at < since)
        left = (
            select(LookBackRow.identity_id)
            .distinct()
            .join(IdentityRow, IdentityRow.id == LookBackRow.identity_id)
            .where(LookBackRow.state != "done", IdentityRow.status == "active", told_of)
            .order_by(LookBackRow.identity_id)
        )
        with self._database.read() as session:
            return list(session.scalars(left))

    def _listed(self, which: ColumnElement[bool]) -> list[LookBack]:
        newest = select(LookBackRow).where(which).order_by(LookBackRow.asked_at.desc(), LookBackRow.id)
        with self._database.read() as session:
            return [_look_back(row) for row in session.scalars(newest)]

    def _unwrap(self, identity_id: str, wrapped: bytes) -> DataKey:
        return DataKey.unwrap(identity_id, wrapped, self._master_key)


def _look_back(row: LookBackRow) -> LookBack:
    facts = {name: getattr(row, name) for name in LookBack.__dataclass_fields__ if name != "window"}
    return LookBack(**facts, window=_read(row.position) if row.position else None)


def _written(window: Window) -> str:
    parts = {str(number): (part.first, part.next, part.end) for number, part in window.parts.items()}
    return json.dumps({"topic": window.topic, "parts": parts})


def _read(position: str) -> Window:
    kept = json.loads(position)
    return Window(kept["topic"], {int(number): Part(*part) for number, part in kept["parts"].items()})
