"""Where tables and progress go: stdout for results, stderr for what passes."""

import sys

from rich.console import Console
from rich.progress import Progress

PLAIN_WIDTH = 180
"""Columns when stdout is no terminal: nothing is cut off in a file or a pipe."""

# Names and paths come from outside: what looks like Rich's markup in them is none.
out = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, markup=False, highlight=False, emoji=False)
err = Console(stderr=True, markup=False, highlight=False, emoji=False)


def progress() -> Progress:
    """A bar on stderr while it lasts; nothing where stderr is no terminal."""
    return Progress(console=err, transient=True, disable=not err.is_terminal)
