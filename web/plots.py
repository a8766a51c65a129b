"""Lines over time as SVG paths, on a square of 100 by 100 that the page stretches; words and numbers are the page's.

A line that stretches keeps its width (vector-effect), and a stroke of no length with round ends is a dot.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SIDE = 100.0


@dataclass(frozen=True, slots=True)
class Line:
    """path: through what is known, broken where nothing is; dots: one at each value; values: as they came."""

    name: str
    path: str
    dots: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class LinePlot:
    """ticks: the values of the lines across, from the top down."""

    lines: tuple[Line, ...]
    ticks: tuple[float, ...]


def line_plot(series: Mapping[str, Sequence[float | None]], top: float | None = None) -> LinePlot:
    """Lines from 0 at the bottom to `top`, by default a round number that is no less than any value."""
    known = [value for values in series.values() for value in values if value is not None]
    if top is None:
        top = round_up(max(known, default=0.0))
    lines = tuple(_line(name, values, top) for name, values in series.items())
    return LinePlot(lines, (top, top / 2, 0.0))


def round_up(value: float) -> float:
    """The least of 2, 4, 10, 20, 40, 100 and so on that is no less: half of it is a whole number."""
    if value <= 2:
        return 2.0
    ten = 10.0 ** math.floor(math.log10(value))
    return next(step * ten for step in (1, 2, 4, 10) if value <= step * ten)


def _line(name: str, values: Sequence[float | None], top: float) -> Line:
    step = SIDE / max(1, len(values) - 1)
    path, dots, pen = [], [], "M"
    for number, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        place = f"{number * step:.2f} {SIDE - SIDE * min(value, top) / top:.2f}"
        path.append(f"{pen}{place}")
        dots.append(f"M{place}h0")
        pen = "L"
    return Line(name, "".join(path), "".join(dots), tuple(values))
