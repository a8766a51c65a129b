"""A consumer's place in its group: sees every rebalance through, and tells what the group gives and takes."""

from kafka import ConsumerRebalanceListener, KafkaConsumer

from consumers.metrics import Metrics


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]
    """For every consumer that subscribes. kafka-python 3.0 rejoins the group for the sake of changed metadata only as
    long as metadata and assignment differ. If a poll ends while it rejoins, the next finds them alike and leaves the
    rejoining where it is, for good: no records come and no error. A wish to rejoin stays until the member has joined.
    """

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: object) -> None:
        self._consumer._coordinator.request_rejoin()  # nothing public asks for it

    def on_partitions_assigned(self, assigned: object) -> None:
        pass


class Membership(Rebalances):
    """What the group gives this worker, and how often it has changed its mind; told by the client from a thread of its
    own."""

    def __init__(self, consumer: KafkaConsumer, metrics: Metrics) -> None:
        super().__init__(consumer)
        self._metrics = metrics
        self.changes = 0
        """Grows whenever partitions are given or taken: what was consumed before is not surely ours any more."""
        self.joined = False
        """Whether the group has taken this worker in, even if it has no partition for it."""

    def on_partitions_revoked(self, revoked: object) -> None:
        super().on_partitions_revoked(revoked)
        self.changes += 1

    def on_partitions_assigned(self, assigned: object) -> None:
        self.changes += 1
        self.joined = True
        self._metrics.rebalances.inc()
