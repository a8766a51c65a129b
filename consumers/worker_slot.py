"""A stable name for each worker on a host, so that a restarted one takes its predecessor's transactions over."""

import fcntl
import os
import socket
from itertools import count
from pathlib import Path


def worker_slot(home: Path) -> str:
    """The first name of "host-0", "host-1", ... that no living process of this `home` has; held until this one ends."""
    folder = home / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    for number in count():
        name = f"{socket.gethostname()}-{number}"
        # Left open on purpose: the lock lives as long as the descriptor, which is as long as the process.
        descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return name
    raise AssertionError("count() has no end")
