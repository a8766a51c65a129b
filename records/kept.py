"""Figures that take long to count: nobody waits long for new ones while the last ones are at hand."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from records.announcer import utc_now

T = TypeVar("T")

PATIENCE_SECONDS = 0.02
"""Within this time a small database has counted, and what somebody has just done shows in the figures."""
LONGEST = 60
"""Times `keep`: older figures are not shown."""


class Kept(Generic[T]):
    """What `count` gives for a moment. Once it is older than `keep`, a thread counts anew; until it has, the last
    figures are shown. `few`: whether figures are of so little that it is counted anew each time, and waited for. Safe
    to share among threads. `clock` gives the moment, aware."""

    def __init__(
        self,
        count: Callable[[datetime], T],
        *,
        keep: timedelta,
        few: Callable[[T], bool] = lambda _: False,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._count = count
        self._keep = keep
        self._few = few
        self._clock = clock
        self._lock = threading.Lock()
        self._last: tuple[datetime, T] | None = None
        self._took = 0.0
        self._counting: Future[T] | None = None

    def get(self, patience: float | None = PATIENCE_SECONDS) -> T:
        """patience: for how many seconds newer figures are waited for, unless the last count took longer; None: until
        they are there. Raises what `count` raises."""
        now = self._clock()
        with self._lock:
            last = None if self._last is None or self._few(self._last[1]) else self._last
            if last is not None and last[0] <= now < last[0] + self._keep:
                return last[1]
            counting = self._counting or self._begin(now)
        if last is None or not last[0] <= now < last[0] + LONGEST * self._keep:
            return counting.result()
        if patience is not None and self._took > patience:
            return last[1]
        try:
            return counting.result(patience)
        except TimeoutError:
            return last[1]

    def _begin(self, now: datetime) -> Future[T]:
        counting = self._counting = Future[T]()
        threading.Thread(target=self._work, args=(counting, now), name="figures", daemon=True).start()
        return counting

    def _work(self, counting: Future[T], now: datetime) -> None:
        began = time.monotonic()
        try:
            found = self._count(now)
        except BaseException as error:
            with self._lock:
                self._counting = None
            counting.set_exception(error)
            return
        with self._lock:
            self._last, self._counting, self._took = (now, found), None, time.monotonic() - began
        counting.set_result(found)
