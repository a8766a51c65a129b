"""Identities, references, embeddings, keys, own accounts, and the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def _identity_id(*, primary_key: bool) -> sa.Column[str]:
    return sa.Column(
        "identity_id",
        sa.Text,
        sa.ForeignKey("identities.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


def _reference_id() -> sa.Column[str]:
    return sa.Column(
        "reference_id", sa.Text, sa.ForeignKey("gallery_references.id", ondelete="CASCADE"), primary_key=True
    )


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, index=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint("kind IN ('celebrity', 'victim')", name="kind"),
        sa.CheckConstraint("status IN ('pending', 'active', 'suspended', 'withdrawn', 'expired')", name="status"),
    )
    op.create_table(
        "identity_keys",
        _identity_id(primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "gallery_references",
        sa.Column("id", sa.Text, primary_key=True),
        _identity_id(primary_key=False),
        sa.Column("provenance", sa.Text, nullable=False),
        sa.Column("photo_sha256", sa.Text, nullable=False),
        sa.Column("photo_width", sa.Integer, nullable=False),
        sa.Column("photo_height", sa.Integer, nullable=False),
        sa.Column("face_x", sa.Double, nullable=False),
        sa.Column("face_y", sa.Double, nullable=False),
        sa.Column("face_width", sa.Double, nullable=False),
        sa.Column("face_height", sa.Double, nullable=False),
        sa.Column("quality", sa.Double, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.UniqueConstraint("identity_id", "photo_sha256"),
    )
    op.create_table("reference_photos", _reference_id(), sa.Column("sealed", sa.LargeBinary, nullable=False))
    op.create_table(
        "embeddings",
        _reference_id(),
        sa.Column("pack", sa.Text, primary_key=True),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table("own_accounts", _identity_id(primary_key=True), sa.Column("account_id", sa.Text, primary_key=True))
    state = op.create_table(
        "gallery_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(state, [{"id": 1, "last_sequence": 0}])
    op.create_table(
        "outbox",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("topic_name", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    for table in (
        "outbox",
        "gallery_state",
        "own_accounts",
        "embeddings",
        "reference_photos",
        "gallery_references",
        "identity_keys",
        "identities",
    ):
        op.drop_table(table)
