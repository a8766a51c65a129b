"""Sessions of the console's pages: a browser that has logged in bears a random token, of which we keep the SHA-256."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from records.announcer import utc_now
from records.database import Database
from records.errors import UnknownModerator
from records.people.moderators import Moderator, moderator_from
from records.people.schema_people import ModeratorRow, SessionRow

TOKEN_BYTES = 32
SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Session:
    """Who is logged in, as they are now; `csrf_token` must come with every form. `created_at` is aware, UTC."""

    moderator: Moderator
    csrf_token: str
    created_at: datetime


class WebSessions:
    """Each method is one transaction, or two, and may raise DatabaseAway or SchemaMismatch.

    A session ends `lifetime` after it began, and `idle` after it was last found. `clock` gives the moment, aware.
    """

    def __init__(
        self, database: Database, *, lifetime: timedelta, idle: timedelta, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._lifetime = lifetime
        self._idle = idle
        self._clock = clock

    def begin(self, moderator_id: str) -> tuple[str, Session]:
        """A new session and its token, for the cookie alone. Raises UnknownModerator, also for one who is disabled."""
        token, csrf_token = secrets.token_urlsafe(TOKEN_BYTES), secrets.token_urlsafe(TOKEN_BYTES)
        now = self._clock()
        with self._database.write() as session:
            row = session.get(ModeratorRow, moderator_id, with_for_update=True)
            if row is None or row.disabled_at is not None:
                raise UnknownModerator(f"There is no moderator {moderator_id} who may log in.")
            session.execute(
                insert(SessionRow).values(
                    id=_id(token), moderator_id=moderator_id, csrf_token=csrf_token, created_at=now, seen_at=now
                )
            )
            row.last_seen_at = now
            return token, Session(moderator_from(row), csrf_token, now)

    def find(self, token: str) -> Session | None:
        """The session of a token; None when it has ended or its moderator is disabled."""
        now = self._clock()
        with self._database.read() as session:
            wanted = (
                select(SessionRow, ModeratorRow)
                .join(ModeratorRow, ModeratorRow.id == SessionRow.moderator_id)
                .where(
                    SessionRow.id == _id(token),
                    SessionRow.created_at > now - self._lifetime,
                    SessionRow.seen_at > now - self._idle,
                    ModeratorRow.disabled_at.is_(None),
                )
            )
            row = session.execute(wanted).one_or_none()
            if row is None:
                return None
            kept, moderator = row
            found = Session(moderator_from(moderator), kept.csrf_token, kept.created_at)
            stale = now - kept.seen_at >= SEEN_EVERY
        if stale:  # not at every page: a write costs more than all else that is done here
            with self._database.write() as session:
                session.execute(update(SessionRow).where(SessionRow.id == _id(token)).values(seen_at=now))
                seen = update(ModeratorRow).where(ModeratorRow.id == found.moderator.id)
                session.execute(seen.values(last_seen_at=now))
        return found

    def end(self, token: str) -> None:
        """Logs out; nothing to do where there is no such session."""
        with self._database.write() as session:
            session.execute(delete(SessionRow).where(SessionRow.id == _id(token)))

    def end_all(self, moderator_id: str) -> int:
        """Logs the moderator out everywhere; gives how many sessions that ended."""
        return self._deleted(SessionRow.moderator_id == moderator_id)

    def sweep(self) -> int:
        """Deletes the sessions whose time is over; gives how many."""
        now = self._clock()
        return self._deleted(or_(SessionRow.created_at <= now - self._lifetime, SessionRow.seen_at <= now - self._idle))

    def _deleted(self, which: ColumnElement[bool]) -> int:
        with self._database.write() as session:
            return len(session.scalars(delete(SessionRow).where(which).returning(SessionRow.id)).all())


def _id(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
