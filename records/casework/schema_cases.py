"""The tables of the moderation console: cases, their pictures, and what was decided on them."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from records.people.schema_people import ModeratorRow
from records.schema import Base

BAND = 0.05
"""Steps of cosine in which `CaseRow.band` counts how far a similarity is over the threshold: 0 is [0, 0.05)."""


class CaseRow(Base):
    """What a moderator works on: a review that came from screening. `id` is the review's and so derives from the event.

    `kind`, `identity_*`, `reference_id` and `band` are of the leading finding; `band`: how far its similarity is over
    the threshold, in steps of BAND. `evidence`: JSON of all findings, without names, which are looked up when a person
    reads them. `picture_group`: the first case that showed this picture. `stage`: whose turn it is (first or second
    reviewer, lead, who judges an appeal); `double_review`: a second person judges it as a sample of quality.
    `trigger`: what brought the picture up, its `upload` or a `look_back`.
    `golden_id`: it is a copy that tests the moderator `golden_for`, see golden_copies.py. Only an open case is claimed;
    from `claimed_until` on another may take it.
    """

    __tablename__ = "cases"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'decided', 'closed')", name="state"),
        CheckConstraint("stage IN ('first', 'second', 'lead', 'appeal')", name="stage"),
        Index(None, "claimed_by"),
        Index(None, "account_id"),
        Index(None, "identity_id", "opened_at"),
        Index(None, "event_id"),
        Index(None, "picture_group", "state"),
        Index(None, "golden_for"),
        Index(None, "state", "opened_at", "id"),
        Index(None, "state", "queue", "opened_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str]
    account_id: Mapped[str]
    handle: Mapped[str | None]
    display_name: Mapped[str | None]
    account_created_at: Mapped[datetime | None]
    uploaded_at: Mapped[datetime | None]
    screened_at: Mapped[datetime]
    opened_at: Mapped[datetime]
    queue: Mapped[str]
    kind: Mapped[str]
    identity_id: Mapped[str | None]
    identity_kind: Mapped[str | None]
    reference_id: Mapped[str | None] = mapped_column(index=True)
    band: Mapped[int | None]
    priority: Mapped[int]
    held: Mapped[bool]
    evidence: Mapped[str]
    picture_group: Mapped[str | None]
    trigger: Mapped[str] = mapped_column(server_default="upload")
    golden_id: Mapped[str | None]
    golden_for: Mapped[str | None]
    double_review: Mapped[bool]
    state: Mapped[str]
    stage: Mapped[str]
    claimed_by: Mapped[str | None] = mapped_column(ForeignKey(ModeratorRow.id, ondelete="SET NULL"))
    claimed_until: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


SHOWN_AGAIN = CaseRow.picture_group != CaseRow.id

# in the order in which a queue is worked, so that its next case is the index's next entry
Index(
    "ix_cases_work",
    CaseRow.state,
    CaseRow.queue,
    CaseRow.priority.desc(),
    CaseRow.opened_at,
    CaseRow.stage,
    CaseRow.golden_id,
)
# only of copies, or SQLite would take it for those that are none, which nearly all cases are
COPY = CaseRow.golden_id.is_not(None)
Index("ix_cases_copies", CaseRow.golden_id, sqlite_where=COPY, postgresql_where=COPY)
# what backlogs are counted by
Index("ix_cases_flow", CaseRow.opened_at, CaseRow.closed_at, CaseRow.queue, CaseRow.golden_id, CaseRow.kind)
# what campaigns are found by: the cases that show a picture which another showed before, and how each person's come in
Index(
    "ix_cases_shown_again", CaseRow.state, CaseRow.picture_group, sqlite_where=SHOWN_AGAIN, postgresql_where=SHOWN_AGAIN
)
Index("ix_cases_of_people", CaseRow.state, CaseRow.identity_id, CaseRow.opened_at)


class CasePictureRow(Base):
    """What a case shows, sealed with a data key of its own: the avatar as JPEG and where the faces lie, in the avatar
    and in the references. Deleted when its retention has passed."""

    __tablename__ = "case_pictures"

    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True)
    picture: Mapped[bytes]
    faces: Mapped[bytes]
    kept_until: Mapped[datetime] = mapped_column(index=True)


class CasePictureKeyRow(Base):
    """The data key of a case's picture, wrapped by the master key; apart from it, as copies of the two lie apart."""

    __tablename__ = "case_picture_keys"

    case_id: Mapped[str] = mapped_column(ForeignKey("case_pictures.case_id", ondelete="CASCADE"), primary_key=True)
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime]


class CaseFingerprintRow(Base):
    """The PDQ of a case's picture, sealed and erased with the picture; `number` tells what is new."""

    __tablename__ = "case_fingerprints"

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("case_pictures.case_id", ondelete="CASCADE"), unique=True)
    sealed: Mapped[bytes]


class CaseDecisionRow(Base):
    """What somebody decided on a case, at which stage. It can be undone until `due_at`, which is NULL once the gallery
    may have learned from it.

    `pending`: settles the case once it is due; `final`: told to the platform; `undone`; `first`: not told, the case
    went on to a second reviewer or a lead, and nobody has said otherwise; `overruled`: something else was told.
    `batch_id`: that of the decisions which were made with it at once, on a campaign."""

    __tablename__ = "case_decisions"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'final', 'undone', 'first', 'overruled')", name="state"),
        CheckConstraint(
            "decision IN ('confirmed', 'not_this_person', 'genuine_owner', 'bad_picture', 'escalated')", name="decision"
        ),
        Index(None, "case_id", "decided_by"),
        Index(None, "state", "due_at"),
        Index(None, "decided_by", "decided_at"),
        Index(None, "final_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"))
    stage: Mapped[str]
    identity_id: Mapped[str | None]
    decision: Mapped[str]
    reason: Mapped[str]
    note: Mapped[str | None]
    batch_id: Mapped[str | None] = mapped_column(index=True)
    decided_by: Mapped[str] = mapped_column(ForeignKey(ModeratorRow.id))
    decided_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    final_at: Mapped[datetime | None]
    state: Mapped[str]


class CaseSkipRow(Base):
    """A case that a moderator passed on, and why; it is not offered to them again."""

    __tablename__ = "case_skips"

    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True)
    moderator_id: Mapped[str] = mapped_column(ForeignKey(ModeratorRow.id, ondelete="CASCADE"), primary_key=True)
    reason: Mapped[str]
    skipped_at: Mapped[datetime]


class CaseCommentRow(Base):
    """What moderators tell one another about a case. `stage`: the case's when it was written."""

    __tablename__ = "case_comments"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), index=True)
    moderator_id: Mapped[str] = mapped_column(ForeignKey(ModeratorRow.id))
    stage: Mapped[str]
    text: Mapped[str]
    written_at: Mapped[datetime]


class DecisionToSendRow(Base):
    """A decision that is final and waits to be published on review-decisions. `value`: the message's data as JSON;
    `batch`: the number of the batch with which it is on its way."""

    __tablename__ = "decisions_to_send"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    key: Mapped[str]
    decision_id: Mapped[str] = mapped_column(unique=True)
    value: Mapped[str]
    created_at: Mapped[datetime]
    batch: Mapped[int | None] = mapped_column(BigInteger, index=True)


class DecisionBatchRow(Base):
    """The one row with the number of the newest batch of decisions; its lock lets one at a time number a batch."""

    __tablename__ = "decision_batches"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_number: Mapped[int] = mapped_column(BigInteger)
