"""Looks for newly protected people in avatars that were uploaded before they were protected.

A step at a time: 1. take the look-backs that are to be done together  2. load their people  3. read a slice of the
topic, and compare  4. send reviews  5. note how far it is. A step holds a lock that one process has at a time, and
knows nothing of the step before: whoever is killed is followed by whoever comes next.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from kafka import KafkaProducer
from kafka.errors import KafkaError

from config import Settings
from consumers.kafka import BrokerAway, make_producer
from consumers.look_back.live_traffic import LiveTraffic
from consumers.look_back.metrics import LookBackMetrics
from consumers.look_back.past_topic import PastTopic
from consumers.look_back.ways import Suspicion, Way
from consumers.messages import CONTENT_TYPE, ImpersonationSuspected, derived_id, write_event
from consumers.outcomes import review_of
from consumers.outgoing import DeliveryFailed, OutgoingMessage, drop, send_all
from consumers.topics import TopicMissing
from detector.index import GalleryIndex
from detector.matching import Matcher
from records.database import Database
from records.errors import DatabaseAway
from records.reports.look_backs import LookBack, LookBacks, Part, Window

log = logging.getLogger("likeness.look_back")
SLICE_SECONDS = 2.0
"""How long a step takes, about: then it is seen whether anybody has withdrawn."""
SETTLE_SECONDS = 5.0
"""After this time every consumer has followed the gallery: what is uploaded from then on is compared anyway."""
PAUSE_SECONDS = 0.5
UNTOLD = timedelta(seconds=30)
"""Whoever is not published for so long is told of: else it takes a second."""
NAMED = 5
"""So many people at most are named in one line."""
LATER = 10
"""What a review's priority is divided by, so that all of live uploads, 15 and more, come first."""

Step = Literal["searched", "behind", "idle", "elsewhere"]
"""Something was searched; live traffic comes first; nobody is to be searched for; another process searches."""


class LookBackWorker:
    """To be used from one thread. Close it."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        look_backs: LookBacks,
        matcher: Matcher,
        way: Way,
        metrics: LookBackMetrics,
        stop: threading.Event,
        *,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        """`matcher`: over an empty index, which this fills, and which `way` compares with."""
        self._settings = settings
        self._database = database
        self._look_backs = look_backs
        assert isinstance(matcher.index, GalleryIndex)
        self._index = matcher.index
        self._matcher = matcher
        self._way = way
        self._metrics = metrics
        self._stop = stop
        self._settle = settle
        self._known: dict[str, int] = {}
        self._untold: Sequence[str] = ()
        self._past: PastTopic | None = None
        self._live: LiveTraffic | None = None
        self._producer: KafkaProducer | None = None
        self._well = self._turned = time.monotonic()
        metrics.since_step.set_function(lambda: time.monotonic() - self._well)

    @property
    def since_turn(self) -> float:
        """Seconds since the last step ended, with or without an error."""
        return time.monotonic() - self._turned

    def run(self, over: Callable[[], bool] = lambda: False) -> None:
        """Step by step until `over`, or until `stop` is set; waits for a database or a broker that is away. Raises
        MasterKeyError, SchemaMismatch, WorkersBroken."""
        pause = PAUSE_SECONDS
        try:
            while not self._stop.is_set():
                self._turned = time.monotonic()
                try:
                    if over():
                        return
                    step = self.step()
                except (BrokerAway, DatabaseAway, DeliveryFailed, KafkaError, TopicMissing) as error:
                    self.close()
                    if self._stop.is_set():
                        return
                    log.warning("The look-back waits: %s Next try in %.1f s.", error, pause)
                    self._stop.wait(pause)
                    pause = min(2 * pause, self._settings.gallery.retry_seconds)
                else:
                    if step != "elsewhere":  # whether that process can search is not known here
                        self._well, pause = time.monotonic(), PAUSE_SECONDS
                    if step != "searched":
                        self._stop.wait(PAUSE_SECONDS)
        finally:
            self.close()

    def close(self) -> None:
        """Lets go of the broker; a later step asks for it again."""
        for one in (self._past, self._live):
            if one is not None:
                one.close()
        drop(self._producer)
        self._past = self._live = self._producer = None

    def step(self) -> Step:
        """May raise BrokerAway, DatabaseAway, DeliveryFailed, KafkaError or TopicMissing: then it can be repeated."""
        self._report()
        with self._database.sole("look_back") as alone:
            if not alone:
                return "elsewhere"
            ours = self._look_backs.take()
            if not ours:
                self._forget()
                return "idle"
            return self._search(ours)

    def _search(self, ours: Sequence[LookBack]) -> Step:
        self._follow([one.identity_id for one in ours])
        self._way.prepare([one.identity_id for one in ours])
        self._past = self._past or self._way.open_past(self._settings.kafka)
        self._live = self._live or LiveTraffic(self._settings)
        if (window := joined(ours, self._way.topic)) is None:
            self._stop.wait(self._settle)
            window = self._past.all_since(min(one.since for one in ours))
            log.info("A look-back begins.", extra={"identities": len(ours), "topic": window.topic})
        self._past.go_on(window)
        found: list[Suspicion] = []
        seen, behind, until = 0, False, time.monotonic() + SLICE_SECONDS
        while not (self._past.window.done or self._stop.is_set() or time.monotonic() > until):
            if behind := self._live.behind():
                break
            records = self._past.read(self._way.at_once)
            found += self._way.search(records)
            seen += len(records)
        self._metrics.paused.set(behind)
        counts = self._send(ours, found) if found else {}
        self._look_backs.advance([one.id for one in ours], self._past.window, seen, counts)
        if self._past.window.done:
            log.info("A look-back is done.", extra={"identities": len(ours)})
        return "behind" if behind else "searched"

    def _follow(self, identity_ids: Sequence[str]) -> None:
        """Brings the people whom the look-backs are for, as they are now, into the index, and nobody else."""
        index = self._index
        people, everybody = self._look_backs.people(identity_ids, index.pack)
        self._forget(but=[one.id for one in people])
        for one in people:
            index.apply(one)
            self._known[one.id] = one.sequence
        self._matcher.others = max(0, everybody - index.comparisons)

    def _forget(self, but: Collection[str] = ()) -> None:
        """Drops from the index whom nobody looks for any more: their faces are not kept in memory."""
        for identity_id in self._known.keys() - set(but):
            self._index.remove(identity_id, self._known.pop(identity_id) + 1)

    def _send(self, ours: Sequence[LookBack], found: Sequence[Suspicion]) -> Mapping[str, int]:
        """Sends the reviews of what was found; by look-back id how many. Of who was erased meanwhile, none."""
        at, there = datetime.now(UTC), {one.id for one in self._look_backs.find([one.id for one in ours])}
        outputs, counts = [], Counter[str]()
        for one in ours if there else ():
            for suspicion in found:
                review = review_about(one, suspicion, at) if one.id in there else None
                if review is not None:
                    value = write_event(review, str(review.review_id), at)
                    key = review.account_id.encode()
                    outputs.append(OutgoingMessage(self._settings.topics.reviews, key, value, (CONTENT_TYPE,)))
                    counts[one.id] += 1
        self._producer = self._producer or make_producer(self._settings.kafka)
        send_all(self._producer, outputs, self._settings.kafka.transaction_seconds)
        self._metrics.findings.inc(len(outputs))
        return counts

    def _report(self) -> None:
        count, oldest = self._look_backs.undone()
        self._metrics.undone.set(count)
        self._metrics.seconds_behind.set((datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0)
        untold = self._look_backs.untold(UNTOLD) if count else []
        if untold and untold != self._untold:
            named = ", ".join(untold[:NAMED]) + (f" and {len(untold) - NAMED} more" if len(untold) > NAMED else "")
            log.warning("The look-back for %s waits: not published yet. Is `likeness run` running?", named)
        self._untold = untold


def joined(look_backs: Sequence[LookBack], topic: str) -> Window | None:
    """What is left to be searched for all of them together; None where one of them has not begun on the topic."""
    windows = [one.window for one in look_backs]
    if any(window is None or window.topic != topic for window in windows):
        return None
    parts: dict[int, list[Part]] = {}
    for window in windows:
        for number, part in window.parts.items() if window else ():
            parts.setdefault(number, []).append(part)
    return Window(topic, {number: _joined(some) for number, some in parts.items()})


def _joined(parts: Sequence[Part]) -> Part:
    return Part(min(part.first for part in parts), min(part.next for part in parts), max(part.end for part in parts))


def review_about(look_back: LookBack, found: Suspicion, at: datetime) -> ImpersonationSuspected | None:
    """The review of the suspicion as far as it is about the look-back's identity; None where nothing of it is. Its id
    is the same whenever the same upload is found to show the same person."""
    findings = [one for one in found.verdict.findings if one.identity_id == look_back.identity_id]
    if not findings or found.sent_at < look_back.since.timestamp():
        return None
    verdict = replace(found.verdict, findings=tuple(findings))
    review_id = derived_id("review", found.upload.event_id, "look_back", look_back.identity_id)
    changed = {"review_id": review_id, "trigger": "look_back", "priority": verdict.priority // LATER}
    return review_of(found.upload, found.image, verdict, at).model_copy(update=changed)
