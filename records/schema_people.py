"""The tables of those who work with Likeness, and of what they did: moderators, sessions, audit log."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from records.schema import Base


class ModeratorRow(Base):
    """Somebody who may log in. `password_hash` (argon2) is NULL for who comes by OpenID Connect, `oidc_subject` for who
    does not or has not yet; `role_by_claim`: nobody added them, the provider's word made them and gives their role;
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


class AuditRow(Base):
    """One entry of the audit log; see records/audit.py for what `hash` covers."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index(None, "subject", "number"),
        Index(None, "actor", "number"),
        Index(None, "action", "number"),
        Index(None, "at"),
    )

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    details: Mapped[str]
    hash: Mapped[str]


class AuditStateRow(Base):
    """The one row with the audit log's newest number and hash; its lock makes the log one chain."""

    __tablename__ = "audit_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_number: Mapped[int] = mapped_column(BigInteger)
    last_hash: Mapped[str]
