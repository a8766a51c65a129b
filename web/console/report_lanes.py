"""Who works which reports: lanes by role, as the settings have it."""

from collections.abc import Mapping, Sequence

from config.settings import Reports
from records.people.moderators import Role
from records.reports.contents import Lane

OPEN_TO_ALL: tuple[Lane, ...] = ("trusted_flagger", "standard", "platform")
"""In the order in which they are worked; minors come before all."""


def lanes_for(reports: Reports, role: Role) -> tuple[Lane, ...]:
    """The lanes that the role works; none for who works no reports."""
    specialist: tuple[Lane, ...] = ("specialist",) if role in reports.specialists else ()
    return specialist + (OPEN_TO_ALL if role in reports.roles else ())


def waiting_for(lanes: Sequence[Lane], counts: Mapping[str, int]) -> int:
    """How many of the reports that were counted by lane are theirs to work."""
    return sum(counts.get(lane, 0) for lane in lanes)
