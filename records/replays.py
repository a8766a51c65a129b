"""Which dead letters were sent to screening again, so that none is sent twice: claim, send, mark sent.

A claim is one statement, so of several operators one gets it. Who dies between claim and mark leaves a claim that
another may take over once it is CLAIM_HOLDS old; what had been sent by then is sent once more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from records.announcer import utc_now
from records.database import Database
from records.schema import DeadLetterReplayRow

CLAIM_HOLDS = timedelta(minutes=10)
IDS_PER_QUERY = 1_000

ReplayState = Literal["claimed", "sent"]


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a dead letter: someone is sending it since `claimed_at`, or it was sent at `sent_at`."""

    dead_letter_id: str
    state: ReplayState
    claimed_at: datetime
    sent_at: datetime | None
    replayed_by: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Dead letters that are ours to send."""

    ids: frozenset[str]
    claimed_at: datetime


class ReplayRecords:
    """Every method may raise DatabaseAway or SchemaMismatch. `clock` gives the moment, aware."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def find(self, dead_letter_ids: Sequence[str]) -> dict[str, Replay]:
        """By id, those that were claimed or sent."""
        found = {}
        with self._database.read() as session:
            for ids in _pages(dead_letter_ids):
                for row in session.scalars(select(DeadLetterReplayRow).where(_among(ids))):
                    state = cast(ReplayState, row.state)
                    found[row.dead_letter_id] = Replay(
                        row.dead_letter_id, state, row.claimed_at, row.sent_at, row.replayed_by
                    )
        return found

    def claim(self, dead_letter_ids: Sequence[str], by: str, *, again: bool = False) -> Claim:
        """Claims those of the distinct ids that nobody has sent or is sending; with `again` those sent before, too."""
        now = self._clock()
        table = DeadLetterReplayRow
        free = and_(table.state == "claimed", table.claimed_at < now - CLAIM_HOLDS)
        if again:
            free = or_(free, table.state == "sent")
        insert = postgresql.insert if self._database.postgresql else sqlite.insert
        taken = set[str]()
        with self._database.write() as session:
            # in order of id: two that claim the same rows in another order would wait for each other
            for ids in _pages(sorted(dead_letter_ids)):
                common = {"state": "claimed", "claimed_at": now, "replayed_by": by}
                rows = [{"dead_letter_id": one, **common} for one in ids]
                new = insert(table).values(rows)
                changes = {name: new.excluded[name] for name in common}
                claimed = new.on_conflict_do_update(index_elements=[table.dead_letter_id], set_=changes, where=free)
                taken.update(session.scalars(claimed.returning(table.dead_letter_id)))
        return Claim(frozenset(taken), now)

    def mark_sent(self, dead_letter_ids: Sequence[str]) -> None:
        """Notes that Kafka has acknowledged them."""
        with self._database.write() as session:
            for ids in _pages(dead_letter_ids):
                sent = update(DeadLetterReplayRow).where(_among(ids)).values(state="sent", sent_at=self._clock())
                session.execute(sent)

    def release(self, claim: Claim, dead_letter_ids: Sequence[str]) -> None:
        """Gives up those of the claim's that were not sent: anybody may claim them at once."""
        with self._database.write() as session:
            for ids in _pages(dead_letter_ids):
                ours = and_(_among(ids), DeadLetterReplayRow.claimed_at == claim.claimed_at)
                session.execute(delete(DeadLetterReplayRow).where(ours, DeadLetterReplayRow.sent_at.is_(None)))
                session.execute(update(DeadLetterReplayRow).where(ours).values(state="sent"))


def _among(ids: Sequence[str]) -> ColumnElement[bool]:
    return DeadLetterReplayRow.dead_letter_id.in_(ids)


def _pages(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), IDS_PER_QUERY):
        yield ids[start : start + IDS_PER_QUERY]
