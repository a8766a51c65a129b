"""Begins fetches only while there is room for the pictures that they will bring."""

from collections import deque
from collections.abc import Collection
from concurrent.futures import Future
from typing import Generic, TypeVar

from consumers.fetch_queue import FetchQueue

Item = TypeVar("Item")
REMEMBERED = 64
FIRST_GUESS = 128_000
"""Bytes of a picture before any was fetched."""


class FetchGate(Generic[Item]):
    """Stands before the queue of fetches. What is expected of each is twice the mean size of the last ones."""

    def __init__(self, queue: FetchQueue, most_bytes: int) -> None:
        """`most_bytes`: of all that the caller holds, above which no fetch begins."""
        self._queue = queue
        self._most = most_bytes
        self._waiting: deque[tuple[Item, str]] = deque()
        self._begun: dict[Item, tuple[str, Future[bytes]]] = {}
        self._sizes = deque([FIRST_GUESS], maxlen=REMEMBERED)

    def add(self, item: Item, url: str) -> None:
        self._waiting.append((item, url))

    def begin(self, held: int) -> list[tuple[Item, Future[bytes]]]:
        """The fetches that begin now, while the caller holds `held` bytes; one is always under way.

        When too much has come, those that wait for their host are taken back, to begin again later.
        """
        expected = 2 * sum(self._sizes) // len(self._sizes)
        begun = []
        while self._waiting and (not self._begun or held + (len(self._begun) + 1) * expected < self._most):
            item, url = self._waiting.popleft()
            fetch = self._queue.submit(url)
            self._begun[item] = url, fetch
            begun.append((item, fetch))
        if held >= self._most:
            for item, (url, fetch) in reversed(list(self._begun.items())):
                if len(self._begun) > 1 and fetch.cancel():
                    del self._begun[item]
                    self._waiting.appendleft((item, url))
        return begun

    def ended(self, item: Item, size: int | None) -> None:
        """A fetch has brought `size` bytes, or nothing."""
        self._begun.pop(item, None)
        if size is not None:
            self._sizes.append(size)

    def drop(self, items: Collection[Item]) -> None:
        """Nobody waits for these any more."""
        self._waiting = deque(one for one in self._waiting if one[0] not in items)
        for item in items:
            if (begun := self._begun.pop(item, None)) is not None:
                begun[1].cancel()
