"""Suspended references, golden cases, appeals, tokens of the API, and what goes to ROOST Coop."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("gallery_references", sa.Column("suspended_at", MOMENT, nullable=True))
    op.create_index(op.f("ix_identities_status_name_id"), "identities", ["status", "name", "id"])
    held = sa.text("quarantined_at IS NOT NULL")
    op.create_index("ix_identities_quarantined", "identities", ["name", "id"], sqlite_where=held, postgresql_where=held)
    op.create_table(
        "golden_cases",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("source_id", sa.Text, sa.ForeignKey("cases.id", ondelete="CASCADE"), nullable=False, unique=True),
        sa.Column("expected", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("added_by", sa.Text, sa.ForeignKey("moderators.id"), nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.Column("retired_at", MOMENT, nullable=True),
    )
    op.create_table(
        "appeals",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("case_id", sa.Text, sa.ForeignKey("cases.id", ondelete="CASCADE"), nullable=False),
        sa.Column("decision_id", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("received_by", sa.Text, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.CheckConstraint("state IN ('open', 'upheld', 'reversed')", name="state"),
    )
    op.create_index(op.f("ix_appeals_case_id_received_at"), "appeals", ["case_id", "received_at"])
    op.create_index(op.f("ix_appeals_state_received_at"), "appeals", ["state", "received_at"])
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.Column("used_at", MOMENT, nullable=True),
    )
    op.create_table(
        "coop_reports",
        sa.Column("case_id", sa.Text, sa.ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("picture_url", sa.Text, nullable=True),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("refused", sa.Text, nullable=True),
    )
    op.create_index(op.f("ix_coop_reports_sent_at_created_at"), "coop_reports", ["sent_at", "created_at"])


def downgrade() -> None:
    for table in ("coop_reports", "api_tokens", "appeals", "golden_cases"):
        op.drop_table(table)
    op.drop_index("ix_identities_quarantined", "identities")
    op.drop_index(op.f("ix_identities_status_name_id"), "identities")
    op.drop_column("gallery_references", "suspended_at")
