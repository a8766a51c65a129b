"""A small file of lines that is replaced whole: who reads it sees the lines before a change, or those after it."""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path


class KeyFile:
    """Methods raise OSError, and UnicodeDecodeError where they read what is no text."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[str]:
        return self.path.read_text(encoding="ascii").split()

    def version(self) -> tuple[int, int] | None:
        """Differs once the file is another; None while there is none."""
        try:
            state = self.path.stat()
        except OSError:
            return None
        return state.st_ino, state.st_mtime_ns

    def changed_at(self) -> datetime:
        return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)

    def create(self, line: Callable[[], str]) -> None:
        """Makes the file with that line, for its owner only, unless it is there: of several that try, one wins."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._draft([line()]) as draft:
            try:
                os.link(draft, self.path)  # unlike a rename it never replaces what another process made first
            except FileExistsError:
                return

    def change(self, changed: Callable[[list[str]], Sequence[str]]) -> None:
        """Puts what `changed` makes of the lines in their place; of several that try, one comes after the other."""
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            before = self.lines()
            after = list(changed(before))
            if after != before:
                with self._draft(after) as draft:
                    draft.rename(self.path)
                os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _draft(self, lines: Sequence[str]) -> Iterator[Path]:
        draft = self.path.with_name(f".{self.path.name}.{os.urandom(8).hex()}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
            yield draft
        finally:
            draft.unlink(missing_ok=True)
