"""Cases, what moderators do with them, the moderators themselves, and the audit log."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.Text()
MOMENT = sa.DateTime(timezone=True)
COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
FIRST_HASH = "0" * 64


def _column(
    name: str, kind: sa.types.TypeEngine[Any] = TEXT, *args: sa.ForeignKey, null: bool = False
) -> sa.Column[Any]:
    return sa.Column(name, kind, *args, nullable=null)


def _of(table: str, ondelete: str | None = None) -> sa.ForeignKey:
    return sa.ForeignKey(f"{table}.id", ondelete=ondelete)


def _index(table: str, *columns: str, unique: bool = False) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns), unique=unique)


def upgrade() -> None:
    op.create_table(
        "moderators",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("login", sa.Text, nullable=False, unique=True),
        _column("name"),
        _column("role"),
        _column("password_hash", null=True),
        _column("totp_sealed", sa.LargeBinary(), null=True),
        _column("totp_last_step", sa.BigInteger(), null=True),
        sa.Column("oidc_subject", sa.Text, nullable=True, unique=True),
        _column("role_by_claim", sa.Boolean()),
        _column("settings"),
        _column("failures", sa.Integer()),
        _column("locked_until", MOMENT, null=True),
        _column("created_at", MOMENT),
        _column("last_seen_at", MOMENT, null=True),
        _column("disabled_at", MOMENT, null=True),
        sa.CheckConstraint("role IN ('moderator', 'lead', 'curator', 'administrator', 'auditor')", name="role"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, primary_key=True),
        _column("moderator_id", sa.Text(), _of("moderators", "CASCADE")),
        _column("csrf_token"),
        _column("created_at", MOMENT),
        _column("seen_at", MOMENT),
    )
    _index("sessions", "moderator_id")
    op.create_table(
        "cases",
        sa.Column("id", sa.Text, primary_key=True),
        _column("event_id"),
        _column("account_id"),
        _column("handle", null=True),
        _column("display_name", null=True),
        _column("account_created_at", MOMENT, null=True),
        _column("uploaded_at", MOMENT, null=True),
        _column("screened_at", MOMENT),
        _column("opened_at", MOMENT),
        _column("queue"),
        _column("kind"),
        _column("identity_id", null=True),
        _column("identity_kind", null=True),
        _column("reference_id", null=True),
        _column("band", sa.Integer(), null=True),
        _column("priority", sa.Integer()),
        _column("held", sa.Boolean()),
        _column("evidence"),
        _column("picture_group", null=True),
        _column("golden_id", null=True),
        _column("golden_for", null=True),
        _column("double_review", sa.Boolean()),
        _column("state"),
        _column("stage"),
        _column("claimed_by", sa.Text(), _of("moderators", "SET NULL"), null=True),
        _column("claimed_until", MOMENT, null=True),
        _column("closed_at", MOMENT, null=True),
        sa.CheckConstraint("state IN ('open', 'decided', 'closed')", name="state"),
        sa.CheckConstraint("stage IN ('first', 'second', 'lead', 'appeal')", name="stage"),
    )
    urgent_first = sa.text("priority DESC")
    op.create_index("ix_cases_work", "cases", ["state", "queue", urgent_first, "opened_at", "stage", "golden_id"])
    op.create_index("ix_cases_flow", "cases", ["opened_at", "closed_at", "queue", "golden_id", "kind"])
    again = sa.text("picture_group <> id")
    op.create_index(
        "ix_cases_shown_again", "cases", ["state", "picture_group"], sqlite_where=again, postgresql_where=again
    )
    copy = sa.text("golden_id IS NOT NULL")
    op.create_index("ix_cases_copies", "cases", ["golden_id"], sqlite_where=copy, postgresql_where=copy)
    op.create_index("ix_cases_of_people", "cases", ["state", "identity_id", "opened_at"])
    for columns in (
        ("claimed_by",),
        ("account_id",),
        ("identity_id", "opened_at"),
        ("event_id",),
        ("picture_group", "state"),
        ("golden_for",),
        ("reference_id",),
        ("state", "opened_at", "id"),
        ("state", "queue", "opened_at", "id"),
    ):
        _index("cases", *columns)
    op.create_table(
        "case_pictures",
        sa.Column("case_id", sa.Text, _of("cases", "CASCADE"), primary_key=True),
        _column("wrapped", sa.LargeBinary()),
        _column("picture", sa.LargeBinary()),
        _column("faces", sa.LargeBinary()),
        _column("kept_until", MOMENT),
    )
    _index("case_pictures", "kept_until")
    op.create_table(
        "case_fingerprints",
        sa.Column("number", COUNTER, primary_key=True),
        sa.Column(
            "case_id", sa.Text, sa.ForeignKey("case_pictures.case_id", ondelete="CASCADE"), nullable=False, unique=True
        ),
        _column("sealed", sa.LargeBinary()),
    )
    op.create_table(
        "case_decisions",
        sa.Column("id", sa.Text, primary_key=True),
        _column("case_id", sa.Text(), _of("cases", "CASCADE")),
        _column("stage"),
        _column("identity_id", null=True),
        _column("decision"),
        _column("reason"),
        _column("note", null=True),
        _column("batch_id", null=True),
        _column("decided_by", sa.Text(), _of("moderators")),
        _column("decided_at", MOMENT),
        _column("due_at", MOMENT, null=True),
        _column("final_at", MOMENT, null=True),
        _column("state"),
        sa.CheckConstraint("state IN ('pending', 'final', 'undone', 'first', 'overruled')", name="state"),
        sa.CheckConstraint(
            "decision IN ('confirmed', 'not_this_person', 'genuine_owner', 'bad_picture', 'escalated')", name="decision"
        ),
    )
    for columns in (
        ("case_id", "decided_by"),
        ("state", "due_at"),
        ("decided_by", "decided_at"),
        ("final_at", "id"),
        ("batch_id",),
    ):
        _index("case_decisions", *columns)
    op.create_table(
        "case_skips",
        sa.Column("case_id", sa.Text, _of("cases", "CASCADE"), primary_key=True),
        sa.Column("moderator_id", sa.Text, _of("moderators", "CASCADE"), primary_key=True),
        _column("reason"),
        _column("skipped_at", MOMENT),
    )
    op.create_table(
        "case_comments",
        sa.Column("id", COUNTER, primary_key=True),
        _column("case_id", sa.Text(), _of("cases", "CASCADE")),
        _column("moderator_id", sa.Text(), _of("moderators")),
        _column("stage"),
        _column("text"),
        _column("written_at", MOMENT),
    )
    _index("case_comments", "case_id")
    op.create_table(
        "decisions_to_send",
        sa.Column("id", COUNTER, primary_key=True),
        _column("key"),
        sa.Column("decision_id", sa.Text, nullable=False, unique=True),
        _column("value"),
        _column("created_at", MOMENT),
        _column("batch", sa.BigInteger(), null=True),
    )
    _index("decisions_to_send", "batch")
    batches = op.create_table(
        "decision_batches",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        _column("last_number", sa.BigInteger()),
    )
    op.bulk_insert(batches, [{"id": 1, "last_number": 0}])
    op.create_table(
        "audit_log",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        _column("at", MOMENT),
        _column("actor"),
        _column("action"),
        _column("subject"),
        _column("details"),
        _column("hash"),
    )
    for column in ("subject", "actor", "action"):
        _index("audit_log", column, "number")
    _index("audit_log", "at")
    state = op.create_table(
        "audit_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        _column("last_number", sa.BigInteger()),
        _column("last_hash"),
    )
    op.bulk_insert(state, [{"id": 1, "last_number": 0, "last_hash": FIRST_HASH}])


def downgrade() -> None:
    for table in (
        "audit_state",
        "audit_log",
        "decision_batches",
        "decisions_to_send",
        "case_comments",
        "case_skips",
        "case_decisions",
        "case_fingerprints",
        "case_pictures",
        "cases",
        "sessions",
        "moderators",
    ):
        op.drop_table(table)
