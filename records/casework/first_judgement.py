"""What somebody judged before they were first told how alike the faces are: in the audit log from that moment on, so
that no page and no form says afterwards that it was something else."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from records.audit import readable
from records.schema_audit import AuditRow

SHOWN: Final = "likeness_shown"
TAKEN: Final = "case_claimed"


def first_judgement(session: Session, case_id: str, moderator_id: str) -> str | None:
    """Since they took the case last; None while they have not been told. A decision that they took back is of the same
    claim: they know how alike the faces are."""
    entries = (
        select(AuditRow.actor, AuditRow.action, AuditRow.details)
        .where(AuditRow.subject == case_id, AuditRow.action.in_((SHOWN, TAKEN)))
        .order_by(AuditRow.number.desc())
    )
    for actor, action, text in session.execute(entries):
        details = readable(text)
        if details.get("acting_for", actor) == moderator_id:
            judgement: str | None = details.get("judgement") if action == SHOWN else None
            return judgement
    return None
