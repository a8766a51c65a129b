"""Rotation: a new master key takes the place of the old one while everything runs.

1. a new key becomes the current one; running processes see that by themselves, see keys.py  2. all that the old one
wrapped is wrapped anew, in batches; who is killed here goes on with the next call, and two at once do no harm  3. when
nothing hangs on the old key any more, it is destroyed, and with it what older copies of the database could open.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, update

from records.announcer import utc_now
from records.audit import AuditLog
from records.database import Database
from records.errors import MasterKeyError
from records.keys.keyring import MasterKey
from records.keys.wrapped import COLUMNS, WrappedColumn

BATCH = 500
SETTLED = timedelta(minutes=5)
"""How long a key must have been the current one before those before it are destroyed: what was begun under them has
ended by then."""
Progress = Callable[[int, int], None]
"""Called with how many rows are done, of how many."""


@dataclass(frozen=True, slots=True)
class Hanging:
    """How many rows of a table each key opens, by key id; None: rows that no key opens."""

    table: str
    rows: Counter[str | None]


class KeyRotation:
    """Every method may raise MasterKeyError, DatabaseAway or SchemaMismatch. `clock` gives the moment, aware."""

    def __init__(
        self, database: Database, master_key: MasterKey, audit: AuditLog, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._audit = audit
        self._clock = clock

    def hanging(self) -> list[Hanging]:
        """What hangs on which key, by trial."""
        return [self._hanging(column) for column in COLUMNS]

    def begin(self, by: str) -> bool:
        """Makes a new key the current one, unless there are older ones already: then there is a rotation to end."""
        before = self._master_key.ids
        if len(before) > 1:
            return False
        self._master_key.source.add(self._master_key.current)
        if made := self._master_key.ids != before:
            self._note(by, {"made": self._master_key.ids[0]})
        return made

    def wrap_anew(self, by: str, progress: Progress = lambda _done, _of: None) -> int:
        """Wraps by the current key what an older one wrapped; returns how many rows that were."""
        anew = 0
        while changed := self._pass(progress):  # again, for what was wrapped by the older key meanwhile
            anew += changed
        if anew:
            self._note(by, {"wrapped": anew})
            self._database.empty_log()
        return anew

    def retire(self, by: str) -> Sequence[str]:
        """Destroys the older keys, whose ids it gives. Raises MasterKeyError while anything may hang on them."""
        current, *older = self._master_key.ids
        if not older:
            return ()
        hanging = sum(one.rows[key] for one in self.hanging() for key in older)
        if hanging:
            raise MasterKeyError(f"{hanging} rows hang on an older key: run `likeness keys rotate` first.")
        since = self._master_key.source.changed_at()
        if since is not None and self._clock() - since < SETTLED:
            raise MasterKeyError(
                f"The key {current} was put in place at {since:%H:%M:%S} UTC; what was begun before may still be under "
                f"way. Try again {SETTLED.seconds // 60} minutes after that."
            )
        self._master_key.source.drop_older()
        self._note(by, {"destroyed": older})
        return older

    def _hanging(self, column: WrappedColumn) -> Hanging:
        rows: Counter[str | None] = Counter()
        for batch in column.batches(self._database, BATCH):
            rows.update(
                self._master_key.opener(column.subject(row_id), wrapped, column.purpose) for row_id, wrapped in batch
            )
        return Hanging(column.table.name, rows)

    def _pass(self, progress: Progress) -> int:
        total = sum(column.count(self._database) for column in COLUMNS)
        done = changed = 0
        for column in COLUMNS:
            for batch in column.batches(self._database, BATCH):
                changed += self._wrap_batch(column, batch)
                done += len(batch)
                progress(done, total)
        return changed

    def _wrap_batch(self, column: WrappedColumn, batch: Sequence[tuple[Any, bytes]]) -> int:
        current = self._master_key.ids[0]
        anew = []
        for row_id, wrapped in batch:
            subject = column.subject(row_id)
            if self._master_key.opener(subject, wrapped, column.purpose) not in (None, current):
                plain = self._master_key.open(subject, wrapped, column.purpose)
                sealed = self._master_key.seal(subject, plain, column.purpose)
                anew.append({"row": row_id, "before": wrapped, "after": sealed})
        if anew:
            same = (column.id == bindparam("row"), column.wrapped == bindparam("before"))  # or it was erased meanwhile
            change = update(column.table).where(*same).values({column.wrapped.name: bindparam("after")})
            with self._database.write() as session:
                session.connection().execute(change, anew)
        return len(anew)

    def _note(self, by: str, details: dict[str, Any]) -> None:
        self._audit.append(by, "keys_rotated", "master-key", details)
