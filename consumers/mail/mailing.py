"""Writes to reporters who want it: what is due comes from records/reports/notices.py, and goes to the mail server.

Every `likeness serve` runs one; a lock in the database lets one at a time send. What the server does not take now waits
and is sent later. Only the last word after an erasure, whose address is in no record any more, is kept in memory, and
given up after an hour.
"""

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr

from config import Settings
from consumers.console_metrics import ConsoleMetrics
from consumers.mail.server import MailAway, MailRefused, MailServer
from consumers.mail.texts import mail_text
from records.errors import DatabaseAway, MasterKeyError, RecordsError, SealBroken
from records.reports.notices import Notice, ReportNotices

log = logging.getLogger("likeness.console")
LOOK_SECONDS = 15.0
"""How often it is asked whom to write to."""
FAILURES = 3
"""In a row, and the server counts as away; fewer, and the fault may lie in single addresses."""
LAST_WORD_SECONDS = 3600.0
STATUS_PAGE = "/report/status"


class Mailing:
    """Sends notices by [mail], which must have a host."""

    def __init__(
        self,
        settings: Settings,
        notices: ReportNotices,
        metrics: ConsoleMetrics,
        stop: threading.Event,
        fail: Callable[[Exception], None],
    ) -> None:
        """`fail` is told why the mailing ends before `stop` is set: RecordsError."""
        self._server, self._sender = MailServer(settings.mail), str(settings.mail.sender)
        self._page = f"{settings.web.public_address or ''}{STATUS_PAGE}"
        self._longest_pause = settings.gallery.retry_seconds
        self._notices = notices
        self._metrics = metrics
        self._stop = stop
        self._fail = fail
        self._last_words: deque[tuple[float, Notice]] = deque()
        self._failed: Counter[tuple[str, str]] = Counter()
        self._thread = threading.Thread(target=self._run, name="mailing", daemon=True)
        self._well = time.monotonic()
        metrics.since_mails.set_function(lambda: time.monotonic() - self._well)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Wait for what is under way; `stop` must be set."""
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def last_word(self, notice: Notice) -> None:
        """Has it sent soon; it is in no record."""
        self._last_words.append((time.monotonic(), notice))

    def drain(self) -> int:
        """Sends all that is due; how many notices were taken. Raises DatabaseAway, and MailAway when some wait."""
        taken, last = self._say_last_words()
        with self._notices.alone() as alone:
            if not alone and last is not None:
                raise last
            if not alone:
                return taken
            failures = 0
            # those that failed most often come last: one that is refused again and again holds up no other
            for notice in sorted(self._notices.due(), key=lambda one: self._failed[one.report_id, one.kind]):
                if self._stop.is_set():
                    return taken
                try:
                    taken += self._tell(notice)
                except MailAway as away:
                    last, failures = away, failures + 1
                    self._failed[notice.report_id, notice.kind] += 1
                    if failures == FAILURES:
                        break
                    continue
                except (MasterKeyError, SealBroken) as error:
                    self._unopened(notice, error)
                    continue
                failures = 0
                self._failed.pop((notice.report_id, notice.kind), None)
                self._notices.told(notice)
        if last is not None:
            raise last
        self._well = time.monotonic()
        return taken

    def _say_last_words(self) -> tuple[int, MailAway | None]:
        """How many were taken, and why others were not: those wait behind all that came since."""
        taken, last, failures = 0, None, 0
        for _ in range(len(self._last_words)):
            since, notice = self._last_words[0]
            if time.monotonic() - since < LAST_WORD_SECONDS:
                try:
                    taken += self._tell(notice)
                except MailAway as away:
                    last, failures = away, failures + 1
                    self._last_words.rotate(-1)
                    if failures == FAILURES:
                        break
                    continue
                failures = 0
            self._last_words.popleft()
        return taken, last

    def _tell(self, notice: Notice) -> bool:
        """Whether it was taken; False where nobody can be written to. Raises MailAway, MasterKeyError, SealBroken."""
        address = self._notices.address(notice)
        try:
            if address is None:
                raise MailRefused("there is no address.")
            self._server.send(written(notice, address, self._sender, self._page))
        except MailRefused as refused:
            log.warning("A reporter cannot be written to: %s", refused, extra={"report_id": notice.report_id})
            self._metrics.mails.labels("refused").inc()
            return False
        except MailAway:
            self._metrics.mails.labels("failed").inc()
            raise
        self._metrics.mails.labels("sent").inc()
        return True

    def _unopened(self, notice: Notice, error: Exception) -> None:
        """It waits, since a lost key may be put back; told once."""
        if not self._failed[notice.report_id, notice.kind]:
            log.error("The address of a reporter does not open: %s", error, extra={"report_id": notice.report_id})
            self._metrics.mails.labels("failed").inc()
        self._failed[notice.report_id, notice.kind] += 1

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                self.drain()
                pause = LOOK_SECONDS
            except (MailAway, DatabaseAway) as error:
                longest = min(max(2 * pause, LOOK_SECONDS), max(self._longest_pause, LOOK_SECONDS))
                pause = random.uniform(longest / 2, longest)  # noqa: S311  # so that consoles do not come at once
                log.warning("Mail to reporters waits: %s Next try in %.1f s.", error, pause)
            except RecordsError as error:
                self._fail(error)
                return


def written(notice: Notice, to: str, sender: str, page: str) -> EmailMessage:
    """The message. Raises MailRefused for what is no address."""
    subject, body, tag = mail_text(notice.kind, notice.language, page)
    message = EmailMessage()
    name, address = parseaddr(sender)
    try:
        message["To"] = Address(addr_spec=to)
    except (ValueError, LookupError, AttributeError, MessageError):  # what a parser makes of a text that somebody typed
        raise MailRefused("it is no address.") from None
    message["From"] = Address(name, addr_spec=address)
    message["Subject"] = subject
    message["Date"] = format_datetime(notice.at)
    message["Message-ID"] = make_msgid(domain=address.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body, charset="utf-8")
    message["Content-Language"] = tag  # setting the content takes such headers away
    return message
