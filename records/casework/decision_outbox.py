"""The outbox of moderators' decisions: those that are final and wait to be published, oldest first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select

from records.casework.schema_cases import DecisionToSendRow
from records.database import Database


@dataclass(frozen=True, slots=True)
class DecisionToSend:
    """One message to publish. key: the account's id; value: the message's data as JSON; the same decision always has
    the same `decision_id`, however often it is published."""

    id: int
    key: str
    decision_id: str
    value: str


class DecisionOutbox:
    def __init__(self, database: Database) -> None:
        self._database = database

    def drain(self, publish: Callable[[Sequence[DecisionToSend]], None], limit: int = 500) -> int:
        """Publishes up to `limit` of the oldest rows, in order, and deletes them; returns how many.

        `publish` returns only when every row has been acknowledged, and raises otherwise: then the rows stay. A
        process that dies between publishing and deleting leaves rows that the next drain publishes again. Returns 0
        at once while another process drains. Raises DatabaseAway.
        """
        with self._database.sole("decisions") as alone:
            if not alone:
                return 0
            with self._database.read() as session:
                rows = [
                    DecisionToSend(row.id, row.key, row.decision_id, row.value)
                    for row in session.scalars(select(DecisionToSendRow).order_by(DecisionToSendRow.id).limit(limit))
                ]
            if not rows:
                return 0
            publish(rows)
            with self._database.write() as session:
                # exactly those: a lower id may commit later than a higher one
                published = DecisionToSendRow.id.in_([row.id for row in rows])
                session.execute(delete(DecisionToSendRow).where(published))
            return len(rows)
