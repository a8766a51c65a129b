"""Moments given on the command line: a time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta

from likeness.errors import BadInput

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(given: str, now: datetime) -> datetime:
    """`given` as 45s, 30m, 2h or 7d before `now`, or as an ISO 8601 time, in UTC unless it says otherwise.

    Raises BadInput.
    """
    try:
        if ago := re.fullmatch(r"([0-9]+)([smhd])", given.strip()):
            return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        told = datetime.fromisoformat(given.strip())
    except (ValueError, OverflowError):
        raise BadInput(f"{given!r} is no time: give 30m, 2h, 7d or 2026-02-03T04:05Z.") from None
    return told if told.tzinfo else told.replace(tzinfo=UTC)
