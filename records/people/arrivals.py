"""Who comes by OpenID Connect: the moderator behind a proof of the provider's, made at the first login.

The provider's word for the role counts at each login, and the role that was given here only until the provider first
names one. Who was added here before without a password is known by the login at first, and from then on by the
provider's subject; who has a password here is never taken for somebody there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.audit import AuditLog
from records.database import Database
from records.errors import NotAdmitted, UnfitLogin
from records.people import passwords
from records.people.moderators import SYSTEM, Moderator, Role, moderator_from, new_moderator
from records.people.schema_people import ModeratorRow


@dataclass(frozen=True, slots=True)
class Arrival:
    """Whom the provider vouches for. `subject`: who they are there, for good; `role`: None where it gives none."""

    subject: str
    login: str
    name: str
    role: Role | None


class Arrivals:
    """`clock` gives the moment, aware."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock
        self._audit = AuditLog(database, clock=clock)

    def admit(self, arrival: Arrival) -> Moderator:
        """Who they are here, in one transaction. Raises NotAdmitted; DatabaseAway, SchemaMismatch."""
        for _ in range(2):
            try:
                with self._database.write() as session:
                    return self._admitted(session, arrival)
            except IntegrityError:  # made at this moment by another login of theirs, or the login is somebody else's
                continue
        raise NotAdmitted("login_taken", "Somebody else has this login here.")

    def _admitted(self, session: Session, arrival: Arrival) -> Moderator:
        change: dict[str, Any] = {}
        row = _of_subject(session, arrival.subject)
        if row is None and (row := _awaited(session, arrival.login)) is not None:
            row.oidc_subject = arrival.subject
            change["openid_connect"] = "first login"
        if row is None:
            return self._added(session, arrival)
        if row.disabled_at is not None:
            raise NotAdmitted("login_disabled", "This moderator is disabled.", row.id)
        if arrival.role is None and row.role_by_claim:
            raise NotAdmitted("no_role", "The provider's word gives this moderator no role any more.", row.id)
        if arrival.role is not None and (row.role != arrival.role or not row.role_by_claim):
            row.role = change["role"] = arrival.role
            row.role_by_claim = True  # also where both say the same: who loses the role there must lose it here
        if change:
            session.flush()
            self._audit.append_in(session, SYSTEM, "moderator_changed", row.id, change)
        return moderator_from(row)

    def _added(self, session: Session, arrival: Arrival) -> Moderator:
        if arrival.role is None:
            raise NotAdmitted("no_role", "The provider's word gives no role, and nobody has added this login.")
        try:
            row = new_moderator(arrival.login, arrival.name, arrival.role, self._clock())
        except UnfitLogin as error:
            raise NotAdmitted("unfit_login", str(error)) from None
        row.oidc_subject, row.role_by_claim = arrival.subject, True
        session.add(row)
        session.flush()
        details = {"login": row.login, "role": row.role, "openid_connect": "first login"}
        self._audit.append_in(session, SYSTEM, "moderator_added", row.id, details)
        return moderator_from(row)


def _of_subject(session: Session, subject: str) -> ModeratorRow | None:
    return session.scalar(select(ModeratorRow).where(ModeratorRow.oidc_subject == subject).with_for_update())


def _awaited(session: Session, login: str) -> ModeratorRow | None:
    """Who was added for this login without a password, and has not come yet."""
    canonical = passwords.canonical(login)
    if not canonical.isprintable():
        return None
    waits = (ModeratorRow.oidc_subject.is_(None), ModeratorRow.password_hash.is_(None))
    return session.scalar(select(ModeratorRow).where(ModeratorRow.login == canonical, *waits).with_for_update())
