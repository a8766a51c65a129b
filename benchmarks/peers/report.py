"""The tables of `make bench-peers`: on the screen, in docs/performance.md and, in short, in README.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

ROOT = Path(__file__).parents[2]
WAYS = {
    "one": "one loop",
    "threads": "a loop in each of {cores} threads",
    "processes": "a loop in each of {cores} processes",
    "itself": "its own worker processes",
}

Row = Mapping[str, Any]


def picture_table(rows: Sequence[Row], versions: Mapping[str, str]) -> Table:
    """A line for each loop and number of cores."""
    head = ("loop", "cores", "pictures a second", "of Likeness", "core-ms a picture", "of Likeness")
    table = Table(*head, "faces, in pictures", "memory, MB", "best setting tried")
    for row in rows:
        alone = row["settings"]["by"] == "one"
        table.add_row(
            _named(row, versions),
            str(row["cores"]),
            f"{row['rate']:.1f}",
            f"{row['ratio']:.2f}x",
            f"{row['core_ms']:.1f}" if alone else "",
            f"{row['work_ratio']:.2f}x" if "work_ratio" in row else "",
            f"{row['faces']:.0f} in {row['pictures_with_a_face']:.0f} of {row['pictures']:.0f}",
            f"{row['memory_mb']:.0f}",
            _setting(row),
        )
    return table


def search_table(rows: Sequence[Row], versions: Mapping[str, str]) -> Table:
    """A line for each index and gallery size."""
    table = Table("faces", "index", "ms a probe", "of ours", "ms in batches of 32", "of ours", "found", "effort")
    for name in ("threads", "core-seconds to build", "memory, of the raw vectors"):
        table.add_column(name)
    for row in rows:
        table.add_row(
            f"{row['faces']:,}",
            _named(row, versions),
            f"{row['one_ms']:.2f}",
            f"{row['one_ms_of_ours']:.2f}x",
            f"{row['batch_ms']:.2f}",
            f"{row['batch_ms_of_ours']:.2f}x",
            f"{row['recall']:.2%}",
            str(row["effort"] or ""),
            str(row["threads"]),
            f"{row['build_core_seconds']:.0f}",
            f"{row['of_raw']:.2f}x",
        )
    return table


def write_pages(results: Mapping[str, Any]) -> None:
    """Put the tables between their marks on the pages."""
    versions = results["versions"]
    performance, readme = ROOT / "docs" / "performance.md", ROOT / "README.md"
    if "pictures" in results:
        _write(performance, "peers: pictures", _markdown(picture_table(results["pictures"], versions)))
        _write(readme, "peers: pictures", _markdown(_short_pictures(results["pictures"], versions)))
    if "searches" in results:
        _write(performance, "peers: searches", _markdown(search_table(results["searches"], versions)))
        _write(readme, "peers: searches", _markdown(_short_searches(results["searches"], versions)))


def _short_pictures(rows: Sequence[Row], versions: Mapping[str, str]) -> Table:
    table = Table("loop", "one core, pictures a second", "of Likeness", "all cores", "of Likeness")
    for one in (row for row in rows if row["cores"] == 1):
        every = next(row for row in rows if row["peer"] == one["peer"] and row["cores"] > 1)
        figures = [text for row in (one, every) for text in (f"{row['rate']:.0f}", f"{row['ratio']:.2f}x")]
        table.add_row(_named(one, versions), *figures)
    return table


def _short_searches(rows: Sequence[Row], versions: Mapping[str, str]) -> Table:
    most = max(row["faces"] for row in rows)
    table = Table(f"search of {most:,} faces", "ms a probe", "in batches of 32", "found", "memory, of the raw vectors")
    for row in (row for row in rows if row["faces"] == most):
        figures = (f"{row['one_ms']:.1f}", f"{row['batch_ms']:.1f}", f"{row['recall']:.2%}", f"{row['of_raw']:.2f}x")
        table.add_row(_named(row, versions), *figures)
    return table


def _named(row: Row, versions: Mapping[str, str]) -> str:
    releases = ", ".join(f"{package} {versions[package]}" for package in row["packages"])
    return f"{row['peer']} ({releases})" if releases else str(row["peer"])


def _setting(row: Row) -> str:
    settings = row["settings"]
    way = WAYS[settings["by"]].format(cores=row["cores"])
    if settings["by"] == "one":
        way += f", {settings['threads']} thread{'s' if settings['threads'] > 1 else ''}"
    if "upsample" in settings:
        way += f", pictures enlarged {settings['upsample']} times"
    if settings.get("own_session") is False:
        way += ", with an ONNX Runtime session of one thread in place of its own"
    return way


def _markdown(table: Table) -> str:
    columns = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    head, *rows = (f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True))
    return "\n".join([head, "|---" * len(columns) + "|", *rows])


def _write(page: Path, name: str, text: str) -> None:
    before, mark, rest = page.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not end:
        raise ValueError(f"{page} has no place for {name}")
    page.write_text(f"{before}{mark}\n{text}\n\n{end}{after}")
