"""Which dead letters were sent to screening again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "dead_letter_replays",
        sa.Column("dead_letter_id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("claimed_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("replayed_by", sa.Text, nullable=False),
        sa.CheckConstraint("state IN ('claimed', 'sent')", name="state"),
    )


def downgrade() -> None:
    op.drop_table("dead_letter_replays")
