"""Sends cases to ROOST Coop, each until it is taken or refused. Whatever is away, they wait in the database.

Every console runs one; a lock in the database lets one at a time send.
"""

import json
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from config import Settings
from consumers.console_metrics import ConsoleMetrics
from consumers.coop_report import coop_body
from records.casework.coop_reports import CoopReports
from records.errors import DatabaseAway, RecordsError

log = logging.getLogger("likeness.console")
LOOK_SECONDS = 1.0
"""How often cases are looked for that are to be sent."""
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
FAILURES = 3
"""In a row, and Coop counts as away; fewer, and the fault may lie in single cases, behind which others do not wait."""
LONGEST_WAIT = 600.0
"""Seconds that a Retry-After may make us wait."""
REFUSALS = {400, 409, 410, 413, 415, 422}
"""It is this report that Coop does not want. Other errors are about the address, the key or Coop itself: they pass, or
somebody mends the settings."""
WHY_BYTES = 16_384
WHY_LENGTH = 500


class CoopAway(Exception):
    """Coop takes no reports for now. `wait`: for so many seconds, if it said so."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class CoopRefused(Exception):
    """Coop does not want the report, for what its text says."""


class CoopRelay:
    """Moves reports from the records to Coop."""

    def __init__(
        self,
        settings: Settings,
        reports: CoopReports,
        metrics: ConsoleMetrics,
        stop: threading.Event,
        fail: Callable[[Exception], None],
    ) -> None:
        """`fail` is told why the relay ends before `stop` is set: RecordsError. [coop] must have a url."""
        self._coop = settings.coop
        self._address = settings.web.public_address
        self._longest_pause = settings.gallery.retry_seconds
        self._reports = reports
        self._metrics = metrics
        self._stop = stop
        self._fail = fail
        self._failed: Counter[str] = Counter()
        self._http = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        )
        self._thread = threading.Thread(target=self._run, name="coop-relay", daemon=True)
        self._well = time.monotonic()
        metrics.since_coop.set_function(lambda: time.monotonic() - self._well)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Wait for what is under way; `stop` must be set."""
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._http.clear()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def drain(self) -> int:
        """Send all that waits; how many were taken. Raises DatabaseAway, and CoopAway when some still wait."""
        taken = failures = 0
        last: CoopAway | None = None
        with self._reports.alone() as alone:
            if not alone:
                return 0
            # those that failed most often come last: one that Coop cannot digest holds up no other
            for case_id in sorted(self._reports.waiting(), key=lambda one: self._failed[one]):
                if self._stop.is_set():
                    return taken
                try:
                    taken += self._send(case_id)
                    failures = 0
                except CoopAway as away:
                    last, failures = away, failures + 1
                    self._failed[case_id] += 1
                    self._metrics.coop_reports.labels("failed").inc()
                    if failures == FAILURES or away.wait:
                        break
        self._metrics.coop_waiting.set(self._reports.count()[0])
        if last is not None:
            raise last
        self._well = time.monotonic()
        return taken

    def _send(self, case_id: str) -> bool:
        """Whether Coop took it; false, too, when there is nothing to send any more. Raises CoopAway."""
        report = self._reports.get(case_id)
        if report is None:
            return False
        try:
            self._post(coop_body(report, self._coop, self._address))
        except CoopRefused as refused:
            log.error("Coop refuses a case; see `likeness coop list`.", extra={"case_id": case_id, "why": str(refused)})
            self._reports.refuse(case_id, str(refused))
            self._metrics.coop_reports.labels("refused").inc()
            self._failed.pop(case_id, None)
            return False
        self._reports.taken(case_id)
        self._failed.pop(case_id, None)
        self._metrics.coop_reports.labels("taken").inc()
        return True

    def _post(self, body: dict[str, Any]) -> None:
        key = self._coop.api_key.get_secret_value() if self._coop.api_key else ""
        headers = {"X-API-KEY": key, "Content-Type": "application/json", "User-Agent": "likeness"}
        url = f"{str(self._coop.url).rstrip('/')}/api/v1/report"
        try:
            answer = self._http.request(
                "POST", url, body=json.dumps(body).encode(), headers=headers, redirect=False, preload_content=False
            )
        except HTTPError as error:
            raise CoopAway(f"Coop does not answer: {type(error).__name__}.") from error
        try:
            if 200 <= answer.status < 300:
                return
            if answer.status in REFUSALS:
                raise CoopRefused(f"{answer.status}: {_why(answer)}")
            raise CoopAway(f"Coop answers {answer.status}{MEND.get(answer.status, '')}.", _wait(answer))
        finally:
            answer.close()  # what it says beyond that is not waited for

    def _run(self) -> None:
        pause = LOOK_SECONDS
        while not self._stop.wait(pause):
            try:
                self.drain()
                pause = LOOK_SECONDS
            except (CoopAway, DatabaseAway) as error:
                longest = min(max(2 * pause, LOOK_SECONDS), self._longest_pause)
                wait = error.wait if isinstance(error, CoopAway) else 0.0
                pause = wait or random.uniform(longest / 2, longest)  # noqa: S311  # so that consoles do not come at once
                log.warning("Cases for Coop wait in the database: %s Next try in %.1f s.", error, pause)
            except RecordsError as error:
                self._fail(error)
                return


MEND = {
    401: ": coop.api_key is not its key",
    403: ": coop.api_key may not report",
    404: ": coop.url is not its address",
    405: ": coop.url is not its address",
}


def _wait(answer: urllib3.BaseHTTPResponse) -> float:
    said = answer.headers.get("Retry-After", "")
    return min(float(said), LONGEST_WAIT) if said.isdecimal() else 0.0


def _why(answer: urllib3.BaseHTTPResponse) -> str:
    """What Coop says in its documented form of errors, as far as it comes in time."""
    said, body, end = "no reason was given", b"", time.monotonic() + READ_SECONDS
    try:
        while len(body) < WHY_BYTES and time.monotonic() < end and (piece := answer.read1(WHY_BYTES)):
            body += piece
        errors = json.loads(body)["errors"]
        said = "; ".join(
            " ".join(filter(None, (one["title"], one.get("detail"), one.get("pointer")))) for one in errors
        )
    except (HTTPError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    # a stranger's text, for a database and for terminals
    return "".join(one if one.isprintable() else " " for one in said[:WHY_LENGTH])
