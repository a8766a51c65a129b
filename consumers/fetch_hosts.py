"""What is remembered of the hosts that pictures come from: who is asked now, and whose circuit is open."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import ceil

from config.settings import Fetch
from consumers.circuit import Circuit
from consumers.fetch_rules import DEFAULT_PORTS, Deadline, FetchRefused, HttpTarget, split_url

log = logging.getLogger("likeness.fetch")

KEPT_HOSTS = 10_000
"""Hosts whose failures are remembered."""

KEPT_PAUSES = 20
"""How long: so many times `breaker_seconds` after the host was last asked for."""

SILENT = {"unreachable", "fetch_failed"}
"""Reasons that, where they are not retryable, tell neither that a host works nor that it is down."""


@dataclass(slots=True, eq=False)
class Host:
    """`waiting` holds its jobs, first in, first out; `used` is when anything last happened to it, on the clock."""

    name: str
    circuit: Circuit
    used: float
    waiting: "OrderedDict[Future[bytes], Job]" = field(default_factory=OrderedDict)
    running: int = 0

    def down(self) -> FetchRefused:
        """Why its pictures are refused while its circuit is open."""
        pause = ceil(self.circuit.seconds_left)
        then = f"the next try is in {pause} s" if pause else "it is being tried now"
        detail = f"{self.name} failed {self.circuit.failures} times in a row, {then}: look at that server."
        return FetchRefused("host_down", detail, retryable=True)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One fetch; the `trial` is to find out whether a host that was down works again."""

    url: str
    host: Host
    future: Future[bytes]
    deadline: Deadline
    trial: bool


class Hosts:
    """Hosts by name. One that is idle and has not failed is forgotten at once. Not thread-safe."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float]) -> None:
        self._limits = fetch
        self._clock = clock
        self._hosts: OrderedDict[str, Host] = OrderedDict()  # the one not used for longest comes first

    def named(self, name: str) -> Host:
        self._forget()
        host = self._hosts.get(name)
        if host is None:
            circuit = Circuit(self._limits.breaker_failures, self._limits.breaker_seconds, self._clock)
            host = self._hosts[name] = Host(name, circuit, self._clock())
        host.used = self._clock()
        self._hosts.move_to_end(name)
        return host

    def settle(self, host: Host) -> None:
        """To be called when a job has left its host."""
        host.used = self._clock()
        self._hosts.move_to_end(host.name)
        if not (host.running or host.waiting or host.circuit.failures or host.circuit.is_open):
            del self._hosts[host.name]

    def down(self) -> int:
        """How many hosts are left alone, or have not shown yet that they work again."""
        self._forget()
        return sum(host.circuit.is_open for host in self._hosts.values())

    def learn(self, job: Job, answer: bytes | Exception, seconds: float) -> None:
        """Tell the circuit how a fetch of so many seconds went; log when the host goes down or comes back."""
        circuit, was_open = job.host.circuit, job.host.circuit.is_open
        works = self._works(answer, seconds)
        if works:
            circuit.succeeded()
        elif works is not None:
            circuit.failed()
        elif job.trial:
            circuit.undecided()
        if circuit.is_open and not was_open:
            log.warning(
                "The picture host %s is down: %d fetches in a row failed, the last with %s. Next try in %g s.",
                job.host.name,
                circuit.failures,
                getattr(answer, "reason", type(answer).__name__),
                self._limits.breaker_seconds,
            )
        elif was_open and not circuit.is_open:
            log.warning("The picture host %s works again.", job.host.name)

    def _works(self, answer: bytes | Exception, seconds: float) -> bool | None:
        """What an answer tells about the host, None = nothing. A refusal of one picture alone tells that it works."""
        if not isinstance(answer, FetchRefused):
            return True if isinstance(answer, bytes) else None
        if not answer.retryable:
            return None if answer.reason in SILENT else True
        # A fetch that had waited long and had little time left tells of our queue.
        hurried = answer.reason == "fetch_timeout" and seconds < self._limits.total_seconds / 2
        return None if hurried else False

    def _forget(self) -> None:
        since = self._clock() - KEPT_PAUSES * self._limits.breaker_seconds
        while self._hosts:
            host = next(iter(self._hosts.values()))
            if host.running or host.waiting or (len(self._hosts) < KEPT_HOSTS and host.used > since):
                return
            del self._hosts[host.name]


def host_of(url: str) -> str:
    """The host that a URL counts for, such as https://img.example.com:443, s3://bucket or file. Raises FetchRefused."""
    parts = split_url(url)
    if parts.scheme in DEFAULT_PORTS:
        return f"{parts.scheme}://{HttpTarget.parse(url).authority}"
    if parts.scheme == "s3":
        return "s3://" + url.partition("://")[2].partition("/")[0]
    return parts.scheme
