"""The tables of those who work with Likeness: moderators, their sessions, and the tokens of programs."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from records.schema import Base


class ModeratorRow(Base):
    """Somebody who may log in. `password_hash` (argon2) is NULL for who comes by OpenID Connect, `oidc_subject` for who
    does not or has not yet; `role_by_claim`: the provider has named their role once, and gives it at each login since;
    `totp_sealed` is the second factor's secret, sealed; `settings` are JSON, the person's own."""

    __tablename__ = "moderators"
    __table_args__ = (
        CheckConstraint("role IN ('moderator', 'lead', 'curator', 'administrator', 'auditor')", name="role"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str | None]
    totp_sealed: Mapped[bytes | None]
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger)
    oidc_subject: Mapped[str | None] = mapped_column(unique=True)
    role_by_claim: Mapped[bool] = mapped_column(default=False)
    settings: Mapped[str]
    failures: Mapped[int]
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class SessionRow(Base):
    """A logged-in browser. `id`: SHA-256 of the cookie's token, in hex, so that who reads the table cannot log in."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    moderator_id: Mapped[str] = mapped_column(ForeignKey("moderators.id", ondelete="CASCADE"), index=True)
    csrf_token: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class ApiTokenRow(Base):
    """A program that may use the API. `hash`: SHA-256 of the token, in hex; `scopes`: their names, blank between."""

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
