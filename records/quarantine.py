"""Quarantine: an identity whose matches are dismissed in a burst waits apart, so that it cannot flood the queue."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from records.decision_log import account_counts
from records.schema import IdentityRow

MAX_HOURS = 8760


@dataclass(frozen=True, slots=True)
class BurstRule:
    """When it is a burst: of the accounts decided about within the last `hours` (a year at most), at least `dismissed`,
    and at least the `share` (0..1), are `not_this_person` by the last word on each. Raises ValueError out of these
    ranges."""

    dismissed: int
    hours: float
    share: float

    def __post_init__(self) -> None:
        if self.dismissed < 1 or not 0 < self.hours <= MAX_HOURS or not 0 < self.share <= 1:
            raise ValueError(f"A burst needs dismissed >= 1, 0 < hours <= {MAX_HOURS} and 0 < share <= 1, not {self}.")


def begin_on_burst(session: Session, identity_id: str, rule: BurstRule, now: datetime) -> str | None:
    """Quarantines the identity when its decisions since the last quarantine are a burst; returns the reason.

    None when they are none, or when the identity is in quarantine already.
    """
    identity = session.get_one(IdentityRow, identity_id)
    if identity.quarantined_at is not None:
        return None
    since = now - timedelta(hours=rule.hours)
    if identity.quarantine_lifted_at is not None:
        since = max(since, identity.quarantine_lifted_at)
    counts = account_counts(session, identity_id, since)
    dismissed, decided = counts.get("not_this_person", 0), sum(counts.values())
    if dismissed < rule.dismissed or dismissed < rule.share * decided:
        return None
    reason = f"{dismissed} of {decided} accounts decided within {rule.hours:g} hours are somebody else's."
    _set(session, identity_id, quarantined_at=now, quarantine_reason=reason)
    return reason


def end(session: Session, identity_id: str, now: datetime) -> bool:
    """Whether the identity was in quarantine."""
    if session.get_one(IdentityRow, identity_id).quarantined_at is None:
        return False
    _set(session, identity_id, quarantined_at=None, quarantine_reason=None, quarantine_lifted_at=now)
    return True


def _set(session: Session, identity_id: str, **values: datetime | str | None) -> None:
    session.execute(update(IdentityRow).where(IdentityRow.id == identity_id).values(**values))
