"""The outbox of moderators' decisions: those that are final and wait to be published, oldest first.

They leave in numbered batches, one after the other: a batch is numbered when all before it are gone, and its rows never
change. So one number, kept where it is published, tells of every decision whether it was.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from records.audit import AuditLog
from records.casework.schema_cases import DecisionBatchRow, DecisionToSendRow
from records.database import Database

BATCH = 100
"""Decisions in a batch at most; the audit log takes no other entries while those of a batch are written."""


@dataclass(frozen=True, slots=True)
class DecisionToSend:
    """One message to publish. key: the account's id; value: the message's data as JSON; the same decision always has
    the same `decision_id`, however often it is published."""

    key: str
    decision_id: str
    value: str


@dataclass(frozen=True, slots=True)
class DecisionBatch:
    """Decisions to publish together, in this order. Numbers rise; none comes again with other rows."""

    number: int
    rows: Sequence[DecisionToSend]


class DecisionOutbox:
    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def drain(
        self, publish: Callable[[DecisionBatch], None], told: Callable[[], int] = lambda: 0, limit: int = BATCH
    ) -> int | None:
        """Publishes the next batch, deletes its rows and writes into the audit log that they were sent; how many, or
        None at once while another process drains: whether that one can is not known here.

        `told` gives the number of the last batch that is known to be published, 0 for none: what a predecessor
        published and did not delete is not published again. `publish` returns only when every row has been
        acknowledged, and raises otherwise: then the same batch comes next. Raises DatabaseAway.
        """
        with self._database.sole("decisions") as alone:
            if not alone:
                return None
            if self._empty():
                return 0
            reached = told()
            batch = self._next(reached, limit)
            if batch.number > reached:
                publish(batch)
            return self._settle(batch.number)

    def _empty(self) -> bool:
        with self._database.read() as session:
            return session.scalar(select(DecisionToSendRow.id).limit(1)) is None

    def _next(self, reached: int, limit: int) -> DecisionBatch:
        """The batch that was numbered and not deleted, else a new one.

        The lock alone would not do: a database takes it from a holder that it believes dead, and that may live. The
        row of decision_batches lets one at a time number.
        """
        with self._database.write() as session:
            state = session.get_one(DecisionBatchRow, 1, with_for_update=True)
            if not (batch := _numbered(session)).rows:
                # A database that was restored from a copy is behind what has been published.
                state.last_number = max(state.last_number, reached) + 1
                oldest = select(DecisionToSendRow.id).order_by(DecisionToSendRow.id).limit(limit)
                chosen = update(DecisionToSendRow).where(DecisionToSendRow.id.in_(oldest))
                session.execute(chosen.values(batch=state.last_number))
                batch = _numbered(session)
            return batch

    def _settle(self, number: int) -> int:
        """Deletes the rows of a published batch; how many there still were."""
        with self._database.write() as session:
            gone = delete(DecisionToSendRow).where(DecisionToSendRow.batch == number)
            sent = session.execute(gone.returning(DecisionToSendRow.id, DecisionToSendRow.value)).all()
            for _, value in sorted((row.id, row.value) for row in sent):
                decided = json.loads(value)
                details = {"decision_id": decided["decision_id"]}
                self._audit.append_in(session, "system", "decision_sent", decided["review_id"], details)
            return len(sent)


def _numbered(session: Session) -> DecisionBatch:
    """The rows that bear a number, which is the same for all; 0 and none if there are none."""
    numbered = select(DecisionToSendRow).where(DecisionToSendRow.batch.is_not(None)).order_by(DecisionToSendRow.id)
    rows = session.scalars(numbered).all()
    number = rows[0].batch if rows else None
    return DecisionBatch(number or 0, [DecisionToSend(row.key, row.decision_id, row.value) for row in rows])
