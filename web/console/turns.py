"""One at a time about the same thing, and side by side about different ones."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Turns:
    """Safe to share among threads: that is what it is for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken: set[Hashable] = set()

    @contextmanager
    def of(self, thing: Hashable) -> Iterator[None]:
        """Begins the block once no other thread is in one about the same thing."""
        with self._changed:
            self._changed.wait_for(lambda: thing not in self._taken)
            self._taken.add(thing)
        try:
            yield
        finally:
            with self._changed:
                self._taken.remove(thing)
                self._changed.notify_all()
