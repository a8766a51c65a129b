"""How long ago a thread was last well."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class SinceGauge(Collector):
    """Has a sample only where the thread runs: alerts take the least of all processes, and a 0 from one that runs none,
    or does not run it yet, would hide that it fails in all others."""

    def __init__(self, name: str, documentation: str, *, registry: CollectorRegistry) -> None:
        self._name, self._documentation = name, documentation
        self._seconds: Callable[[], float] | None = None
        registry.register(self)

    def set_function(self, seconds: Callable[[], float]) -> None:
        """The thread is there; `seconds` since it was well."""
        self._seconds = seconds

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._documentation)
        if self._seconds is not None:
            family.add_metric([], self._seconds())
        yield family
