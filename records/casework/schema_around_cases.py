"""The tables around cases: golden cases, appeals, and what ROOST Coop is told."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from records.casework.schema_cases import CaseRow
from records.people.schema_people import ModeratorRow
from records.schema import Base


class GoldenCaseRow(Base):
    """A closed case whose right answer is known. Copies of it are mixed into the work, to see who finds it."""

    __tablename__ = "golden_cases"

    id: Mapped[str] = mapped_column(primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey(CaseRow.id, ondelete="CASCADE"), unique=True)
    expected: Mapped[str]
    why: Mapped[str]
    added_by: Mapped[str] = mapped_column(ForeignKey(ModeratorRow.id))
    added_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class AppealRow(Base):
    """What somebody said against the decision on a case, and what became of it. `received_by`: a moderator's id, or
    `token:` and the id of the platform's token."""

    __tablename__ = "appeals"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'upheld', 'reversed')", name="state"),
        Index(None, "case_id", "received_at"),
        Index(None, "state", "received_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey(CaseRow.id, ondelete="CASCADE"))
    decision_id: Mapped[str]
    text: Mapped[str]
    received_by: Mapped[str]
    received_at: Mapped[datetime]
    state: Mapped[str]
    closed_at: Mapped[datetime | None]


class CoopReportRow(Base):
    """A case that goes to ROOST Coop. `picture_url`: where the platform keeps the picture, forgotten once it is sent;
    `refused`: why Coop does not want it; then it is not sent again until somebody asks for it."""

    __tablename__ = "coop_reports"
    __table_args__ = (Index(None, "sent_at", "created_at"),)

    case_id: Mapped[str] = mapped_column(ForeignKey(CaseRow.id, ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[datetime]
    picture_url: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    refused: Mapped[str | None]
