"""A page of photos side by side, for the eyes of who calibrates: are these two names one person?

It holds photographs, so it is meant to stay on the machine that made it, and to be deleted after.
"""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2

from detector.performance.pair_scores import LookAlikes
from detector.picture import PictureLimits, decode_picture
from likeness.face_sets import EmbeddedFaces, FaceSet
from likeness.folders import read_picture

SIDE = 200
"""Pixels of a photo's longest side."""
STYLE = """
:root { color-scheme: light dark; } body { font: 1rem/1.4 system-ui, sans-serif; margin: 1rem; }
ol { padding-left: 2rem; } li { margin-bottom: 1.5rem; }
figure { display: inline-block; margin: .5rem 1rem .5rem 0; width: min(200px, 42%); vertical-align: top; }
img { max-width: 100%; height: auto; }
figcaption { font-size: .85rem; overflow-wrap: anywhere; }
"""


def contact_sheet(faces: FaceSet, found: EmbeddedFaces, alike: Sequence[LookAlikes], limits: PictureLimits) -> str:
    """The page. Raises OSError, and PictureRejected where a photo has changed since it was embedded."""
    items = "".join(
        f"<li><p>cosine {pair.similarity:.3f}</p>{_figure(faces, found, pair.one, limits)}"
        f"{_figure(faces, found, pair.other, limits)}</li>\n"
        for pair in alike
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>One person under two names?</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n<body>\n'
        "<h1>One person under two names?</h1>\n<p>The most alike faces of two names. This page holds photographs: "
        f"keep it here and delete it when you have looked.</p>\n<ol>\n{items}</ol>\n</body>\n</html>\n"
    )


def _figure(faces: FaceSet, found: EmbeddedFaces, row: int, limits: PictureLimits) -> str:
    photo, name = faces.photos[int(found.photos[row])], faces.names[int(found.people[row])]
    picture = base64.b64encode(_small(photo, limits)).decode()
    return (
        f'<figure><img src="data:image/jpeg;base64,{picture}" alt="">'
        f"<figcaption>{escape(name)}<br>{escape(photo.name)}</figcaption></figure>"
    )


def _small(photo: Path, limits: PictureLimits) -> bytes:
    pixels = decode_picture(read_picture(photo, limits.max_bytes), limits).pixels
    scale = min(1.0, SIDE / max(pixels.shape[:2]))
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1])
