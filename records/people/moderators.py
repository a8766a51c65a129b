"""Moderators: who may log in, as what, and by which proofs. Every change of a moderator is in the audit log."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.audit import AuditLog
from records.database import Database
from records.errors import (
    LastAdministrator,
    LoginLocked,
    LoginTaken,
    OwnRights,
    UnfitLogin,
    UnknownModerator,
    WrongCode,
    WrongLogin,
)
from records.keys.keyring import MasterKey
from records.people import passwords, second_factor
from records.people.lock_out import count_attempt, take_back, unlock
from records.people.schema_people import ModeratorRow, SessionRow

Role = Literal["moderator", "lead", "curator", "administrator", "auditor"]

SYSTEM = "system"
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Moderator:
    """Somebody who may log in. `settings` are the person's own; `has_totp`: a second factor is in force; who has no
    password comes by OpenID Connect."""

    id: str
    login: str
    name: str
    role: Role
    settings: Mapping[str, Any]
    has_password: bool
    has_totp: bool
    disabled: bool


class ModeratorRecords:
    """Every method is one transaction and may raise DatabaseAway or SchemaMismatch; those that take an id raise
    UnknownModerator. `by` is the actor in the audit log. `clock` gives the moment, aware.
    """

    def __init__(self, database: Database, master_key: MasterKey, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._master_key = master_key
        self._clock = clock
        self._audit = AuditLog(database, clock=clock)

    def add(self, login: str, name: str, role: Role, password: str | None, *, by: str = SYSTEM) -> Moderator:
        """Without a password: for who comes by OpenID Connect. Raises UnfitLogin, UnfitPassword, LoginTaken."""
        row = new_moderator(login, name, role, self._clock())
        login = row.login
        if password is not None:
            passwords.check_fit(password, login)
            row.password_hash = passwords.hashed(password)
        moderator = moderator_from(row)
        try:
            with self._database.write() as session:
                session.add(row)
                session.flush()
                self._audit.append_in(session, by, "moderator_added", row.id, {"login": login, "role": role})
        except IntegrityError:
            raise LoginTaken(f"There is a moderator {login} already; take another login.") from None
        return moderator

    def list(self) -> tuple[Moderator, ...]:
        """All, by login."""
        with self._database.read() as session:
            return tuple(
                moderator_from(row) for row in session.scalars(select(ModeratorRow).order_by(ModeratorRow.login))
            )

    def names(self) -> dict[str, str]:
        """Of all, by id."""
        with self._database.read() as session:
            return {row.id: row.name for row in session.execute(select(ModeratorRow.id, ModeratorRow.name))}

    def get(self, moderator_id: str) -> Moderator:
        with self._database.read() as session:
            return moderator_from(_found(session.get(ModeratorRow, moderator_id), moderator_id))

    def by_login(self, login: str) -> Moderator:
        with self._database.read() as session:
            wanted = select(ModeratorRow).where(ModeratorRow.login == _askable(login))
            return moderator_from(_found(session.scalar(wanted), login))

    def set_role(self, moderator_id: str, role: Role, *, by: str = SYSTEM) -> None:
        """In force at once, for those who are logged in, too. Raises OwnRights, LastAdministrator."""
        _check_others(moderator_id, by)
        with self._changing(moderator_id, by, {"role": role}, dethrones=role != "administrator") as (_, row):
            row.role = role

    def disable(self, moderator_id: str, *, by: str = SYSTEM) -> None:
        """Ends the moderator's sessions and lets them log in no more; what they did stays on record.

        Raises OwnRights, LastAdministrator.
        """
        _check_others(moderator_id, by)
        with self._changing(moderator_id, by, {"disabled": True}, dethrones=True) as (session, row):
            row.disabled_at = row.disabled_at or self._clock()
            _end_sessions(session, moderator_id)

    def enable(self, moderator_id: str, *, by: str = SYSTEM) -> None:
        """Lets the moderator log in (again), also one who is locked out."""
        with self._changing(moderator_id, by, {"disabled": False}) as (_, row):
            row.disabled_at = None
            unlock(row)

    def set_password(self, moderator_id: str, password: str, *, by: str = SYSTEM) -> None:
        """Ends the moderator's sessions and a lock-out. Raises UnfitPassword."""
        passwords.check_fit(password, self.get(moderator_id).login)
        password_hash = passwords.hashed(password)
        with self._changing(moderator_id, by, {"password": "set"}) as (session, row):
            row.password_hash = password_hash
            unlock(row)
            _end_sessions(session, moderator_id)

    def check_password(self, login: str, password: str) -> Moderator:
        """Who logs in; with `has_totp`, `check_totp` must follow. Takes the same time for logins that there are not
        and for those that are locked.

        Raises WrongLogin, whatever is wrong, and LoginLocked.
        """
        try:
            attempt = self._begun(login)
        except LoginLocked:
            passwords.matches(None, password)  # or a quick answer would tell that there is such a login
            raise
        if not passwords.matches(attempt.password_hash if attempt else None, password) or attempt is None:
            raise WrongLogin("Login or password is wrong.")
        renewed = passwords.renewed(attempt.password_hash, password)
        with self._database.write() as session:
            row = _held(session, attempt.moderator_id)
            if row.disabled_at is not None or row.password_hash != attempt.password_hash:
                raise WrongLogin("Login or password is wrong.")
            row.password_hash = renewed
            if row.totp_sealed is None:
                unlock(row)
            else:
                take_back(row, attempt.locked_until)
            return moderator_from(row)

    def enrol_totp(self, moderator_id: str) -> str:
        """A new secret, base32; in force once `confirm_totp` has seen a code made from it."""
        self.get(moderator_id)
        return second_factor.new_secret()

    def confirm_totp(self, moderator_id: str, secret: str, code: str) -> None:
        """Puts the second factor in force, instead of any before. Raises WrongCode."""
        step = None
        if second_factor.is_secret(secret):  # it comes back from a page
            step = second_factor.accepted_step(secret, code, self._clock(), last_step=None)
        if step is None:
            raise _wrong_code()
        with self._changing(moderator_id, moderator_id, {"second_factor": "set"}) as (_, row):
            row.totp_sealed = second_factor.sealed(secret, moderator_id, self._master_key)
            row.totp_last_step = step

    def check_totp(self, moderator_id: str, code: str) -> None:
        """Takes each code once. Raises WrongCode (also when there is no second factor), LoginLocked, MasterKeyError."""
        now = self._clock()
        with self._database.write() as session:
            row = _held(session, moderator_id)
            count_attempt(row, now)
            step = None
            if row.totp_sealed is not None and row.disabled_at is None:
                secret = second_factor.opened(row.totp_sealed, moderator_id, self._master_key)
                step = second_factor.accepted_step(secret, code, now, row.totp_last_step)
            if step is not None:
                row.totp_last_step = step
                unlock(row)
        if step is None:
            raise _wrong_code()

    def reset_totp(self, moderator_id: str, *, by: str = SYSTEM) -> None:
        """Takes the second factor away and ends the moderator's sessions."""
        with self._changing(moderator_id, by, {"second_factor": "reset"}) as (session, row):
            row.totp_sealed = row.totp_last_step = None
            _end_sessions(session, moderator_id)

    def end_sessions(self, moderator_id: str, *, by: str = SYSTEM) -> None:
        """Logs the moderator out everywhere."""
        with self._changing(moderator_id, by, {"sessions": "ended"}) as (session, _):
            _end_sessions(session, moderator_id)

    def save_settings(self, moderator_id: str, settings: Mapping[str, Any]) -> None:
        """Keeps the person's own settings, fit for JSON, instead of those before."""
        with self._database.write() as session:
            _held(session, moderator_id).settings = json.dumps(dict(settings))

    def _begun(self, login: str) -> "_Attempt | None":
        """Counts an attempt at the login's password; None where nobody may log in so. Raises LoginLocked."""
        now = self._clock()
        with self._database.write() as session:
            may = (ModeratorRow.password_hash.is_not(None), ModeratorRow.disabled_at.is_(None))
            wanted = select(ModeratorRow).where(ModeratorRow.login == _askable(login), *may).with_for_update()
            row = session.scalar(wanted)
            if row is None or row.password_hash is None:
                return None
            count_attempt(row, now)
            return _Attempt(row.id, row.password_hash, row.locked_until)

    @contextmanager
    def _changing(
        self, moderator_id: str, by: str, change: Mapping[str, Any], *, dethrones: bool = False
    ) -> Iterator[tuple[Session, ModeratorRow]]:
        """`dethrones`: an administrator would be none afterwards."""
        with self._database.write() as session:
            if dethrones:
                _check_another_administrator(session, moderator_id)
            yield session, _held(session, moderator_id)
            session.flush()
            self._audit.append_in(session, by, "moderator_changed", moderator_id, change)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What a password is judged by; `locked_until`: the lock that this attempt began, should it be wrong."""

    moderator_id: str
    password_hash: str
    locked_until: datetime | None


def new_moderator(login: str, name: str, role: Role, now: datetime) -> ModeratorRow:
    """Nobody's row yet, without any proof of who they are. Raises UnfitLogin."""
    login, name = passwords.canonical(login), name.strip()
    _check_printable(login, "login")
    _check_printable(name, "name")
    return ModeratorRow(
        id=str(uuid.uuid4()),
        login=login,
        name=name,
        role=role,
        role_by_claim=False,
        settings="{}",
        failures=0,
        created_at=now,
    )


def moderator_from(row: ModeratorRow) -> Moderator:
    return Moderator(
        id=row.id,
        login=row.login,
        name=row.name,
        role=cast(Role, row.role),
        settings=json.loads(row.settings),
        has_password=row.password_hash is not None,
        has_totp=row.totp_sealed is not None,
        disabled=row.disabled_at is not None,
    )


def _check_others(moderator_id: str, by: str) -> None:
    if moderator_id == by:
        raise OwnRights("Nobody can change their own role or disable themselves; ask another administrator.")


def _check_another_administrator(session: Session, moderator_id: str) -> None:
    """Holds all administrators, in one order, so that of two who dethrone each other at once one is refused."""
    throne = (ModeratorRow.role == "administrator", ModeratorRow.disabled_at.is_(None))
    wanted = select(ModeratorRow.id).where(*throne).order_by(ModeratorRow.id).with_for_update()
    if list(session.scalars(wanted)) == [moderator_id]:
        raise LastAdministrator("This is the last administrator who may log in; make somebody else one first.")


def _held(session: Session, moderator_id: str) -> ModeratorRow:
    """The row, ours until the transaction ends."""
    return _found(session.get(ModeratorRow, moderator_id, with_for_update=True), moderator_id)


def _found(row: ModeratorRow | None, wanted: str) -> ModeratorRow:
    if row is None:
        raise UnknownModerator(f"There is no moderator {wanted}.")
    return row


def _end_sessions(session: Session, moderator_id: str) -> None:
    session.execute(delete(SessionRow).where(SessionRow.moderator_id == moderator_id))


def _check_printable(text: str, what: str) -> None:
    if not text or not text.isprintable() or len(text) > LONGEST_NAME:
        raise UnfitLogin(f"A {what} is 1 to {LONGEST_NAME} characters that print.")


def _askable(login: str) -> str:
    """As the login is kept; nobody's when it holds what no database takes."""
    canonical = passwords.canonical(login)
    return canonical if canonical.isprintable() else ""


def _wrong_code() -> WrongCode:
    return WrongCode("The code is wrong or was used already; enter the one that the app shows now.")
