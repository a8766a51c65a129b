"""The tables, as the newest migration leaves them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no time zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {str: Text(), bytes: LargeBinary(), float: Double(), datetime: UtcDateTime()}  # noqa: RUF012


def _of_identity() -> ForeignKey:
    return ForeignKey("identities.id", ondelete="CASCADE")


def _of_reference() -> ForeignKey:
    return ForeignKey("gallery_references.id", ondelete="CASCADE")


class IdentityRow(Base):
    """A protected person. `sequence` is that of the identity's newest change; `quarantined_at` and
    `quarantine_reason` are NULL out of quarantine, `quarantine_lifted_at` tells when it last ended."""

    __tablename__ = "identities"
    __table_args__ = (
        CheckConstraint("kind IN ('celebrity', 'victim')", name="kind"),
        CheckConstraint("status IN ('pending', 'active', 'suspended', 'withdrawn', 'expired')", name="status"),
        CheckConstraint("reach BETWEEN 1 AND 5", name="reach"),
        Index(None, "status", "name", "id"),
        Index(
            "ix_identities_quarantined",
            "name",
            "id",
            sqlite_where=text("quarantined_at IS NOT NULL"),
            postgresql_where=text("quarantined_at IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    status: Mapped[str]
    sequence: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    reach: Mapped[int] = mapped_column(server_default="3")
    quarantined_at: Mapped[datetime | None]
    quarantine_reason: Mapped[str | None]
    quarantine_lifted_at: Mapped[datetime | None]


class IdentityKeyRow(Base):
    """The identity's data key, wrapped by the master key. Deleting this row erases the person from every copy."""

    __tablename__ = "identity_keys"

    identity_id: Mapped[str] = mapped_column(_of_identity(), primary_key=True)
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime]


class VectorKeyRow(Base):
    """The key by which faces are turned before a vector database is given them, wrapped by the master key; there is one
    at most. Deleting it makes what the vector database holds worthless, and another is made when it is next needed."""

    __tablename__ = "vector_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime]


class ReferenceRow(Base):
    """One photo of an identity: where it came from and where the face lies in it (box in pixels). With `suspended_at`
    nothing is compared with it. `hash_only`: the photo stayed with the person; there is a fingerprint, but no photo and
    no embedding, box and quality are 0, and `photo_sha256` is of the picture's PDQ."""

    __tablename__ = "gallery_references"
    __table_args__ = (UniqueConstraint("identity_id", "photo_sha256"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    identity_id: Mapped[str] = mapped_column(_of_identity())
    provenance: Mapped[str]
    photo_sha256: Mapped[str]
    photo_width: Mapped[int]
    photo_height: Mapped[int]
    face_x: Mapped[float]
    face_y: Mapped[float]
    face_width: Mapped[float]
    face_height: Mapped[float]
    quality: Mapped[float]
    added_at: Mapped[datetime]
    suspended_at: Mapped[datetime | None]
    hash_only: Mapped[bool] = mapped_column(server_default=false())


class ReferencePhotoRow(Base):
    """The JPEG copy of a reference that moderators see, sealed."""

    __tablename__ = "reference_photos"

    reference_id: Mapped[str] = mapped_column(_of_reference(), primary_key=True)
    sealed: Mapped[bytes]


class EmbeddingRow(Base):
    """A reference's embedding in one model pack: float32 little endian, sealed."""

    __tablename__ = "embeddings"

    reference_id: Mapped[str] = mapped_column(_of_reference(), primary_key=True)
    pack: Mapped[str] = mapped_column(primary_key=True)
    dimension: Mapped[int]
    sealed: Mapped[bytes]


class FingerprintRow(Base):
    """A reference's fingerprint, see records/fingerprints.py, sealed. Photos enrolled by older releases lack it."""

    __tablename__ = "fingerprints"

    reference_id: Mapped[str] = mapped_column(_of_reference(), primary_key=True)
    sealed: Mapped[bytes]


class OwnAccountRow(Base):
    """An account that the identity's owner really holds; `learned_at` is NULL when it was entered by hand."""

    __tablename__ = "own_accounts"

    identity_id: Mapped[str] = mapped_column(_of_identity(), primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)
    learned_at: Mapped[datetime | None]


class NegativePairRow(Base):
    """An account that a moderator found not to show the identity."""

    __tablename__ = "negative_pairs"

    identity_id: Mapped[str] = mapped_column(_of_identity(), primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)
    learned_at: Mapped[datetime]


class DecisionRow(Base):
    """What a moderator decided; rows are only ever added, and of one review's the highest `id` stands. `ended_at` is
    NULL but for a row that stands no more because the own account it speaks of was forgotten."""

    __tablename__ = "decisions"
    __table_args__ = (
        CheckConstraint(
            "decision IN ('confirmed', 'not_this_person', 'genuine_owner', 'bad_picture')", name="decision"
        ),
        Index(None, "identity_id", "account_id"),
        Index(None, "identity_id", "review_id"),
        Index(None, "identity_id", "decided_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    identity_id: Mapped[str] = mapped_column(_of_identity())
    account_id: Mapped[str]
    review_id: Mapped[str | None]
    decision: Mapped[str]
    decided_by: Mapped[str]
    decided_at: Mapped[datetime]
    note: Mapped[str | None]
    ended_at: Mapped[datetime | None]


class GalleryStateRow(Base):
    """The one row that counts the gallery's changes; its lock makes the order of sequences the order of commits."""

    __tablename__ = "gallery_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_sequence: Mapped[int] = mapped_column(BigInteger)


class OutboxEntry(Base):
    """A change that waits to be published; a value of NULL is a tombstone. `topic_name` is a name of [topics]."""

    __tablename__ = "outbox"

    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    topic_name: Mapped[str]
    key: Mapped[str]
    value: Mapped[str | None]
    created_at: Mapped[datetime]


class DeadLetterReplayRow(Base):
    """A dead letter whose original is being sent to screening again (`claimed`), or has been (`sent`)."""

    __tablename__ = "dead_letter_replays"
    __table_args__ = (CheckConstraint("state IN ('claimed', 'sent')", name="state"),)

    dead_letter_id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    claimed_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    replayed_by: Mapped[str]
