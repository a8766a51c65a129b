"""How much one visitor may ask of us: so many reports a day, so many photos looked at, and not all at once."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import Request
from fastapi.responses import Response

from records.errors import TooManyReports
from web.desk import Desk
from web.languages import N_
from web.problems import Problem, Way
from web.rate_limit import RateLimit, network_of
from web.rendering import render
from web.security import REPORT_PATH, desk_of, one_of_process

DEVICE_COOKIE = "__Host-likeness-device"
_BACK = Way(N_("Go on with your report"), REPORT_PATH)
PHOTOS, PHOTO_SECONDS = 40, 15.0
"""One address has so many photos looked at, and one more every so many seconds."""
BEGUN, BEGIN_SECONDS = 20, 30.0
"""One address begins so many reports, and one more every so many seconds."""
AT_ONCE, WAITING, PATIENCE_SECONDS = 4, 8, 15.0
"""So many photos of strangers are looked at at the same time, and so many wait, so long: the reviewers' pages and cases
share threads and worker processes with them."""


class Looks:
    """Who may have a photo looked at now. Safe to share among threads; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._begun = RateLimit(burst=BEGUN, seconds=BEGIN_SECONDS, clock=clock)
        self._photos = RateLimit(burst=PHOTOS, seconds=PHOTO_SECONDS, clock=clock)
        self._room = threading.BoundedSemaphore(AT_ONCE + WAITING)
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def begin(self, address: str) -> None:
        """Counts a report that is begun. Raises Problem: too_often."""
        if wait := self._begun.wait(address):
            raise _too_often(N_("Many reports were begun in your network just now. Wait a minute, then begin."), wait)

    @contextmanager
    def turn(self, address: str) -> Iterator[None]:
        """Raises Problem: too_often for this address, or busy for everybody."""
        if wait := self._photos.wait(address):
            text = N_("We have looked at many photos from your network. Wait a minute, then go on where you were.")
            raise _too_often(text, wait)
        with _place(self._room, 0), _place(self._turns, PATIENCE_SECONDS):
            yield


@contextmanager
def _place(places: threading.BoundedSemaphore, seconds: float) -> Iterator[None]:
    """One of them, waited for so long. Raises Problem: busy."""
    if not places.acquire(timeout=seconds):
        text = N_("Many people send photos at this moment. Wait a minute, then send yours again.")
        raise Problem(503, "busy", N_("We are busy"), text, _BACK, retry=60)
    try:
        yield
    finally:
        places.release()


def _too_often(text: str, wait: float) -> Problem:
    return Problem(429, "too_often", N_("That was a lot at once"), text, _BACK, retry=math.ceil(wait))


def looks_of(request: Request) -> Looks:
    """Those of the whole process."""
    return one_of_process(request, "looks", lambda desk: Looks(lambda: desk.clock().timestamp()))


def address_of(request: Request) -> str:
    """The visitor's network address, as limits count it."""
    return network_of(request.client.host if request.client else "")


def device_of(request: Request) -> str | None:
    """What tells this browser from others for a day."""
    return request.cookies.get(DEVICE_COOKIE)


def count_report(request: Request, desk: Desk, key: str) -> None:
    """Counts a report of this visitor, once for each `key`. Raises TooManyReports."""
    address = address_of(request)
    desk.report_limits.allow(address, device_of(request) or address, key)


def too_many_reports(request: Request, error: TooManyReports) -> Response:
    """The page that says when to come back, and where else to go."""
    response = render(request, "report_too_many.html", 429, until=error.until)
    wait = (error.until - desk_of(request).clock()).total_seconds()
    response.headers["Retry-After"] = str(max(1, math.ceil(wait)))
    return response
