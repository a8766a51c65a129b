"""The last word on a case, and what it says of the case's leading finding.

A case may name several people. That it shows another of them says that the leading finding was of the wrong person;
that it does not show another says nothing of the leading one, nor does a decision about somebody whom the case
names no more, since it led to somebody else then.
"""

from sqlalchemy import and_, or_, select

from records.casework.schema_around_cases import AppealRow
from records.casework.schema_cases import CaseDecisionRow, CaseRow

FOUND = ("confirmed", "genuine_owner")
"""What says that the case shows the person whom the decision is about."""

# what was appealed against and judged anew; a look for later decisions on each case would take SQLite minutes
_JUDGED_ANEW = select(AppealRow.decision_id).where(AppealRow.state != "open")
LAST_WORD = and_(CaseDecisionRow.state == "final", CaseDecisionRow.id.not_in(_JUDGED_ANEW))
"""Of a case's decisions, none or one."""

OF_LEADING = CaseDecisionRow.identity_id.is_not_distinct_from(CaseRow.identity_id)
"""The decision is about the person of the leading finding, or neither names one, as after an erasure."""
FOUND_ANOTHER = and_(
    CaseRow.identity_id.is_not(None),
    ~OF_LEADING,
    CaseDecisionRow.decision.in_(FOUND),
    CaseRow.evidence.contains(CaseDecisionRow.identity_id),
)
TELLS_OF_LEADING = or_(OF_LEADING, CaseDecisionRow.decision == "bad_picture", FOUND_ANOTHER)
