"""The tables of reports: what people send us, under which key it rests, and what is left when they take it back."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from records.people.schema_people import ModeratorRow
from records.schema import Base, IdentityRow


def _of_report() -> ForeignKey:
    return ForeignKey("reports.id", ondelete="CASCADE")


class ReportRow(Base):
    """Somebody's report. It holds nothing about a person but under the report's data key, see ReportKeyRow.

    `number`: the case number, which the reporter has with a PIN (`pin_hash`, argon2). `kind`: photos; hashes of photos
    that stayed with the person; words only, of a minor. `lane`: who works it. `source`: `page`, `topic` or `token:` and
    the id of the platform's token, with its own id of the report in `source_key`. `identity_id`: the identity that
    approval made. `consent_text`: the version of the texts agreed to, at `consented_at`, for `months`. `ends_at`: when
    consent ends; `details`: contact, links, own accounts, what was said, sealed; `receipt`: signed proof of erasure.
    `reminded_at` and `told_at`: up to when mail has told of the end of consent, and of news; see notices.py.
    """

    __tablename__ = "reports"
    __table_args__ = (
        CheckConstraint("kind IN ('photos', 'hashes', 'words')", name="kind"),
        CheckConstraint("lane IN ('standard', 'specialist', 'trusted_flagger', 'platform')", name="lane"),
        CheckConstraint(
            "state IN ('received', 'checking', 'protecting', 'refused', 'closed', 'withdrawn', 'expired')", name="state"
        ),
        Index(None, "state", "lane", "created_at"),
        Index(None, "state", "ends_at"),
        Index(None, "source", "source_key", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    lane: Mapped[str]
    state: Mapped[str]
    source: Mapped[str]
    source_key: Mapped[str | None]
    identity_id: Mapped[str | None] = mapped_column(ForeignKey(IdentityRow.id, ondelete="SET NULL"), index=True)
    language: Mapped[str]
    pin_hash: Mapped[str]
    failures: Mapped[int]
    locked_until: Mapped[datetime | None]
    consent_text: Mapped[str]
    consented_at: Mapped[datetime]
    consent_contact: Mapped[bool]
    months: Mapped[int]
    details: Mapped[bytes | None]
    created_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(ForeignKey(ModeratorRow.id))
    reason: Mapped[str | None]
    ends_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    receipt: Mapped[str | None]


class ReportKeyRow(Base):
    """The report's data key, wrapped by the master key. Deleting this row erases what the person sent."""

    __tablename__ = "report_keys"

    report_id: Mapped[str] = mapped_column(_of_report(), primary_key=True)
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime]


class ReportPhotoRow(Base):
    """A photo of a report (`role` face), the hash of one that stayed with the person (`photo` is NULL then), or the
    challenge photo. `photo`: JPEG, `facts`: JSON; both sealed."""

    __tablename__ = "report_photos"
    __table_args__ = (CheckConstraint("role IN ('face', 'challenge')", name="role"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    report_id: Mapped[str] = mapped_column(_of_report(), index=True)
    role: Mapped[str]
    photo: Mapped[bytes | None]
    facts: Mapped[bytes]
    added_at: Mapped[datetime]


class ReportMessageRow(Base):
    """What moderators and the reporter write one another, sealed. `moderator_id`: NULL for the reporter's."""

    __tablename__ = "report_messages"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    report_id: Mapped[str] = mapped_column(_of_report(), index=True)
    moderator_id: Mapped[str | None] = mapped_column(ForeignKey(ModeratorRow.id))
    text: Mapped[bytes]
    written_at: Mapped[datetime]
    read_at: Mapped[datetime | None]


class ReportDraftRow(Base):
    """A report that is still being written. `id`: SHA-256 of the browser's token in hex; the draft is sealed with a key
    made of that token, so nobody but the browser can open it."""

    __tablename__ = "report_drafts"

    id: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ReportSessionRow(Base):
    """A browser that has given case number and PIN. `id`: SHA-256 of its token, in hex."""

    __tablename__ = "report_sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    report_id: Mapped[str] = mapped_column(_of_report(), index=True)
    seen_at: Mapped[datetime]


class ReportAttemptRow(Base):
    """That an address or a device sent a report, forgotten after a day. `who`: a keyed hash, never the address;
    `report`: one of the report's draft, which counts once however often it is sent."""

    __tablename__ = "report_attempts"
    __table_args__ = (Index(None, "who", "at"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    who: Mapped[str]
    report: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)


class ErasureRow(Base):
    """That somebody was erased: what was there, counted, and which request it followed. Holds nothing of the person,
    and is what an older copy of the database is cleaned by."""

    __tablename__ = "erasures"
    __table_args__ = (
        CheckConstraint("request IN ('withdrawn', 'expired', 'refused', 'operator')", name="request"),
        Index(None, "identity_id"),
        Index(None, "report_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    report_id: Mapped[str | None]
    identity_id: Mapped[str | None]
    request: Mapped[str]
    erased: Mapped[str]
    at: Mapped[datetime]


class LookBackRow(Base):
    """A search for a new identity among avatars that were uploaded before it was there, since `since`. `position`: JSON
    of what is searched, and how far it is; NULL before it begins."""

    __tablename__ = "look_backs"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'running', 'done')", name="state"),
        Index(None, "state", "asked_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    identity_id: Mapped[str] = mapped_column(ForeignKey(IdentityRow.id, ondelete="CASCADE"), index=True)
    state: Mapped[str]
    since: Mapped[datetime]
    asked_at: Mapped[datetime]
    asked_by: Mapped[str]
    finished_at: Mapped[datetime | None]
    position: Mapped[str | None]
    seen: Mapped[int] = mapped_column(BigInteger)
    found: Mapped[int]


class ProbeKeyRow(Base):
    """The key of one day's probes on the topic avatar-probes, wrapped by the master key; deleted when the day is past
    its retention, and with it all that was kept of that day's faces."""

    __tablename__ = "probe_keys"

    day: Mapped[date] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime]


class SigningKeyRow(Base):
    """A key (Ed25519) that receipts and evidence files are signed with; the newest signs. `public`: 32 bytes;
    `wrapped`: the private half, wrapped by the master key."""

    __tablename__ = "signing_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    public: Mapped[bytes]
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime]


class SealingKeyRow(Base):
    """A key pair (X25519) that platforms seal reports for; the newest is given out. `wrapped`: the data key that the
    private half follows from, wrapped by the master key."""

    __tablename__ = "sealing_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime]
