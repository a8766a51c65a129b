"""Look-ups of host names that may hang without holding up those of other hosts."""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from consumers.fetch_rules import Deadline, FetchRefused

Resolve = Callable[..., list[Any]]
"""Answers like socket.getaddrinfo."""

AT_ONCE = 256
"""Look-ups under way, each in a thread of its own; only a resolver that hangs for many names comes near."""


class Lookups:
    """Resolves names, each name once at a time: who asks meanwhile shares the answer. Thread-safe."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, int], Future[list[Any]]] = {}

    def find(self, host: str, port: int, deadline: Deadline) -> list[Any]:
        """The host's addresses, as the resolver gives them. Raises FetchRefused (`unreachable`, `fetch_timeout`)."""
        lookup = self._begun(host, port)
        try:
            return lookup.result(deadline.left())
        except TimeoutError as error:
            raise deadline.passed() from error
        except OSError as error:
            detail = f"{host} does not resolve ({error.strerror}): look at its name and at the resolver."
            raise FetchRefused("unreachable", detail, retryable=error.errno == socket.EAI_AGAIN) from error

    def _begun(self, host: str, port: int) -> Future[list[Any]]:
        with self._lock:
            lookup = self._under_way.get((host, port))
            if lookup is None:
                if len(self._under_way) >= AT_ONCE:
                    detail = f"{host} is not looked up while {AT_ONCE} other look-ups hang: look at the resolver."
                    raise FetchRefused("unreachable", detail, retryable=True)
                lookup = Future()
                # A resolver cannot be interrupted: it works aside, and neither the fetch nor the exit waits for it.
                threading.Thread(
                    target=self._look_up, args=(host, port, lookup), name=f"resolve-{host}", daemon=True
                ).start()
                self._under_way[host, port] = lookup
            return lookup

    def _look_up(self, host: str, port: int, lookup: Future[list[Any]]) -> None:
        try:
            found = self._resolve(host, port, type=socket.SOCK_STREAM)
        except BaseException as error:  # a future that nobody ends would hold its host for good
            self._end(host, port)
            lookup.set_exception(error)
        else:
            self._end(host, port)
            lookup.set_result(found)

    def _end(self, host: str, port: int) -> None:
        with self._lock:
            del self._under_way[host, port]
