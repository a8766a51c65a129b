"""The most memory that this process and those it started held since a moment, as Linux counts it."""

import re
from pathlib import Path

import psutil

MEGABYTE = 2**20


def processes() -> list[psutil.Process]:
    """This process and all that it started."""
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def forget_peaks() -> float:
    """Resident megabytes now, all processes together; their peaks are counted from here."""
    for process in processes():
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return sum(process.memory_info().rss for process in processes()) / MEGABYTE


def peak() -> float:
    """The peaks since forget_peaks in megabytes, all processes together."""
    status = (Path(f"/proc/{process.pid}/status").read_text() for process in processes())
    return sum(int(found[1]) for text in status if (found := re.search(r"VmHWM:\s+(\d+)", text))) / 1024
