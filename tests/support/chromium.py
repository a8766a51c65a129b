"""Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, sync_playwright


class ChromiumMissing(RuntimeError):
    """There is no Chromium on this machine; the text says how to get it."""


@dataclass(frozen=True)
class Chromium:
    name: str
    browser: Browser


@contextmanager
def launched() -> Iterator[Chromium]:
    """A headless Chromium, as long as the block lasts. Raises ChromiumMissing."""
    program = shutil.which("chromium")
    if program is None:
        raise ChromiumMissing("There is no chromium; on Debian: apt-get install chromium fonts-wqy-microhei")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield Chromium(f"Chromium {browser.version}", browser)
        browser.close()
