"""Uploads without end, dealt from a deck: at a rate, or as many under way as one wants."""

import threading
import time
from collections.abc import Callable, Sequence

from kafka.errors import KafkaError

from config import Settings
from consumers.kafka import make_producer
from tests.chaos.deck import Card
from tests.chaos.outcomes import OutcomeReader
from tests.support.running_service import eventually

STEP_SECONDS = 0.005


class Stream:
    """Sends in a thread from the block's beginning to its end, nothing until told. Upload `n` is card `n` of the deck,
    over and over, and stands in partition `n` modulo their number at offset `n` divided by it.

    `sent_at` holds when each was sent, in seconds since 1970, as its message says.
    """

    def __init__(self, settings: Settings, deck: Sequence[Card], reader: OutcomeReader) -> None:
        self.sent_at: list[float] = []
        self._prefix = f"{settings.kafka.group_id}-{time.time_ns()}"
        self._topic, self._partitions = settings.topics.uploads, settings.topics.partitions
        self._deck = deck
        self._reader = reader
        self._read = self._ended = 0
        self._allowed: Callable[[], float] = lambda: 0
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._producer = make_producer(settings.kafka)
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def __enter__(self) -> "Stream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        self._producer.close(timeout=10)

    def at_rate(self, per_second: float) -> None:
        """From now on so many a second, whatever becomes of them."""
        began, base = time.monotonic(), len(self.sent_at)
        self._allowed = lambda: base + per_second * (time.monotonic() - began)

    def under_way(self, count: int) -> None:
        """From now on as fast as they end, so that `count` have not ended yet."""
        self._allowed = lambda: self.ended() + count

    def pause(self) -> None:
        """Send no more; all that was sent is in Kafka when this returns. Raises KafkaError."""
        self._allowed = lambda: 0
        time.sleep(0.1)
        self._producer.flush(timeout=60)
        if self._errors:
            raise KafkaError(f"{len(self._errors)} uploads were not sent; the first: {self._errors[0]!r}")

    def drain(self, seconds: float) -> None:
        """Send no more, and return when all that was sent has ended."""
        self.pause()
        eventually(lambda: self.ended() >= len(self.sent_at), seconds, pause=0.1)

    def write_off(self) -> None:
        """Count all that was sent as ended: what has not will never be consumed."""
        self.ended()
        self._ended = len(self.sent_at)

    def ended(self) -> int:
        """How many uploads have ended."""
        news = self._reader.found[self._read :]
        self._read += len(news)
        self._ended += sum(one.kind != "review" and one.event_id.startswith(self._prefix) for one in news)
        return self._ended

    def event_id(self, number: int) -> str:
        return f"{self._prefix}-{number}"

    def number(self, event_id: str) -> int:
        return int(event_id.rpartition("-")[2])

    def card(self, event_id: str) -> Card:
        return self._deck[self.number(event_id) % len(self._deck)]

    @property
    def sorts(self) -> dict[str, str]:
        """Event id and sort of all that was sent, for the ledger."""
        return {self.event_id(number): self._deck[number % len(self._deck)].sort for number in range(len(self.sent_at))}

    def _run(self) -> None:
        while not self._stop.wait(STEP_SECONDS):
            allowed = self._allowed()
            while len(self.sent_at) < allowed and not self._stop.is_set():
                self._send(len(self.sent_at))

    def _send(self, number: int) -> None:
        now = time.time()
        self.sent_at.append(now)
        value = self._deck[number % len(self._deck)].value(self.event_id(number))
        key, place = f"acct-{number}".encode(), number % self._partitions
        future = self._producer.send(self._topic, value, key, partition=place, timestamp_ms=int(1000 * now))
        future.add_errback(self._errors.append)
