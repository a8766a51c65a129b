"""What a consumer and all its processes take, and what its metrics say, at one moment and over time.

The processes share pages, so each page counts in proportion to how many hold it (PSS of /proc/PID/smaps_rollup).
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from scipy.stats import theilslopes

from config import Settings
from tests.chaos.group import processes_of
from tests.support.running_service import ask

SAMPLE = re.compile(r"^(\w+)(?:\{[^}]*\})? (\S+)$", re.M)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the family. `moment`: seconds since 1970; `memory`: bytes; `own`: of these, what no file backs, which
    is where leaks are and no other program's business; `metrics`: by name, summed over labels."""

    moment: float
    memory: int
    own: int
    threads: int
    files: int
    metrics: dict[str, float]

    def __getitem__(self, name: str) -> float:
        return self.metrics.get(f"likeness_{name}", 0.0)


def look(settings: Settings) -> Sample:
    """The family of the consumer that runs with these settings, alone under its home."""
    memory = own = threads = files = 0
    for process in processes_of(settings.home):
        try:
            parts = _parts(process.pid)
            threads, files = threads + process.num_threads(), files + process.num_fds()
        except (psutil.NoSuchProcess, OSError):
            continue
        memory += parts["Pss"]
        own += parts["Pss_Anon"] + parts["Pss_Shmem"]
    return Sample(time.time(), memory, own, threads, files, _metrics(settings))


def watch(settings: Settings, seconds: float, pause: float) -> list[Sample]:
    """A look every `pause` seconds, for `seconds`."""
    samples, began = [], time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        samples.append(look(settings))
        time.sleep(max(0.0, pause * (passed // pause + 1) - (time.monotonic() - began)))
    return samples


def growth(samples: Sequence[Sample]) -> float:
    """Bytes a second by which the family's own memory grows: the median of the slopes between all pairs of samples
    (Theil and Sen), which single outliers do not move."""
    return float(theilslopes([one.own for one in samples], [one.moment for one in samples]).slope)


def _parts(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): 1024 * int(amount) for name, amount, _ in map(str.split, lines)}


def _metrics(settings: Settings) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in SAMPLE.findall(ask(settings, "/metrics")[1]):
        found[name] = found.get(name, 0.0) + float(value)
    return found
