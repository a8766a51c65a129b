"""People as an administrator sees them: who may log in, how they come, and when they were last here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from records.announcer import utc_now
from records.database import Database
from records.errors import UnknownModerator
from records.people.moderators import Moderator, moderator_from
from records.people.schema_people import ModeratorRow


@dataclass(frozen=True, slots=True)
class Person:
    """`by_provider`: has come by OpenID Connect; `role_by_claim`: the provider gives the role at each login;
    `locked_until`: wrong passwords closed the login until then. Moments are aware, UTC."""

    moderator: Moderator
    by_provider: bool
    role_by_claim: bool
    added_at: datetime
    last_seen_at: datetime | None
    locked_until: datetime | None


class People:
    """Reads only; may raise DatabaseAway or SchemaMismatch. `clock` gives the moment, aware."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def list(self) -> tuple[Person, ...]:
        """All, those who may log in first, by name."""
        order = (ModeratorRow.disabled_at.is_not(None), ModeratorRow.name, ModeratorRow.login)
        with self._database.read() as session:
            return tuple(self._person(row) for row in session.scalars(select(ModeratorRow).order_by(*order)))

    def get(self, moderator_id: str) -> Person:
        """Raises UnknownModerator."""
        with self._database.read() as session:
            row = session.get(ModeratorRow, moderator_id)
            if row is None:
                raise UnknownModerator(f"There is no moderator {moderator_id}.")
            return self._person(row)

    def _person(self, row: ModeratorRow) -> Person:
        locked = row.locked_until is not None and row.locked_until > self._clock()
        return Person(
            moderator=moderator_from(row),
            by_provider=row.oidc_subject is not None,
            role_by_claim=row.role_by_claim,
            added_at=row.created_at,
            last_seen_at=row.last_seen_at,
            locked_until=row.locked_until if locked else None,
        )
