"""A deck of uploads whose ends are known: real portraits of every size and quality, flat pictures, and what is none.

Cards are dealt again and again, so that a run of any length needs no more memory than the deck.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tests.chaos.uploads import NO_PICTURE
from tests.support.portraits import fit, jpeg, read_rgb
from tests.support.running_service import upload
from tests.support.web_site import Pieces, WebSite, answer

SUSPECTS = ("person_a_1.jpg", "person_a_2.jpg")
STRANGERS = ("person_b_1.jpg", "person_b_2.jpg", "impostor_1.jpg", "impostor_2.jpg")
_ID = "EVENT-ID"


@dataclass(frozen=True, slots=True)
class Card:
    """An upload without its event id. `sort`: a key of ledger.DUE; `shows`: whose face, if that matters."""

    sort: str
    head: bytes
    tail: bytes
    shows: str = ""

    def value(self, event_id: str) -> bytes:
        return self.head + event_id.encode() + self.tail


def card(sort: str, picture: bytes, shows: str = "") -> Card:
    """One that brings its picture along."""
    return _cut(sort, upload(_ID, "acct-stranger", picture), shows)


def linked_card(sort: str, url: str) -> Card:
    """One whose picture must be fetched."""
    return _cut(sort, upload(_ID, "acct-stranger", image={"url": url}), "")


def copy_of(path: Path, side: int, quality: int) -> bytes:
    """The picture at `path` as a JPEG whose longest side is `side`."""
    return jpeg(fit(read_rgb(path), side), quality)


def flat(number: int, side: int = 256) -> bytes:
    """A soft gradient without a face, another for each number."""
    ramp = np.linspace(number % 97, 120 + number % 113, side, dtype=np.float32)
    grey = (ramp[:, None] + ramp[None, ::-1]) / 2
    return jpeg(cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2RGB))


def mixed_deck(
    portraits: Mapping[str, Path],
    site: WebSite,
    *,
    sides: Sequence[int] = range(160, 540, 40),
    qualities: Sequence[int] = range(60, 100, 5),
    seconds: float = 0.0,
) -> list[Card]:
    """A hundred cards: 2 suspects (of person_a), 1 that is no picture, 5 from `site`, which takes `seconds` for each,
    20 without a face; the rest show strangers. Sizes in pixels and JPEG qualities are taken in turn."""
    cards = []
    for number in range(100):
        side, quality = sides[number % len(sides)], qualities[number * 7 % len(qualities)]
        if number == 42:
            cards.append(card("unreadable", NO_PICTURE))
        elif number in (17, 67):
            cards.append(card("suspect", copy_of(portraits[SUSPECTS[number // 50]], max(side, 320), max(quality, 80))))
        elif number % 20 == 3:
            path = f"/{len(site.answers)}.jpg"
            picture = copy_of(portraits[STRANGERS[number % 4]], side, quality)
            site.answers[path] = slow(picture, seconds) if seconds else answer(picture, Content_Type="image/jpeg")
            cards.append(linked_card("clear", site.url(path)))
        elif number % 5 == 1:
            cards.append(card("clear", flat(number)))
        else:
            cards.append(card("clear", copy_of(portraits[STRANGERS[number % 4]], side, quality)))
    return cards


def slow(picture: bytes, seconds: float) -> Pieces:
    """An answer that takes its time."""

    def pieces() -> Iterator[bytes]:
        time.sleep(seconds)
        yield answer(picture, Content_Type="image/jpeg", Connection="close")

    return pieces


def _cut(sort: str, value: object, shows: str) -> Card:
    head, tail = json.dumps(value).encode().split(_ID.encode())
    return Card(sort, head, tail, shows)
