"""The edit suite's results for people: a table for the terminal, one for a page, and a heat map.

Only edits that leave the face at `LARGE_ENOUGH` pixels or more count for the goal; smaller faces are shown apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks.edit_suite import LARGE_ENOUGH, EditResults, Tally, Trial, by_edit, tally
from benchmarks.edits import COMBINED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GOAL = 0.99
COLUMNS = 6
"""Cells in a row of the heat map; a family with more levels goes on in the next row."""
DARKEST = 0.8
"""The rate from which downwards the heat map is darkest: what matters lies above it."""
HEADINGS = ("edit", "level", "photos", "detected", "by", "missed", "wrong person", "smaller faces")


Strip = tuple[str, list[tuple[str, float]]]
"""A row of the heat map: its name, and level and rate of each cell."""


@dataclass(frozen=True, slots=True)
class Row:
    """One edit: over faces that are large enough, and over smaller ones."""

    family: str
    level: str
    large: Tally
    small: Tally


def rows(results: EditResults) -> list[Row]:
    """One for each edit, in the order of EDITS, and two for all single and all combined edits."""
    listed = [_row(family, level, trials) for (family, level), trials in by_edit(results.trials).items()]
    single = [trial for trial in results.trials if trial.family != COMBINED]
    combined = [trial for trial in results.trials if trial.family == COMBINED]
    return [*listed, _row("all", "single edits", single), _row("all", COMBINED, combined)]


def below_goal(results: EditResults) -> list[Row]:
    """The edits, worst first, that miss the goal over faces that are large enough."""
    missing = [row for row in rows(results) if row.large.rate is not None and row.large.rate < GOAL]
    return sorted(missing, key=lambda row: row.large.rate or 0.0)


def table(results: EditResults) -> Table:
    """For the terminal."""
    shown = Table(*HEADINGS, title=_title(results))
    for row in rows(results):
        shown.add_row(*_cells(row), style="bold" if row.family == "all" else None)
    return shown


def as_markdown(results: EditResults) -> str:
    """The same table for a page, its title as the first line."""
    lines = [_title(results), "", _line(HEADINGS), _line(["---"] * len(HEADINGS))]
    return "\n".join(lines + [_line(_cells(row)) for row in rows(results)]) + "\n"


def heat_map(results: EditResults, path: Path) -> None:
    """Writes an SVG or PNG, by the path's ending: a row a family, a cell a level with its name and rate; below them the
    edits that left smaller faces. Rates of `DARKEST` or less share the darkest colour."""
    listed = [row for row in rows(results) if row.family != "all"]
    strips = _strips([(row.family, row.level, row.large) for row in listed])
    strips += _strips([(f"{row.family},\nsmaller faces", row.level, row.small) for row in listed])
    figure = Figure(figsize=(1.5 * COLUMNS + 2, 0.5 * len(strips) + 0.8), layout="constrained")
    axes = figure.subplots()
    for down, (_, cells) in enumerate(strips):
        for across, (level, rate) in enumerate(cells):
            _draw(axes, across, down, level, rate)
    axes.set(xlim=(0, COLUMNS), ylim=(len(strips), 0), xticks=[])
    axes.set_yticks([down + 0.5 for down in range(len(strips))], [name for name, _ in strips])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title(f"Detected after edits: {_title(results)}", fontsize=10)
    with rc_context(
        {"svg.hashsalt": "edits", "svg.fonttype": "none"}
    ):  # so, and without a date, the same results give the same file
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)


def _row(family: str, level: str, trials: Sequence[Trial]) -> Row:
    large = [trial for trial in trials if trial.face_side >= LARGE_ENOUGH]
    return Row(family, level, tally(large), tally([trial for trial in trials if trial.face_side < LARGE_ENOUGH]))


def _title(results: EditResults) -> str:
    return (
        f"{results.photos} photos in a gallery of {results.gallery} references, {results.pack}, "
        f"threshold {results.threshold:.3f}"
    )


def _cells(row: Row) -> list[str]:
    small = f"{_percent(row.small)} of {row.small.tried}" if row.small.tried else ""
    return [
        row.family,
        row.level,
        str(row.large.tried),
        _percent(row.large),
        _counts(row.large.kinds),
        _counts(row.large.missed),
        str(row.large.wrong or ""),
        small,
    ]


def _percent(counted: Tally) -> str:
    return "" if counted.rate is None else f"{100 * counted.rate:.1f} %"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _strips(levels: Sequence[tuple[str, str, Tally]]) -> list[Strip]:
    """The tried ones of (family, level, tally), at most COLUMNS in a strip; a strip that goes on has no name."""
    families: dict[str, list[tuple[str, float]]] = {}
    for family, level, counted in levels:
        if counted.rate is not None:
            families.setdefault(family, []).append((level, counted.rate))
    return [
        ("" if start else family, cells[start : start + COLUMNS])
        for family, cells in families.items()
        for start in range(0, len(cells), COLUMNS)
    ]


def _draw(axes: "Axes", across: int, down: int, level: str, rate: float) -> None:
    shade = max(0.0, (rate - DARKEST) / (1 - DARKEST))
    colour = colormaps["cividis"](shade)  # reads the same with and without red-green vision
    axes.fill_between([across, across + 1], down, down + 1, color=colour, edgecolor="white")
    words = level.replace(" + ", " +\n") + f"\n{100 * rate:.1f} %"
    ink = "black" if shade > 0.5 else "white"
    axes.text(across + 0.5, down + 0.5, words, ha="center", va="center", color=ink, fontsize=7)
