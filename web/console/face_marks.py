"""Where a face and foreign texts lie, as an SVG of the picture's size that is laid over it: boxes, and landmarks."""

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from detector.verdict import Box
from web.console.face_crops import FacePlace

LIGHT, DARK = "#ffd166", "#1b1e25"
"""A light line on a dark one is seen on any picture."""


def face_marks(width: int, height: int, place: FacePlace | None, texts: Sequence[Box] = ()) -> bytes:
    """The SVG; without a face when nobody knows where it lies. Sizes in pixels of the picture."""
    line = max(width, height) / 250
    shapes = []
    boxes = [*texts, *([place.box] if place else [])]
    points = (place.landmarks if place else None) or ()
    for colour, thick in ((DARK, 2 * line), (LIGHT, line)):
        for x, y, wide, high in boxes:
            box = {"x": x, "y": y, "width": wide, "height": high, "rx": 2 * line}
            shapes.append(_shape("rect", box, fill="none", stroke=colour, thick=thick))
        for at_x, at_y in points:
            shapes.append(_shape("circle", {"cx": at_x, "cy": at_y, "r": thick}, fill=colour))
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{"".join(shapes)}</svg>'
    return svg.encode()


def _shape(name: str, numbers: dict[str, float], *, fill: str, stroke: str = "none", thick: float = 0.0) -> str:
    facts = {key: f"{value:.1f}" for key, value in numbers.items()}
    facts |= {"fill": fill, "stroke": stroke, "stroke-width": f"{thick:.1f}"}
    return f"<{name} {' '.join(f'{key}={quoteattr(value)}' for key, value in facts.items())}/>"
