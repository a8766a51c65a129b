"""Tokens of the API: each lets one program of the platform do what its scopes say.

A token is `lk_` and 32 random bytes in base64url. It is shown once, when it is made; we keep its SHA-256.
"""

import hashlib
import secrets
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast, get_args

from sqlalchemy import select, update

from records.announcer import utc_now
from records.audit import AuditLog
from records.database import Database
from records.errors import UnfitToken, UnknownToken
from records.people.schema_people import ApiTokenRow

Scope = Literal["cases:read", "cases:decide", "pictures:read", "appeals:write", "reports:write", "reports:flag"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

PREFIX = "lk_"
TOKEN_BYTES = 32
LONGEST_NAME = 100
USED_EVERY = timedelta(minutes=1)
"""How often a use is written down; a write costs more than all else that a token's check does."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """`created_by`: a moderator's id or `operator:` and a login name. `used_at` is a minute exact."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None

    @property
    def actor(self) -> str:
        """Its name in the audit log."""
        return f"token:{self.id}"

    def works(self, now: datetime) -> bool:
        """Whether it is in force: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class ApiTokens:
    """Each method is one transaction, or two, and may raise DatabaseAway or SchemaMismatch. `clock` gives the moment,
    aware."""

    def __init__(self, database: Database, audit: AuditLog, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    def add(
        self, name: str, scopes: Collection[str], *, expires_at: datetime | None = None, by: str
    ) -> tuple[str, ApiToken]:
        """A new token: its text, which nobody can be told again, and what is kept of it. Raises UnfitToken."""
        now = self._clock()
        name = name.strip()
        if not name or not name.isprintable() or len(name) > LONGEST_NAME:
            raise UnfitToken(f"A token's name is 1 to {LONGEST_NAME} characters that print.")
        if not scopes or not set(scopes) <= set(SCOPES):
            raise UnfitToken(f"A token has at least one of the scopes {', '.join(SCOPES)}, and no other.")
        if expires_at is not None and expires_at <= now:
            raise UnfitToken("A token must expire later than now, or never.")
        text = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        row = ApiTokenRow(
            id=str(uuid.uuid4()),
            name=name,
            hash=_hash(text),
            scopes=" ".join(scope for scope in SCOPES if scope in scopes),
            created_by=by,
            created_at=now,
            expires_at=expires_at,
        )
        with self._database.write() as session:
            session.add(row)
            session.flush()
            token = _token_of(row)
            details = {"scopes": list(token.scopes), "expires_at": expires_at.isoformat() if expires_at else None}
            self._audit.append_in(session, by, "token_added", token.id, details)
        return text, token

    def list(self) -> tuple[ApiToken, ...]:
        """All, those that are revoked or expired too, newest first."""
        with self._database.read() as session:
            rows = session.scalars(select(ApiTokenRow).order_by(ApiTokenRow.created_at.desc(), ApiTokenRow.id))
            return tuple(_token_of(row) for row in rows)

    def revoke(self, token_id: str, *, by: str) -> ApiToken:
        """From now on it lets nobody in. Raises UnknownToken, also for one that is revoked already."""
        with self._database.write() as session:
            row = session.get(ApiTokenRow, token_id, with_for_update=True)
            if row is None or row.revoked_at is not None:
                raise UnknownToken("There is no such token, or it is revoked already; look at the list.")
            row.revoked_at = self._clock()
            session.flush()
            self._audit.append_in(session, by, "token_revoked", token_id)
            return _token_of(row)

    def find(self, text: str) -> ApiToken | None:
        """The token that is in force and has this text."""
        if not text.startswith(PREFIX):
            return None
        now = self._clock()
        with self._database.read() as session:
            row = session.scalar(select(ApiTokenRow).where(ApiTokenRow.hash == _hash(text)))
            token = None if row is None else _token_of(row)
        if token is None or not token.works(now):
            return None
        if token.used_at is None or now - token.used_at >= USED_EVERY:
            with self._database.write() as session:
                session.execute(update(ApiTokenRow).where(ApiTokenRow.id == token.id).values(used_at=now))
        return token


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _token_of(row: ApiTokenRow) -> ApiToken:
    return ApiToken(
        id=row.id,
        name=row.name,
        scopes=tuple(cast(Scope, scope) for scope in row.scopes.split()),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
    )
