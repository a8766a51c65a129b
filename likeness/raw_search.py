"""Looks for something a person has in hand, a photo or a text, in the raw bytes of files: of databases, of a broker's
log segments, of backups. Whatever reads those files one day finds it only where this does.

A photo is looked for by pieces of it, since databases and brokers cut what they keep into pages and batches; a text as
it is, and as JSON and base64 write it.
"""

import base64
import errno
import json
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PIECE = 24
PIECES = 16
LEAST_DIFFERENT = 16
"""Bytes of a piece that must differ from one another: tables that all JPEGs have are no sign of one photo."""
SHORTEST_TEXT = 6


@dataclass(frozen=True, slots=True)
class Hit:
    """Where something lies in a file: `offset` in bytes from its beginning."""

    what: str
    path: Path
    offset: int


def photo_needles(photo: bytes) -> Sequence[bytes]:
    """Pieces of the photo, as they are and as base64 would have them; none where it is too plain for that."""
    found: list[bytes] = []
    step = max(1, len(photo) // (2 * PIECES))
    for start in range(len(photo) // 3, len(photo) - PIECE, step):
        piece = photo[start : start + PIECE]
        if len(set(piece)) >= LEAST_DIFFERENT:
            found += [piece, *_base64(piece)]
    return found


def text_needles(text: str) -> Sequence[bytes]:
    """The text as UTF-8, as UTF-16, as JSON escapes it and as base64 would have it. Raises ValueError for one so short
    that it stands anywhere by chance."""
    plain = text.encode()
    if len(plain) < SHORTEST_TEXT:
        raise ValueError(f"A text of less than {SHORTEST_TEXT} bytes stands anywhere by chance; give a longer one.")
    escaped = json.dumps(text)[1:-1].encode()
    return list(dict.fromkeys([plain, escaped, text.encode("utf-16-le"), *_base64(plain)]))


def search(paths: Iterable[Path], needles: Mapping[str, Sequence[bytes]]) -> Iterator[Hit]:
    """The first place of each needle in each file below the paths. Raises OSError for what cannot be read."""
    named = list(paths)
    for file in files_below(named):
        try:
            opened = file.open("rb")
        except FileNotFoundError:
            if file in named:
                raise
            continue  # a server at work deletes files of its own meanwhile
        with opened:
            if not (size := os.fstat(opened.fileno()).st_size):
                continue
            parts = list(_written(opened.fileno(), size))
            with mmap.mmap(opened.fileno(), size, access=mmap.ACCESS_READ) as content:
                for what, looked_for in needles.items():
                    places = [content.find(one, *part) for one in looked_for for part in parts]
                    if (first := min((place for place in places if place >= 0), default=None)) is not None:
                        yield Hit(what, file, first)


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file, of folders all that are below."""
    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*") if one.is_file())
        else:
            yield path


def _written(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Where something was written, from and to: a broker reserves far more, and nothing lies there."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing from here on
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end


def _base64(plain: bytes) -> list[bytes]:
    """What of it stands in base64, whatever comes before and after it."""
    found = []
    for before in range(3):
        whole = base64.b64encode(bytes(before) + plain)
        found.append(whole[4 if before else 0 : 4 * ((before + len(plain)) // 3)])
    return found
