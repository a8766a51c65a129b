"""The rounds of a run that was broken off go on where they were, if it is not long ago."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST_PAUSE = 1800.0
"""Seconds; after that the machine, or what is measured, may have changed."""


class Rounds:
    """Figures of turns by name, in a file while the run lasts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        fresh = file.is_file() and time.time() - file.stat().st_mtime < LONGEST_PAUSE
        self._figures: dict[str, dict[str, Any]] = json.loads(file.read_text()) if fresh else {}

    def turn(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The figures of the turn `name`, by `work` unless they are known."""
        if name not in self._figures:
            self._figures[name] = work()
            self._file.write_text(json.dumps(self._figures))
        return self._figures[name]

    def close(self) -> None:
        """The run is complete: the next one begins anew."""
        self._file.unlink(missing_ok=True)
