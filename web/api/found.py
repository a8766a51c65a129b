"""The case that a request names."""

from records.casework.cases import Case, unknown_case
from web.desk import Desk


def case_named(desk: Desk, case_id: str) -> Case:
    """Raises UnknownCase, also for a copy that tests its reviewer."""
    case = desk.cases.get(case_id)
    if case.golden_id is not None:
        raise unknown_case(case_id)
    return case
