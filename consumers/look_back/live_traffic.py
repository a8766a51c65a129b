"""Whether screening keeps up with what is uploaded: what is not urgent waits until it does."""

import time

from kafka import TopicPartition

from config import Settings
from consumers.kafka import make_consumer
from consumers.progress import done_beyond

ASK_SECONDS = 1.0
ASK_MS = 5_000
MARKER = 1
"""A transaction ends with an offset of its own, beyond the last upload: a partition where all is done may seem to have
one left for ever. One upload that really waits in a partition does not make screening late."""


class LiveTraffic:
    """Asks for the position of the screening group, and joins it never. Close it."""

    def __init__(self, settings: Settings) -> None:
        """Raises BrokerAway."""
        self._topic = settings.topics.uploads
        self._usual = settings.screening.batch_size
        self._consumer = make_consumer(settings.kafka, group_id=settings.kafka.group_id)
        self._asked = -ASK_SECONDS
        self._behind = False

    def behind(self) -> bool:
        """Whether more uploads wait than are delivered together, as of a second ago at most. Raises KafkaError."""
        if time.monotonic() - self._asked >= ASK_SECONDS:
            self._behind = self.waiting() > self._usual
            self._asked = time.monotonic()
        return self._behind

    def waiting(self) -> int:
        """Uploads that have no outcome yet; none of a partition that nobody has ever consumed, or that has one left.
        Raises KafkaError."""
        numbers = self._consumer.partitions_for_topic(self._topic) or ()
        partitions = [TopicPartition(self._topic, number) for number in numbers]
        ends = self._consumer.end_offsets(partitions, timeout_ms=ASK_MS)
        stands = {one: self._consumer.committed(one, metadata=True, timeout_ms=ASK_MS) for one in partitions}
        left = (
            ends[one] - stand.offset - len(done_beyond(stand)) for one, stand in stands.items() if stand is not None
        )
        return sum(count for count in left if count > MARKER)

    def close(self) -> None:
        self._consumer.close()
