"""What the group gives this worker, and how often it has changed its mind."""

from kafka import ConsumerRebalanceListener

from consumers.metrics import Metrics


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """Told of each change, by the client from a thread of its own."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.changes = 0
        """Grows whenever partitions are given or taken: what was consumed before is not surely ours any more."""
        self.joined = False
        """Whether the group has taken this worker in, even if it has no partition for it."""

    def on_partitions_revoked(self, revoked: object) -> None:
        self.changes += 1

    def on_partitions_assigned(self, assigned: object) -> None:
        self.changes += 1
        self.joined = True
        self._metrics.rebalances.inc()
