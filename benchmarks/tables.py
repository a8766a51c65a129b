"""The tables of README and docs/performance.md, as Markdown, from what benchmarks/results holds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.results import read_results
from likeness.console import out

Figures = Mapping[str, Any]


def print_tables(names: Sequence[str]) -> None:
    """Print the tables of these results, as far as there are any, each with when and on what it was measured."""
    for name in names:
        if name in TABLES and (figures := read_results(name)):
            machine = figures["machine"]
            out.print(f"\n{name}, {figures['measured']}, {machine['cores']} cores of {machine['processor']}:\n")
            out.print("\n".join(TABLES[name](figures)))


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [" | ".join(map(str, cells)) for cells in (head, ["---"] * len(head), *rows)]
    return [f"| {line} |" for line in lines]


def _engine(figures: Figures) -> list[str]:
    rows = [
        (
            case["graph"],
            f"{case['width']}x{case['height']}",
            case["batch"],
            *(_number(case[name], 2) for name in ("published_ms", "prepared_ms", "openvino_ms")),
            f"{case['published_ms'] / case['prepared_ms']:.2f}x",
            _number(case["openvino_ratio"], 2),
        )
        for case in figures["cases"]
    ]
    head = (
        "graph",
        "pixels",
        "at once",
        "as published, ms each",
        "prepared",
        "OpenVINO",
        "gain",
        "prepared / OpenVINO",
    )
    return _table(head, rows)


def _pipeline(figures: Figures) -> list[str]:
    ways = figures["ways"]
    names = next(iter(ways.values()))
    through = _table(
        ("", *ways), [(name.replace("_", " "), *(f"{way[name]:.2f}" for way in ways.values())) for name in names]
    )
    stages = figures["stages_ms"]
    kinds = [(kind, *(f"{spent:.2f}" for spent in of.values())) for kind, of in stages.items()]
    return [*through, "", *_table(("ms on one core", *next(iter(stages.values()))), kinds)]


def _kafka_client(figures: Figures) -> list[str]:
    """A row for each compression; a column of milliseconds for each fetch size."""
    read = figures["read"]
    sizes = list(dict.fromkeys(one["fetch_bytes"] for one in read))
    groups = [read[first : first + len(sizes)] for first in range(0, len(read), len(sizes))]
    rows = [
        (some[0]["uploads"], some[0]["compression"], some[0]["size"], *(_number(one["ms"], 2) for one in some))
        for some in groups
    ]
    head = (
        "uploads",
        "compression",
        "bytes, of those sent",
        *(f"ms to read one, fetched by {size:,}" for size in sizes),
    )
    return [*_table(head, rows), "", f"To send an outcome and see it confirmed: {figures['send_ms']} ms."]


def _latency(figures: Figures) -> list[str]:
    rows = [
        (
            f"{level['load']:.0%}",
            f"{level['per_second']:.0f}",
            level["uploads"],
            *(f"{level[f'{percentile}_ms']:.0f}" for percentile in ("p50", "p90", "p99")),
        )
        for level in figures["levels"]
    ]
    return _table(("load", "uploads a second", "uploads", "p50, ms", "p90, ms", "p99, ms"), rows)


def _processes(figures: Figures) -> list[str]:
    first = figures["runs"][0]["rate"]
    rows = [
        (
            run["processes"],
            f"{run['rate']:.0f} ({run['least']:.0f} to {run['most']:.0f})",
            f"{run['rate'] / first:.2f}x",
            f"{run['processor']:.0%}",
            *(f"{milliseconds:.1f}" for milliseconds in run["core_ms"].values()),
        )
        for run in figures["runs"]
    ]
    spent = [f"{who}, core-ms a picture" for who in figures["runs"][0]["core_ms"]]
    return _table(("processes", "pictures a second", "against the first", "cores in use", *spent), rows)


def _search(figures: Figures) -> list[str]:
    timed = [f"ms_per_probe_in_batches_of_{batch}" for batch in (1, 32)]
    timed += ["ms_per_avatar_pictures", "ms_per_avatar_names"]
    rows = [
        (
            f"{gallery['references']:,}",
            gallery["kind"],
            *(f"{gallery[name]['p50']:.2f} ({gallery[name]['p99']:.2f})" for name in timed),
            f"{gallery['recall_of_the_nearest']:.4f}",
            gallery["bytes_per_reference"],
        )
        for gallery in figures["galleries"]
    ]
    head = ("references", "vectors", "ms a probe, alone: p50 (p99)", "32 at once", "ms a picture's hashes", "names")
    return _table((*head, "recall of the nearest", "bytes a reference"), rows)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


TABLES: dict[str, Callable[[Figures], list[str]]] = {
    "engine": _engine,
    "pipeline": _pipeline,
    "kafka_client": _kafka_client,
    "latency": _latency,
    "processes": _processes,
    "search": _search,
}
"""By the name of the results."""
