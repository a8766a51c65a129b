"""The tables of the audit log."""

from datetime import datetime

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from records.schema import Base


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
