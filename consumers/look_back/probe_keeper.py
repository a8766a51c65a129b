"""Keeps the faces of avatars while screening, for those who are protected later; only with look_back.days.

Each day's key is fetched ahead, by a thread of its own, so that no upload waits for the database. Without the day's key
screening goes on, and what cannot be sealed is not kept. A key that is in the database no more seals nothing any more:
what it sealed is counted as not kept, and another takes its place.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from consumers.look_back.probes import probe_message
from consumers.metrics import Metrics
from consumers.outcomes import Screened, image_at
from consumers.outgoing import OutgoingMessage
from records.errors import RecordsError
from records.keys.keyring import DataKey
from records.keys.probe_keys import ProbeKeys

log = logging.getLogger("likeness.probes")
LOOK_SECONDS = 60.0
"""How often it is seen to that the keys of today and tomorrow are there, and those of long ago are not."""


class ProbeKeeper:
    """Makes the messages that keep faces. `clock` gives the moment, aware."""

    def __init__(
        self,
        topic: str,
        keys: ProbeKeys,
        metrics: Metrics,
        stop: threading.Event,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._topic = topic
        self._records = keys
        self._metrics = metrics
        self._stop = stop
        self._clock = clock
        self._keys: dict[date, DataKey] = {}
        self._sealed: Counter[date] = Counter()
        self._thread = threading.Thread(target=self._run, name="probe-keys", daemon=True)

    def message(self, item: Screened, at: datetime) -> OutgoingMessage | None:
        """What keeps the faces of an upload that was screened at `at`; None where there are none, or no key."""
        if item.upload is None or item.verdict is None or item.verdict.kept is None:
            return None
        day = at.astimezone(UTC).date()
        key = self._keys.get(day)
        self._metrics.probes.labels("kept" if key else "no_key").inc()
        if key is None:
            return None
        self._sealed[day] += 1
        image = image_at(item.record) if item.upload.image.url is None else item.upload.image
        return probe_message(self._topic, item.upload, image, item.verdict.kept, key, at)

    def prepare(self) -> None:
        """Sees to it that the keys of today and tomorrow are at hand as they are in the database, and that those are
        deleted whose time is over.
        Raises DatabaseAway, SchemaMismatch, MasterKeyError."""
        now = self._clock()
        today = now.astimezone(UTC).date()
        wanted = (today, today + timedelta(days=1))
        there = self._records.of(wanted)
        before, self._keys = self._keys, {day: there.get(day) or self._records.make(day) for day in wanted}
        for day in wanted:
            if day in before and not before[day].same(self._keys[day]):
                self._tell_lost(day)
        self._sealed = Counter({day: self._sealed[day] for day in wanted})
        self._records.sweep(now)

    def start(self) -> None:
        """Go on in a thread of its own until the process stops."""
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _tell_lost(self, day: date) -> None:
        """Somebody has deleted the day's key: what was sealed with it nobody can read."""
        lost = self._sealed.pop(day, 0)
        self._metrics.probes.labels("no_key").inc(lost)
        log.error(
            "The key of %s is not in the database any more: the faces of %d uploads are not kept. Give all processes "
            "the same look_back.days.",
            day,
            lost,
        )

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self.prepare()
            except RecordsError as error:
                log.warning("The keys of kept faces could not be looked after: %s", error)
