"""Plots as SVG that takes its ink from the page around it, light or dark. matplotlib is loaded only to draw one."""

import io
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from detector.performance.cohorts import Curve
from likeness.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#010203"
"""Drawn in place of currentColor, which matplotlib does not know."""
COLOURS = ("#1f83c4", "#d9641e", "#1d9a6c", "#c063a8", "#b8860b", "#6f7bd1", "#8a8a8a")
DASHES = ("-", "--", "-.", ":")
MOST_CURVES = 7
ALL = "all people"
DET_TICKS = (1e-4, 1e-3, 0.01, 0.05, 0.2, 0.4)
SIZE = (4.4, 3.7)
"""Inches: small, so that letters stay readable on a telephone."""


def need_matplotlib() -> None:
    """Raises BadInput where it is missing: before long work, not after it."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise BadInput("Plots need matplotlib: install likeness with its extra `report`.") from error


def roc(curves: Mapping[str | None, Curve]) -> str:
    """Receiver operating characteristic: 1 - FNMR over FMR, which is on a logarithmic axis."""

    def draw(axes: "Axes") -> None:
        for name, curve, style in _styled(curves):
            axes.plot(curve.fmr, 1 - curve.fnmr, label=name, **style)
        axes.set(xscale="log", xlabel="FMR", ylabel="1 - FNMR")
        axes.xaxis.set_major_formatter(lambda rate, _: f"{100 * rate:g} %")
        axes.legend(loc="lower right")

    return as_svg("roc", draw)


def det(curves: Mapping[str | None, Curve]) -> str:
    """Detection error trade-off: FNMR over FMR, both on normal-deviate axes (Martin et al., 1997)."""

    def draw(axes: "Axes") -> None:
        for name, curve, style in _styled(curves):
            inside = (curve.fmr > 0) & (curve.fmr < 0.5) & (curve.fnmr > 0) & (curve.fnmr < 0.5)
            axes.plot(ndtri(curve.fmr[inside]), ndtri(curve.fnmr[inside]), label=name, **style)
        ticks, labels = ndtri(DET_TICKS), [f"{100 * tick:g} %" for tick in DET_TICKS]
        axes.set_xticks(ticks, labels)
        axes.set_yticks(ticks, labels)
        axes.set(xlabel="FMR", ylabel="FNMR")
        axes.legend(loc="best")

    return as_svg("det", draw)


def price(budgets: NDArray[np.float64], curves: Mapping[int, tuple[NDArray[np.float64], NDArray[np.bool_]]]) -> str:
    """Expected TPIR over the review budget. curves: by the gallery's size the rates, (B,) for each of `budgets`, and
    whether each is extrapolated, which is drawn dashed."""

    def draw(axes: "Axes") -> None:
        for (size, (rates, beyond)), colour in zip(curves.items(), COLOURS, strict=False):
            axes.plot(budgets, rates, color=colour, linestyle="--", linewidth=1.2)
            axes.plot(budgets, np.where(beyond, np.nan, rates), color=colour, linewidth=2, label=f"{size:,}")
        axes.plot([], [], color=INK, linestyle="--", linewidth=1.2, label="extrapolated")
        axes.set(xscale="log", xlabel="false alarms per 1,000 uploads", ylabel="expected TPIR", ylim=(0, 1.02))
        axes.xaxis.set_major_formatter(lambda budget, _: f"{budget:g}")
        axes.legend(title="references", loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)

    return as_svg("price", draw)


def standalone(svg: str) -> str:
    """`svg` with the ink and the paper that a file of its own needs."""
    style = "svg{color:#1b1f24;background:#fff}@media(prefers-color-scheme:dark){svg{color:#e6e8eb;background:#15181c}}"
    return svg.replace(">", f"><style>{style}</style>", 1)


def _styled(curves: Mapping[str | None, Curve]) -> list[tuple[str, Curve, dict[str, Any]]]:
    styled: list[tuple[str, Curve, dict[str, Any]]] = []
    for number, (cohort, curve) in enumerate(list(curves.items())[:MOST_CURVES]):
        style = {"color": INK if cohort is None else COLOURS[number - 1], "linestyle": DASHES[number % len(DASHES)]}
        styled.append((ALL if cohort is None else cohort, curve, style))
    return styled


def as_svg(name: str, draw: "Callable[[Axes], None]") -> str:
    """What `draw` puts on the axes, as an <svg> element without sizes, scripts or addresses. `name` keeps its ids apart
    from another plot's."""
    need_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    wanted: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "sans-serif",
        "font.size": 10,
        "text.parse_math": False,
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    }
    with rc_context(wanted):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.grid(True, color="#888888", alpha=0.3, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        if legend := axes.get_legend():
            legend.set_frame_on(False)
        written = io.StringIO()
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        figure.savefig(written, format="svg", metadata=metadata)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # the same in every plot, and a page has each id once
    return re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"|(<svg[^>]*?) height="[^"]*"', r"\1\2", svg, count=1)
