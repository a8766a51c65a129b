"""The outbox: gallery changes that are committed and wait to be published, oldest first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select

from records.database import Database
from records.schema import OutboxEntry


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One message to publish; a value of None is a tombstone. `topic_name`: a name of the settings' [topics]."""

    sequence: int
    key: str
    value: str | None
    topic_name: str = "gallery_changes"


class Outbox:
    def __init__(self, database: Database) -> None:
        self._database = database

    def drain(self, publish: Callable[[Sequence[OutboxRow]], None], limit: int = 500) -> int | None:
        """Publishes up to `limit` of the oldest rows, in order, and deletes them; how many, or None at once while
        another process drains: whether that one can is not known here.

        `publish` returns only when every row has been acknowledged, and raises otherwise: then the rows stay. A
        process that dies between publishing and deleting leaves rows that the next drain publishes again in the same
        order. Raises DatabaseAway.
        """
        with self._database.sole("relay") as alone:
            if not alone:
                return None
            with self._database.read() as session:
                rows = [
                    OutboxRow(entry.sequence, entry.key, entry.value, entry.topic_name)
                    for entry in session.scalars(select(OutboxEntry).order_by(OutboxEntry.sequence).limit(limit))
                ]
            if not rows:
                return 0
            publish(rows)
            with self._database.write() as session:
                # no row commits later with a lower sequence: the gallery's counter is locked until its change commits
                session.execute(delete(OutboxEntry).where(OutboxEntry.sequence <= rows[-1].sequence))
            return len(rows)
