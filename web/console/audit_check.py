"""Proves the audit log whole in the background, one check at a time; a page shows how far it is."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from records.audit import AuditBroken, AuditEntry, AuditLog
from records.errors import RecordsError

GIVE_WAY_SECONDS = 0.002
"""A pause after each thousand entries, so that pages are not held up by it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckState:
    """`done` of `total` entries; `ended` is None while it runs. Then `broken` is the first entry that is not as it was
    written, `newest` the one up to which the log is whole, and `failed` says that the database went away meanwhile."""

    done: int = 0
    total: int = 0
    ended: datetime | None = None
    broken: AuditBroken | None = None
    newest: AuditEntry | None = None
    failed: bool = False


class AuditCheck:
    """Safe to share among threads. `state`: of the check that runs, or was the last; None before the first."""

    def __init__(self, audit: AuditLog, clock: Callable[[], datetime]) -> None:
        self._audit = audit
        self._clock = clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.state: CheckState | None = None

    def start(self, wait: float) -> None:
        """Begins a check unless one runs; returns when it has ended, at the latest after `wait` seconds."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self.state = CheckState()
                self._thread = threading.Thread(target=self._run, name="audit-check", daemon=True)
                self._thread.start()
            thread = self._thread
        thread.join(wait)

    def _run(self) -> None:
        try:
            newest = next(iter(self._audit.read(limit=1)), None)
            broken = self._audit.verify(self._told)
            self.state = CheckState(ended=self._clock(), broken=broken, newest=newest)
        except RecordsError as error:
            log.warning("the check of the audit log was broken off: %s", error)
            self.state = CheckState(ended=self._clock(), failed=True)

    def _told(self, done: int, total: int) -> None:
        self.state = CheckState(done, total)
        time.sleep(GIVE_WAY_SECONDS)
