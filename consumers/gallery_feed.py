"""Keeps a running consumer's index equal to the gallery: follows the topic gallery-changes from its beginning.

1. read the topic to its end (before the first upload is screened)  2. follow it, change by change.
Each message is an identity's full state, sealed with its data key; an erased key or an empty message removes it.
"""

import gc
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any, TypeVar

import tenacity
from kafka import TopicPartition

from config import Settings
from consumers.gallery_reader import Opened, State, log_unreadable, open_all, open_beside, states_by_identity
from consumers.kafka import make_consumer, read_to_end
from consumers.metrics import Metrics
from detector.index import GalleryIndex
from records.errors import DatabaseAway
from records.gallery import GalleryRecords

log = logging.getLogger("likeness.gallery")
T = TypeVar("T")
POLL_MS = 100
GATHER_SECONDS = 0.25
"""Changes that come within this time are taken in together: each time costs a question to the database."""
TOLD_SECONDS = 5.0
"""How often the log says how far the loading is."""
LARGE = 20_000
"""Changes still to be read for which a second process is worth its start."""


class GalleryFeed:
    """The one writer of the indexes in a consumer process."""

    def __init__(
        self,
        settings: Settings,
        records: GalleryRecords,
        indexes: Sequence[GalleryIndex],
        metrics: Metrics,
        stop: threading.Event,
        *,
        large: int = LARGE,
        on_progress: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """`indexes`: the one that verdicts come from, and any of a shadow beside it. `large`: with more changes to read
        than that, a second process reads them. `on_progress`: is told how far the loading is, in a sentence."""
        self._settings = settings
        self._records = records
        self._indexes = indexes
        self._index = indexes[0]
        self._metrics = metrics
        self._stop = stop
        self._large = large
        self._on_progress = on_progress
        self._told = 0.0
        self._consumer = make_consumer(settings.kafka)
        self._thread = threading.Thread(target=self._follow, name="gallery-feed", daemon=True)

    def load(self) -> None:
        """Take in every change that the topic holds. Raises BrokerAway."""
        topic = self._settings.topics.gallery_changes
        partitions = self._consumer.partitions_for_topic(topic) or {0}
        self._consumer.assign([TopicPartition(topic, number) for number in sorted(partitions)])
        began = self._told = time.monotonic()
        alone = True
        with _nothing_collected():
            for messages in read_to_end(self._consumer, self._stop):
                self.apply(messages)
                read, end = self._stands(), self._ends()
                self._tell_progress(sum(read.values()), end)
                if alone and end - sum(read.values()) > self._large:
                    alone = False
                    self._load_beside(read, end)
        log.info(
            "The gallery is loaded.",
            extra={
                "references": self._index.references,
                "gallery_version": self._index.version,
                "seconds": round(time.monotonic() - began, 1),
            },
        )

    def follow(self) -> None:
        """Go on in a thread of its own until the process stops."""
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._consumer.close()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def apply(self, messages: Sequence[Any]) -> None:
        """Bring consumed messages, in their order, into the index; waits while the database is away."""
        self._take_in_all(self._persist(lambda: open_all(self._records, messages)))

    def _load_beside(self, read: dict[int, int], end: int) -> None:
        """Takes in what another process reads; where it ended, ours goes on. `read`: where ours stands."""
        for opened, ends in open_beside(self._settings, read, self._stop):
            self._take_in_all(opened)
            read |= ends
            self._tell_progress(sum(read.values()), end)
        for number, offset in read.items():
            self._consumer.seek(TopicPartition(self._settings.topics.gallery_changes, number), offset)

    def _take_in_all(self, opened: Sequence[Opened]) -> None:
        results = Counter[str]()
        # Of an identity's states only the newest is taken in: out of turn, and so all of them or none.
        newest = [(state, older) for older in states_by_identity(opened, results) if (state := next(older, None))]
        with ExitStack() as at_once:
            for index in self._indexes:
                at_once.enter_context(index.at_once())
            try:
                results.update(self._take_in([state for state, _ in newest]))
            except ValueError:  # one of them is for another index than ours
                for state, older in newest:
                    results.update(self._take_in_one(chain([state], older)))
        for result, count in results.items():
            self._metrics.gallery_changes.labels(result).inc(count)
        self._metrics.gallery_references.set(self._index.references)
        self._metrics.gallery_identities.set(self._index.identities)
        self._metrics.gallery_version.set(self._index.version)
        self._metrics.gallery_unusable.set(self._index.without_embedding)

    def _take_in_one(self, states: Iterator[State]) -> Iterator[str]:
        """The first state that the indexes take; a result for each that was tried."""
        for state in states:
            try:
                yield from self._take_in([state])
                return
            except ValueError as error:
                log_unreadable(state.identity_id, state.offset, error)
                yield "unreadable"

    def _take_in(self, states: Sequence[State]) -> list[str]:
        """How each ended, of states of different identities. Raises ValueError for embeddings that are none of an
        index's pack; what was taken before stays."""
        identities = [state.identity for state in states if state.identity is not None]
        removals = [state for state in states if state.identity is None]
        applied = zip(*(index.apply_all(identities) for index in self._indexes), strict=True)
        removed = zip(
            *([index.remove(one.identity_id, one.sequence) for one in removals] for index in self._indexes), strict=True
        )
        return [
            *("applied" if all(taken) else "stale" for taken in applied),
            *("removed" if all(taken) else "stale" for taken in removed),
        ]

    def _stands(self) -> dict[int, int]:
        """Of each partition, the offset that is read next."""
        return {
            one.partition: self._consumer.position(one, timeout_ms=1_000) or 0 for one in self._consumer.assignment()
        }

    def _ends(self) -> int:
        return sum(self._consumer.highwater(partition) or 0 for partition in self._consumer.assignment())

    def _tell_progress(self, read: int, end: int) -> None:
        share = min(1.0, read / max(1, end))
        sentence = f"Loading the gallery: {share:.0%}, {self._index.references} references."
        self._on_progress(sentence)
        if time.monotonic() - self._told > TOLD_SECONDS:
            self._told = time.monotonic()
            log.info(sentence)

    def _follow(self) -> None:
        for records in self._polled():
            self.apply(records)

    def _polled(self) -> Iterator[Sequence[Any]]:
        while not self._stop.wait(GATHER_SECONDS):
            yield from self._consumer.poll(timeout_ms=POLL_MS).values()

    def _persist(self, ask: Callable[[], T]) -> T:
        """The answer of the database, asked again and again while it is away and the process runs."""
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(DatabaseAway),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=self._settings.gallery.retry_seconds),
            stop=tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=lambda state: log.warning("Gallery changes wait: the database is away."),
            reraise=True,
        )
        return attempts(ask)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Python looks for garbage again and again while many objects are made; here hardly any of them is."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
