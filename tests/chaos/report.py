"""The table that ends a run of tests/chaos: what was done to the service, what that cost, how soon it went on."""

import os
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "chaos.md"
HEAD = ("fault", "delivery", "injected", "events", "lost", "doubled", "recovery, median s", "worst s")
FULL = os.environ.get("LIKENESS_CHAOS") == "full"
"""Whether everything runs at the size that docs/chaos.md tells of; without it some runs are shorter."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of fault in one run. `lost` and `doubled` are those of the whole run; `recoveries` in seconds."""

    fault: str
    delivery: str
    injected: int
    events: int
    lost: int
    doubled: int
    recoveries: Sequence[float] = ()

    def cells(self) -> tuple[str, ...]:
        median = f"{statistics.median(self.recoveries):.1f}" if self.recoveries else ""
        worst = f"{max(self.recoveries):.1f}" if self.recoveries else ""
        counts = (f"{count:,}" for count in (self.injected, self.events, self.lost, self.doubled))
        return (self.fault, self.delivery, *counts, median, worst)


_rows: list[Row] = []


def add(row: Row) -> None:
    """Have the table end with `row`."""
    _rows.append(row)


def rows() -> tuple[Row, ...]:
    return tuple(_rows)


def table(lines: Sequence[Row]) -> list[str]:
    """The rows as an aligned table in Markdown, line by line."""
    cells = [HEAD, *(row.cells() for row in lines)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    words = 2

    def drawn(line: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * w if column < words else "-" * (w - 1) + ":" for column, w in enumerate(widths)]
    return [drawn(cells[0]), drawn(rule), *map(drawn, cells[1:])]


def write(page: Path, lines: Sequence[str], mark: str = "table") -> None:
    """Put `lines` in `page` between <!-- mark --> and <!-- end -->. Raises ValueError when it has no such marks."""
    text = page.read_text()
    marks = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- end -->)", re.S)
    if not marks.search(text):
        raise ValueError(f"{page} has no marks <!-- {mark} --> and <!-- end -->.")
    page.write_text(marks.sub(lambda found: found[1] + "\n".join(lines) + "\n" + found[2], text, count=1))
