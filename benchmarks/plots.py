"""`python -m benchmarks.plots`: what docs/performance.md shows, drawn from benchmarks/results into docs/performance."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.results import read_results
from likeness.plots import COLOURS, INK, as_svg, standalone

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = Path(__file__).parents[1] / "docs" / "performance"
DEMANDED_MS = 250
"""p99 at half load."""
Figures = Mapping[str, Any]


def latency_by_load(figures: Figures) -> str:
    """Milliseconds from an upload sent to its outcome, over the share of what the consumer can do."""

    def draw(axes: "Axes") -> None:
        loads = [100 * level["load"] for level in figures["levels"]]
        for percentile, colour in zip(("p50", "p90", "p99"), COLOURS, strict=False):
            waits = [level[f"{percentile}_ms"] for level in figures["levels"]]
            axes.plot(loads, waits, color=colour, marker="o", label=percentile)
        axes.axhline(DEMANDED_MS, color=INK, linestyle=":", linewidth=1)
        axes.set(xlabel="load, % of the most it can do", ylabel="ms to the outcome", ylim=(0, None))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)

    return as_svg("latency", draw)


def throughput_by_processes(figures: Figures) -> str:
    """Pictures a second, over the number of screening processes of one worker each; least to most as a bar."""

    def draw(axes: "Axes") -> None:
        runs = sorted(
            {run["processes"]: run for run in reversed(figures["runs"])}.values(), key=lambda run: run["processes"]
        )
        counts, rates = [run["processes"] for run in runs], [run["rate"] for run in runs]
        spread = [[run["rate"] - run["least"] for run in runs], [run["most"] - run["rate"] for run in runs]]
        cores = figures["machine"]["cores"]
        axes.plot(
            [0, cores, counts[-1]],
            [0, cores * rates[0], cores * rates[0]],
            color=INK,
            linestyle=":",
            label="as many as cores",
        )
        axes.errorbar(counts, rates, yerr=spread, color=COLOURS[0], marker="o", capsize=3, label="measured")
        axes.set(xlabel=f"processes, on {cores} cores", ylabel="pictures a second", xlim=(0, None), ylim=(0, None))
        axes.set_xticks(counts)
        axes.legend(loc="lower right")

    return as_svg("processes", draw)


def search_by_size(figures: Figures) -> str:
    """Milliseconds a probe over the gallery's size, p50 as a line and p99 dashed, by how many are searched at once."""

    def draw(axes: "Axes") -> None:
        for batch, colour in zip((1, 32), COLOURS, strict=False):
            for kind, marker in (("random", "s"), ("clusters", "o")):
                same = [gallery for gallery in figures["galleries"] if gallery["kind"] == kind]
                sizes = [gallery["references"] for gallery in same]
                taken = [gallery[f"ms_per_probe_in_batches_of_{batch}"] for gallery in same]
                label = f"{batch} at once, {kind}"
                axes.plot(sizes, [each["p50"] for each in taken], color=colour, marker=marker, label=label)
                axes.plot(sizes, [each["p99"] for each in taken], color=colour, linestyle="--", linewidth=1)
        axes.plot([], [], color=INK, linestyle="--", linewidth=1, label="p99")
        axes.set(xscale="log", yscale="log", xlabel="references", ylabel="ms a probe")
        axes.xaxis.set_major_formatter(lambda size, _: f"{size:,.0f}")
        axes.yaxis.set_major_formatter(lambda milliseconds, _: f"{milliseconds:g}")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)

    return as_svg("search", draw)


PLOTS: dict[str, Callable[[Figures], str]] = {
    "latency": latency_by_load,
    "processes": throughput_by_processes,
    "search": search_by_size,
}
"""By the name of the results that they are drawn from."""


def draw_plots(folder: Path = FOLDER) -> None:
    """Draw every plot whose results there are."""
    folder.mkdir(exist_ok=True)
    for name, plot in PLOTS.items():
        if figures := read_results(name):
            (folder / f"{name}.svg").write_text(standalone(plot(figures)))


if __name__ == "__main__":
    draw_plots()
