"""Photographs the console with drawn people, for docs/: LIKENESS_SCREENSHOTS=1 writes docs/screenshots/."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.tour import tour
from tests.browser.workplace import PHONE

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "screenshots"
MOST_BYTES = 150_000
DESKTOP = {"width": 1360, "height": 900}
TAKEN = {
    "desktop": (
        "login",
        "queue",
        "case",
        "judgement",
        "whole_pictures",
        "search",
        "account",
        "audit",
        "quality",
        "statement",
        "appeal",
        "appeals",
        "campaign",
        "campaign_preview",
        "gallery",
        "identity",
        "enrolment_tray",
        "reports",
        "report_approval",
        "report_abusive",
        "people",
        "person",
        "tokens",
    ),
    "dark": ("judgement", "quality", "report_review"),
    "chinese": ("judgement", "queue"),
    "phone": ("case_clear", "judgement", "queue", "gallery", "campaign", "reports", "report_review"),
}
"""Which pages of the tour, by how they are looked at."""
HOW = {
    "desktop": {"viewport": DESKTOP},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "chinese": {"viewport": DESKTOP, "locale": "zh-CN"},
    "phone": {"viewport": PHONE, "device_scale_factor": 2, "has_touch": True, "is_mobile": True},
}


@pytest.mark.parametrize("look", HOW)
def test_pages_are_photographed(furnished, tmp_path, look):
    folder = SCREENSHOTS if os.environ.get("LIKENESS_SCREENSHOTS") else tmp_path
    folder.mkdir(exist_ok=True)
    taken = set()
    for stop, page in tour(*furnished, names=TAKEN[look], **HOW[look]):
        file = folder / f"{stop.name}-{look}.webp"
        picture = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
        picture.convert("RGB").save(file, quality=82, method=6)
        taken.add(stop.name)
        assert file.stat().st_size < MOST_BYTES
    assert taken == set(TAKEN[look])
