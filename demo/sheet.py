"""The contact sheet: every avatar beside the reference that it matched, as one HTML page without outside parts."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

THUMB = 220
STYLE = """
:root { color-scheme: light dark; --line: #8884; --review: #c0392b; --clear: #1e8449; --other: #7d6608; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } p { max-width: 46rem; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 1rem; }
article { border: 1px solid var(--line); border-radius: .6rem; padding: .8rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; }
figure { margin: 0; } figcaption { font-size: .8rem; opacity: .75; }
img, .none { width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: .3rem; background: #8882; }
.none { display: grid; place-items: center; font-size: .85rem; opacity: .6; }
h2 { font-size: 1rem; margin: .6rem 0 .1rem; } .facts { font-size: .88rem; }
.verdict { font-weight: 600; }
.review { color: var(--review); } .clear { color: var(--clear); } .other { color: var(--other); }
@media (prefers-color-scheme: dark) { :root { --review: #ff8a7a; --clear: #7ddc9b; --other: #e6cf6a; } }
"""


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """One upload on the sheet. `box`: the face to frame, in pixels; `reference`: a JPEG, if one matched."""

    title: str
    picture: bytes
    verdict: str
    explanation: str
    box: tuple[float, float, float, float] | None = None
    reference: bytes | None = None
    reference_caption: str = ""


def contact_sheet(entries: Sequence[SheetEntry], credits: Sequence[str]) -> str:
    """The page's HTML."""
    cards = "\n".join(_card(entry) for entry in entries)
    credit_items = "".join(f"<li>{html.escape(line)}</li>" for line in credits)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Likeness: contact sheet</title><style>{STYLE}</style></head>
<body><h1>What was uploaded, and what it matched</h1>
<p>Each card is one upload of the demo: the avatar on the left with the face that matched framed, the gallery's
reference on the right. Likeness queues suspicions; a person decides.</p>
<div class="sheet">{cards}</div>
<h2>Portraits</h2><ul class="facts">{credit_items}</ul></body></html>
"""


def _card(entry: SheetEntry) -> str:
    tone = entry.verdict if entry.verdict in ("review", "clear") else "other"
    title = html.escape(entry.title)
    left = _image(_thumb(entry.picture, entry.box), f"Avatar: {title}", "picture cannot be shown")
    right = _image(_thumb(entry.reference, None), html.escape(entry.reference_caption), "no match")
    return f"""<article><div class="pair"><figure>{left}<figcaption>uploaded</figcaption></figure>
<figure>{right}<figcaption>{html.escape(entry.reference_caption)}</figcaption></figure></div>
<h2>{title}</h2><div class="facts"><span class="verdict {tone}">{html.escape(entry.verdict)}</span>
{html.escape(entry.explanation)}</div></article>"""


def _image(jpeg: bytes | None, alt: str, missing: str) -> str:
    if jpeg is None:
        return f'<div class="none">{missing}</div>'
    return f'<img alt="{alt}" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'


def _thumb(picture: bytes | None, box: tuple[float, float, float, float] | None) -> bytes | None:
    """A small copy for the page, the face framed; None for what OpenCV cannot show."""
    if not picture or picture.startswith(b"\x89PNG"):  # the demo's one PNG is the bomb
        return None
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return None
    if box is not None:
        x, y, width, height = (round(value) for value in box)
        cv2.rectangle(pixels, (x, y), (x + width, y + height), (60, 60, 230), max(2, pixels.shape[1] // 120))
    scale = 2 * THUMB / max(pixels.shape[:2])
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])
