"""Reports, look-backs, erasures and signing keys; what made a case."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _of_report() -> sa.ForeignKey:
    return sa.ForeignKey("reports.id", ondelete="CASCADE")


def upgrade() -> None:
    op.add_column("gallery_references", sa.Column("hash_only", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "case_picture_keys",
        sa.Column("case_id", sa.Text, sa.ForeignKey("case_pictures.case_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.execute(
        "INSERT INTO case_picture_keys (case_id, wrapped, created_at) SELECT case_id, wrapped, opened_at "
        "FROM case_pictures JOIN cases ON cases.id = case_pictures.case_id"
    )
    op.drop_column("case_pictures", "wrapped")
    op.add_column("cases", sa.Column("trigger", sa.Text, nullable=False, server_default="upload"))
    op.create_table(
        "reports",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=True),
        sa.Column("identity_id", sa.Text, sa.ForeignKey("identities.id", ondelete="SET NULL"), nullable=True),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("pin_hash", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", MOMENT, nullable=True),
        sa.Column("consent_text", sa.Text, nullable=False),
        sa.Column("consented_at", MOMENT, nullable=False),
        sa.Column("consent_contact", sa.Boolean, nullable=False),
        sa.Column("months", sa.Integer, nullable=False),
        sa.Column("details", sa.LargeBinary, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by", sa.Text, sa.ForeignKey("moderators.id"), nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("ends_at", MOMENT, nullable=True),
        sa.Column("reminded_at", MOMENT, nullable=True),
        sa.Column("told_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("receipt", sa.Text, nullable=True),
        sa.CheckConstraint("kind IN ('photos', 'hashes', 'words')", name="kind"),
        sa.CheckConstraint("lane IN ('standard', 'specialist', 'trusted_flagger', 'platform')", name="lane"),
        sa.CheckConstraint(
            "state IN ('received', 'checking', 'protecting', 'refused', 'closed', 'withdrawn', 'expired')", name="state"
        ),
    )
    op.create_index(op.f("ix_reports_state_lane_created_at"), "reports", ["state", "lane", "created_at"])
    op.create_index(op.f("ix_reports_state_ends_at"), "reports", ["state", "ends_at"])
    op.create_index(op.f("ix_reports_source_source_key"), "reports", ["source", "source_key"], unique=True)
    op.create_index(op.f("ix_reports_identity_id"), "reports", ["identity_id"])
    op.create_table(
        "report_keys",
        sa.Column("report_id", sa.Text, _of_report(), primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "report_photos",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("report_id", sa.Text, _of_report(), nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("photo", sa.LargeBinary, nullable=True),
        sa.Column("facts", sa.LargeBinary, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.CheckConstraint("role IN ('face', 'challenge')", name="role"),
    )
    op.create_index(op.f("ix_report_photos_report_id"), "report_photos", ["report_id"])
    op.create_table(
        "report_messages",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("report_id", sa.Text, _of_report(), nullable=False),
        sa.Column("moderator_id", sa.Text, sa.ForeignKey("moderators.id"), nullable=True),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("written_at", MOMENT, nullable=False),
        sa.Column("read_at", MOMENT, nullable=True),
    )
    op.create_index(op.f("ix_report_messages_report_id"), "report_messages", ["report_id"])
    op.create_table(
        "report_drafts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
    )
    op.create_index(op.f("ix_report_drafts_expires_at"), "report_drafts", ["expires_at"])
    op.create_table(
        "report_sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("report_id", sa.Text, _of_report(), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
    )
    op.create_index(op.f("ix_report_sessions_report_id"), "report_sessions", ["report_id"])
    op.create_table(
        "report_attempts",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index(op.f("ix_report_attempts_who_at"), "report_attempts", ["who", "at"])
    op.create_index(op.f("ix_report_attempts_at"), "report_attempts", ["at"])
    op.create_table(
        "erasures",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("report_id", sa.Text, nullable=True),
        sa.Column("identity_id", sa.Text, nullable=True),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("erased", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("request IN ('withdrawn', 'expired', 'refused', 'operator')", name="request"),
    )
    op.create_index(op.f("ix_erasures_identity_id"), "erasures", ["identity_id"])
    op.create_index(op.f("ix_erasures_report_id"), "erasures", ["report_id"])
    op.create_table(
        "look_backs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("identity_id", sa.Text, sa.ForeignKey("identities.id", ondelete="CASCADE"), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("position", sa.Text, nullable=True),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("found", sa.Integer, nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'running', 'done')", name="state"),
    )
    op.create_index(op.f("ix_look_backs_state_asked_at"), "look_backs", ["state", "asked_at"])
    op.create_index(op.f("ix_look_backs_identity_id"), "look_backs", ["identity_id"])
    op.create_table(
        "probe_keys",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("public", sa.LargeBinary, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "sealing_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    op.execute("DELETE FROM gallery_references WHERE hash_only")  # an older release cannot read their fingerprints
    op.drop_column("gallery_references", "hash_only")
    for table in (
        "sealing_keys",
        "signing_keys",
        "probe_keys",
        "look_backs",
        "erasures",
        "report_attempts",
        "report_sessions",
        "report_drafts",
        "report_messages",
        "report_photos",
        "report_keys",
        "reports",
    ):
        op.drop_table(table)
    op.drop_column("cases", "trigger")
    op.execute("DELETE FROM case_pictures")  # the older version cannot open them
    op.add_column("case_pictures", sa.Column("wrapped", sa.LargeBinary, nullable=False))
    op.drop_table("case_picture_keys")
