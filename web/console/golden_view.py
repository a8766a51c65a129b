"""What a case's page says of it as a test: to leads, whether it tests others; to who has done it, how it went."""

from collections.abc import Mapping
from typing import Any

from records.casework.case_decisions import DecisionMade
from records.casework.cases import Case
from records.casework.golden_cases import ANSWERS
from records.people.moderators import Moderator
from web.desk import Desk


def golden_values(desk: Desk, case: Case, standing: DecisionMade | None, moderator: Moderator) -> Mapping[str, Any]:
    """What templates/case_golden.html needs. standing: the decision that stands on the case."""
    closed = case.state == "closed"
    marks = closed and case.golden_id is None and moderator.role == "lead"
    return {
        "test": desk.golden.told(moderator.id, [case.id]).get(case.id) if closed else None,
        "golden": desk.golden.about(case.id) if marks else None,
        "may_make_golden": marks,
        "answers": ANSWERS,
        "final_decision": standing.decision if marks and standing else None,
    }
