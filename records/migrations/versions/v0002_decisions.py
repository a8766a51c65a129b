"""Reach and quarantine of identities, fingerprints of references, decisions and what they teach."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
QUARANTINE = (("quarantined_at", MOMENT), ("quarantine_reason", sa.Text), ("quarantine_lifted_at", MOMENT))


def _identity_id(*, primary_key: bool) -> sa.Column[str]:
    return sa.Column(
        "identity_id",
        sa.Text,
        sa.ForeignKey("identities.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


def upgrade() -> None:
    # one statement: SQLite makes a new table for a separate constraint, and dropping the old erases what hangs on it
    op.execute(
        "ALTER TABLE identities ADD COLUMN reach INTEGER DEFAULT 3 NOT NULL "
        "CONSTRAINT ck_identities_reach CHECK (reach BETWEEN 1 AND 5)"
    )
    for name, kind in QUARANTINE:
        op.add_column("identities", sa.Column(name, kind, nullable=True))
    op.add_column("own_accounts", sa.Column("learned_at", MOMENT, nullable=True))
    op.create_table(
        "fingerprints",
        sa.Column(
            "reference_id", sa.Text, sa.ForeignKey("gallery_references.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "negative_pairs",
        _identity_id(primary_key=True),
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("learned_at", MOMENT, nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        _identity_id(primary_key=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("review_id", sa.Text, nullable=True),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.Column("note", sa.Text, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "decision IN ('confirmed', 'not_this_person', 'genuine_owner', 'bad_picture')", name="decision"
        ),
    )
    for column in ("account_id", "review_id", "decided_at"):
        op.create_index(op.f(f"ix_decisions_identity_id_{column}"), "decisions", ["identity_id", column])


def downgrade() -> None:
    for table in ("decisions", "negative_pairs", "fingerprints"):
        op.drop_table(table)
    op.drop_column("own_accounts", "learned_at")
    for name in (*(name for name, _ in QUARANTINE), "reach"):
        op.drop_column("identities", name)
