"""Where master keys rest: in the settings, in a file, or in a file that a key service seals (kms.py).

A source has the current key first, and after it those that still unwrap what was wrapped before a rotation. As text, a
key is base64, and keys stand apart by blanks or lines.
"""

import base64
import binascii
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from records.errors import MasterKeyError
from records.keys.key_file import KeyFile

KEY_BYTES = 32
T = TypeVar("T")


class KeySource(ABC):
    """Raises MasterKeyError, with a sentence for the operator, wherever it cannot do its part."""

    name: str
    """As messages call it."""

    @abstractmethod
    def read(self) -> tuple[bytes, ...]:
        """The keys, the current one first; may ask another machine."""

    @abstractmethod
    def version(self) -> object:
        """Differs once `read` would give other keys, None while that cannot be told; costs next to nothing."""

    @abstractmethod
    def add(self, after: bytes) -> None:
        """Makes a key that is the current one from now on, unless another one has followed `after` by now."""

    @abstractmethod
    def drop_older(self) -> None:
        """Leaves the current key alone."""

    @abstractmethod
    def changed_at(self) -> datetime | None:
        """When the keys were last changed, None when that cannot be told."""


class GivenKeys(KeySource):
    """Keys that stay as they are while the process runs."""

    def __init__(self, keys: Sequence[bytes], name: str = "The master key") -> None:
        self.name = name
        self._keys = tuple(keys)

    def read(self) -> tuple[bytes, ...]:
        return self._keys

    def version(self) -> object:
        return None

    def add(self, after: bytes) -> None:
        raise MasterKeyError(
            f"{self.name} is not ours to change: put a new key before it, with a blank between them "
            "(`openssl rand -base64 32` makes one), restart every process, and rotate again."
        )

    def drop_older(self) -> None:
        raise MasterKeyError(f"{self.name} is not ours to change: take the older keys out, and restart every process.")

    def changed_at(self) -> None:
        return None


class FileOfKeys(KeySource):
    """Keys in a file, each on a line of its own, which `_line` and `_key` give and read."""

    def __init__(self, path: Path) -> None:
        self.name = f"The master key in {path}"
        self._path = path
        self._file = KeyFile(path)

    @abstractmethod
    def _new(self) -> str:
        """The line of a new key."""

    @abstractmethod
    def _key(self, line: str) -> bytes: ...

    def read(self) -> tuple[bytes, ...]:
        lines = self._try("read", self._file.lines)
        if not lines:
            raise MasterKeyError(f"{self.name} is missing: the file is empty.")
        return tuple(self._key(line) for line in lines)

    def version(self) -> object:
        return self._file.version()

    def create(self) -> None:
        """Makes the file with a new key, unless it is there."""
        if not self._path.exists():
            self._try("made", lambda: self._file.create(self._new))

    def add(self, after: bytes) -> None:
        def added(lines: list[str]) -> list[str]:
            return [self._new(), *lines] if self._key(lines[0]) == after else lines

        self._try("changed", lambda: self._file.change(added))

    def drop_older(self) -> None:
        self._try("changed", lambda: self._file.change(lambda lines: lines[:1]))

    def changed_at(self) -> datetime:
        return self._try("read", self._file.changed_at)

    def _try(self, what: str, work: Callable[[], T]) -> T:
        try:
            return work()
        except FileNotFoundError:
            raise MasterKeyError(
                f"There is no master key at {self._path}; put back the file that the database was made with."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise MasterKeyError(f"{self.name} cannot be {what}: {error}.") from error


class PlainFile(FileOfKeys):
    """Keys as they are: the file is for its owner's eyes only."""

    def _new(self) -> str:
        return base64.b64encode(os.urandom(KEY_BYTES)).decode()

    def _key(self, line: str) -> bytes:
        return key_from(line, self.name)


class WithOlder(KeySource):
    """The keys of one source, and as older ones those of another, from which a deployment moves away."""

    def __init__(self, current: KeySource, older: KeySource) -> None:
        self.name = current.name
        self._current = current
        self._older = older

    def read(self) -> tuple[bytes, ...]:
        return self._current.read() + self._older.read()

    def version(self) -> object:
        versions = self._current.version(), self._older.version()
        return None if None in versions else versions

    def add(self, after: bytes) -> None:
        self._current.add(after)

    def drop_older(self) -> None:
        raise MasterKeyError(
            "Take keys.older_master_key_file out of the settings, restart every process, and destroy that file."
        )

    def changed_at(self) -> datetime | None:
        return self._current.changed_at()


def key_from(text: str, name: str) -> bytes:
    """The key that a text of base64 is; `name`: as messages call it. Raises MasterKeyError."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise MasterKeyError(f"{name} is not base64 of {KEY_BYTES} bytes; `openssl rand -base64 32` makes such a key.")
    return key
