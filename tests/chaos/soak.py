"""What a soak tells: whether anything grew, how long uploads took, a table and a plot of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import numpy as np

from tests.chaos.family import Sample, growth
from tests.chaos.ledger import Outcome, Tally

LEAK = 500.0
"""Bytes that memory may grow for each upload; 1 KB kept of each would be twice that."""

FLOOR = 2.5e6
"""Bytes that memory may go up in the second half by chance: on a machine that screens less than 5,000 uploads in it, a
leak of LEAK cannot be told from that."""

HOURLY = 0.10
"""Share of its mean that memory may grow in an hour, where it was watched for one."""

PLOT = Path(__file__).parents[2] / "docs" / "soak" / "soak.svg"
MB = 1e6


@dataclass(frozen=True)
class Soak:
    """`rate`: uploads a second; `samples`: in order; `latencies`: (n, 2), when sent (seconds since 1970) and how many
    seconds until the outcome."""

    rate: float
    samples: Sequence[Sample]
    latencies: np.ndarray
    found: Tally

    @property
    def seconds(self) -> float:
        return self.samples[-1].moment - self.samples[0].moment

    @property
    def later(self) -> Sequence[Sample]:
        return second_half(self.samples)

    @property
    def leak(self) -> float:
        """Bytes that memory grew for each upload in the second half."""
        return growth(self.later) / self.rate

    @property
    def uploads_later(self) -> float:
        return self.rate * (self.later[-1].moment - self.later[0].moment)

    @property
    def hourly(self) -> float:
        """By what share of its mean memory would grow in an hour, by the second half."""
        return 3600 * growth(self.later) / fmean(one.own for one in self.later)

    def drift(self, name: str) -> float:
        """By how much more of `threads` or `files` there are in the last quarter than in the one before, by medians."""
        half = len(self.later) // 2
        first, last = ([getattr(one, name) for one in part] for part in (self.later[:half], self.later[half:]))
        return float(median(last) - median(first))

    def percentile(self, rank: float) -> float:
        return float(np.percentile(self.latencies[:, 1], rank))

    def lines(self) -> list[str]:
        """The table, line by line, in Markdown."""
        return [f"| {'what':<42} | {'value':>24} |", f"| {'-' * 42} | {'-' * 23}: |"] + [
            f"| {what:<42} | {value:>24} |" for what, value in self._facts().items()
        ]

    def _facts(self) -> dict[str, str]:
        samples, later = self.samples, self.later
        return {
            "minutes": f"{self.seconds / 60:.0f}" if self.seconds >= 60 else f"{self.seconds / 60:.1f}",
            "uploads": f"{self.found.events:,}",
            "uploads a second": f"{self.rate:.1f}",
            "lost, doubled": f"{len(self.found.lost)}, {len(self.found.doubled)}",
            "latency p50, p95, p99, s": ", ".join(f"{self.percentile(rank):.2f}" for rank in (50, 95, 99)),
            "lag, median and most": _middle_and_most([one["consumer_lag"] for one in samples]),
            "seconds since the last poll, most": f"{max(one['seconds_since_poll'] for one in samples):.2f}",
            "memory, mean of the second half, MB": f"{fmean(one.memory for one in later) / MB:.0f}",
            "of these backed by no file, MB": f"{fmean(one.own for one in later) / MB:.0f}",
            "its least and most in the second half, MB": " to ".join(
                f"{end(one.own for one in later) / MB:.1f}" for end in (min, max)
            ),
            "its growth, bytes an upload": f"{self.leak:+.0f}",
            "its growth, % an hour": f"{100 * self.hourly:+.1f}",
            "threads, open files at the end": f"{samples[-1].threads}, {samples[-1].files}",
            "gallery changes": f"{samples[-1]['gallery_version'] - samples[0]['gallery_version']:.0f}",
            "rebalances after the start": f"{samples[-1]['rebalances_total'] - samples[0]['rebalances_total']:.0f}",
        }


def second_half(samples: Sequence[Sample]) -> Sequence[Sample]:
    """The samples from when all that is made once has been made."""
    return samples[len(samples) // 2 :]


def latencies(sent_at: Mapping[str, float], outcomes: Sequence[Outcome]) -> np.ndarray:
    """(n, 2): when each upload was sent and the seconds from then to its screening or dead letter, by when sent."""
    pairs = [
        (sent_at[one.event_id], one.created - sent_at[one.event_id])
        for one in outcomes
        if one.kind != "review" and one.event_id in sent_at
    ]
    return np.array(sorted(pairs))


def draw(soak: Soak, path: Path = PLOT) -> None:
    """Memory, lag and latency over time, as SVG."""
    import matplotlib
    from matplotlib.figure import Figure

    begin = soak.samples[0].moment
    minutes = [(one.moment - begin) / 60 for one in soak.samples]
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "soak", "font.size": 8}):
        figure = Figure((7.0, 5.0), layout="constrained")
        memory, lag, latency = figure.subplots(3, 1, sharex=True)
        memory.plot(minutes, [one.memory / MB for one in soak.samples], label="all")
        memory.plot(minutes, [one.own / MB for one in soak.samples], label="backed by no file")
        memory.set(ylabel="memory, MB", ylim=(0, None))
        memory.legend(loc="lower right", ncols=2, frameon=False)
        lag.plot(minutes, [one["consumer_lag"] for one in soak.samples])
        lag.set(ylabel="lag, uploads", ylim=(0, None))
        for rank in (50, 95, 99):
            latency.plot(*_over_time(soak, begin, rank), label=f"p{rank}")
        latency.set(ylabel="latency, s", ylim=(0, None), xlabel="minutes")
        latency.legend(loc="upper right", ncols=3, frameon=False)
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _over_time(soak: Soak, begin: float, rank: float, slices: int = 60) -> tuple[list[float], list[float]]:
    edges = np.linspace(begin, soak.samples[-1].moment, slices + 1)
    place = np.digitize(soak.latencies[:, 0], edges)
    filled = [number for number in range(1, slices + 1) if (place == number).any()]
    values = [float(np.percentile(soak.latencies[place == number, 1], rank)) for number in filled]
    return [float(edges[number] - begin) / 60 for number in filled], values


def _middle_and_most(values: Sequence[float]) -> str:
    return f"{median(values):.0f}, {max(values):.0f}"
