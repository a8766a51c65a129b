"""How often somebody may try: a bucket of tries per address that fills up again with time."""

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MOST_ADDRESSES = 100_000


@dataclass(slots=True)
class _Bucket:
    tries: float
    at: float


class RateLimit:
    """At once `burst` tries per address, and one more every `seconds`. Kept in this process's memory, of the `most`
    addresses that tried last; safe to share among threads. `clock` counts seconds."""

    def __init__(self, *, burst: int, seconds: float, clock: Callable[[], float], most: int = MOST_ADDRESSES) -> None:
        self._burst = burst
        self._seconds = seconds
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, address: str) -> float:
        """Takes one try of the address: 0, or the seconds until there is one again."""
        key, now = network_of(address), self._clock()
        with self._lock:
            bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now)
            tries = min(self._burst, bucket.tries + (now - bucket.at) / self._seconds)
            wait = max(0.0, (1 - tries) * self._seconds)
            self._buckets[key] = _Bucket(tries if wait else tries - 1, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        return wait


def network_of(address: str) -> str:
    """The address as tries are counted: of an IPv6 address the /64 that one customer has whole; but an IPv4 address
    stays one where a proxy writes it as ::ffff:192.0.2.1."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
