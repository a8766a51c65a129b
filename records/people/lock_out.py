"""The lock-out: five wrong passwords, codes or PINs close a login for 15 minutes, each further five for twice as long,
up to a day. An attempt counts before it is judged, so that many at once are no more than five either."""

from datetime import datetime, timedelta
from typing import Protocol

from records.errors import LoginLocked

ATTEMPTS = 5
FIRST_LOCK = timedelta(minutes=15)
LONGEST_LOCK = timedelta(days=1)


class Lockable(Protocol):
    """A row of what is logged in to. `failures` in a row; `locked_until`: None when it is open."""

    failures: int
    locked_until: datetime | None


def count_attempt(row: Lockable, now: datetime) -> None:
    """Counts an attempt that may turn out wrong. Raises LoginLocked."""
    if row.locked_until is not None and now < row.locked_until:
        raise LoginLocked(row.locked_until)
    row.failures += 1
    locks, rest = divmod(row.failures, ATTEMPTS)
    row.locked_until = None if rest else now + min(FIRST_LOCK * 2 ** min(locks - 1, 10), LONGEST_LOCK)


def take_back(row: Lockable, locked_until: datetime | None) -> None:
    """Of an attempt that was half of a login and right, with the lock that it began: what was wrong before counts on,
    so that who has the password alone gets no new tries at the code with it."""
    row.failures = max(row.failures - 1, 0)
    if row.locked_until == locked_until:
        row.locked_until = None


def unlock(row: Lockable) -> None:
    row.failures = 0
    row.locked_until = None
