"""Whose name does a profile claim? A dictionary lookup from display name and handle to the gallery's identities.

Both sides become a skeleton (Unicode TR39 calls it that): compatibility forms folded, other scripts transliterated,
look-alike letters and digits read as the letters they stand for, repeated letters written once. A name claim alone is
no finding: many people share a name, and only the face decides.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

import numpy as np
from anyascii import anyascii
from numpy.typing import NDArray

from detector.key_table import WAITING, KeyTable
from detector.verdict import NameClaim, NameField

LONGEST_TEXT = 512
"""Characters of a display name or handle that are looked at."""
SHORTEST_INSIDE = 5
"""Letters of a skeleton from which a name is sought inside longer text; shorter ones must be the whole of it."""
MOST_WORDS = 40
"""Words of a text that are looked at."""
WORDS_IN_NAME = 6
"""Words of the longest name, and of the widest gap between given and family name with the two counted in."""
MOST_PEELS = 8
"""Places in one word where a name may begin or end behind decoration."""

LOOK_ALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеѕіјкорсухһԁԛԝвмнтзΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεηικνορτυχω",
    "ABESIJKMHOPCTYXaesijkopcyxhdqwbmht3ABEZHIKMNOPTYXabenikvoptuxw",
)
"""Cyrillic and Greek letters by the Latin letter they look like, which is seldom the one they are transliterated to."""
READ_AS = str.maketrans("01l34578@$!|+", "oiieastbasiit")
"""Digits and signs by the letter they stand for; l, 1 and capital I cannot be told apart and count as i."""

DECORATION_WORDS = """
    the real official oficial officiel offiziell ofc offcl iam im i am its it is this me my name just only true actual
    original orig og verified not fake mr mrs ms miss dr sir lady queen king x xo el la le de and fan fans page team
    club daily world hq tv live music singer actor actress model private priv backup account acc profile vip insta ig
    snap sc tiktok tt fb of onlyfans uk us usa fr eu ny nyc hey hi here love loves dating single baby babe sexy hot
    sweet cute new jr sr"""
TITLES = frozenset(("dr", "prof", "sir", "dame", "lord", "lady", "mr", "mrs", "ms", "jr", "sr", "ii", "iii", "iv"))
DECORATIONS = frozenset(DECORATION_WORDS.split())
"""What is written around a name and is no part of it."""
DECORATIONS_BACKWARDS = frozenset(word[::-1] for word in DECORATIONS)
LONGEST_DECORATION = max(map(len, DECORATIONS))

WORD = re.compile(r"\w+")
LATIN = re.compile("[a-zA-Z]")
OTHER_ALPHABET = re.compile(r"[Ͱ-ԯ]")
APOSTROPHE = re.compile("['`’ʼ]")
BETWEEN_WORDS = re.compile(r"[^0-9a-z@$!|+]+")
SPACED_OUT = re.compile(r"(?<![0-9a-z])(?:[0-9a-z][ ._-]){3,}[0-9a-z](?![0-9a-z])")
NO_LETTERS = re.compile(r"[0-9@$!|+]+")
REPEATED = re.compile(r"(.)\1+")
WHOLE = "^"
"""Before the key of a name that must be the whole of a text."""
SYLLABLE = re.compile("[㐀-鿿豈-﫿가-힣\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class Word:
    """A word and the places in it where a name may begin and end; `decoration`: no part of any name."""

    text: str
    begins: list[int]
    ends: list[int]
    decoration: bool


def shown(text: str, limit: int = 80) -> str:
    """`text` for a page: control, formatting and line-breaking characters removed, at most `limit` characters."""
    visible = (c for c in text[: 8 * limit] if c.isspace() or unicodedata.category(c)[0] != "C")
    kept = " ".join("".join(visible).split())
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def skeleton(text: str) -> str:
    """The letters of `text` in the form that look-alike spellings share; a skeleton is its own skeleton."""
    return _skeleton("".join(_words(_spellings(text)[0])))


def _skeleton(letters: str) -> str:
    folded = _once(letters.translate(READ_AS).replace("vv", "w"))
    return _once(folded.replace("rn", "m")) if "rn" in folded else folded


def _once(letters: str) -> str:
    # Few names repeat a letter, and a search alone takes half as long.
    return REPEATED.sub(r"\1", letters) if REPEATED.search(letters) else letters


def _keys(letters: Sequence[str]) -> list[str]:
    """What each is filed under, none of them empty: its skeleton, or its plain letters where a skeleton would be too
    short to tell."""
    # In one text: to fold many is then little more than to fold one.
    skeletons = _skeleton("\n".join(letters)).split("\n") if letters else []
    return [
        folded if len(folded) >= SHORTEST_INSIDE else f"={plain}"
        for plain, folded in zip(letters, skeletons, strict=True)
    ]


def _latin(character: str) -> str:
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category[0] == "C":
        return ""
    written = anyascii(character).lower()
    if category[0] in "ZP" or (category[0] == "S" and not (len(written) == 1 and written.isalnum())):
        return " "
    return f" {written} " if SYLLABLE.match(character) else written


def _one_alphabet(word: re.Match[str]) -> str:
    letters = word.group()
    return letters.translate(LOOK_ALIKES) if LATIN.search(letters) and OTHER_ALPHABET.search(letters) else letters


def _spellings(text: str) -> list[str]:
    """`text` in lower-case ASCII letters: transliterated, and by looks where a whole word is Cyrillic or Greek.

    A word that mixes alphabets is read by looks in both.
    """
    composed = unicodedata.normalize("NFKC", text[:LONGEST_TEXT])[:LONGEST_TEXT]
    if composed.isascii():
        return [composed.lower()]
    composed = APOSTROPHE.sub("", composed)
    by_sound = WORD.sub(_one_alphabet, composed)
    texts = [by_sound]
    if OTHER_ALPHABET.search(by_sound):
        texts.append(composed.translate(LOOK_ALIKES))
    return ["".join(map(_latin, spelled.casefold())) for spelled in texts]


def _words(spelled: str) -> list[str]:
    spelled = SPACED_OUT.sub(lambda letters: BETWEEN_WORDS.sub("", letters.group()), APOSTROPHE.sub("", spelled))
    return [word for word in BETWEEN_WORDS.split(spelled) if word][:MOST_WORDS]


def _peel(word: str, decorations: frozenset[str]) -> list[int]:
    """The places reached from the start of `word` over decorations and digits, nearest first."""
    places = [0]
    for place in places:
        sizes = range(1, LONGEST_DECORATION + 1)
        reached = [place + size for size in sizes if word[place : place + size] in decorations]
        if digits := NO_LETTERS.match(word, place):
            reached.append(digits.end())
        places += [end for end in dict.fromkeys(reached) if end <= len(word) and end not in places]
        del places[MOST_PEELS:]
    return places


def _word(word: str) -> Word:
    begins = _peel(word, DECORATIONS)
    ends = [len(word) - place for place in _peel(word[::-1], DECORATIONS_BACKWARDS)]
    return Word(word, begins, ends, decoration=len(word) in begins)


def _name_keys(names: Sequence[str]) -> list[tuple[list[str], bool]]:
    """What each of the gallery's names is filed under, and whether it may stand inside longer text.

    Every order that keeps neighbours together ("Ardern Jacinda"), and given with family name alone.
    """
    orders, inside = list[list[str]](), list[bool]()
    for name in names:
        words = _words(_spellings(name)[0])
        if len(bare := [word for word in words if word not in TITLES]) > 1:
            words = bare
        own = ["".join(words[at:] + words[:at]) for at in range(min(len(words), WORDS_IN_NAME))]
        if len(words) > 2 and not SYLLABLE.search(name):
            own += [words[0] + words[-1], words[-1] + words[0]]
        orders.append(own)
        inside.append(len(words) > 1)
    keys = iter(_keys([order for own in orders for order in own]))
    return [(list(dict.fromkeys(islice(keys, len(own)))), longer) for own, longer in zip(orders, inside, strict=True)]


def _candidates(spelled: str) -> Iterator[tuple[str, bool]]:
    """The letters that a name in `spelled` could be of, and whether all around them is decoration."""
    words = [_word(word) for word in _words(spelled)]
    leading, trailing = 0, len(words) - 1
    while leading < len(words) - 1 and words[leading].decoration:
        leading += 1
    while trailing > 0 and words[trailing].decoration:
        trailing -= 1
    for first, start in enumerate(words):
        between = ""
        for last, end in enumerate(words[first : first + WORDS_IN_NAME], first):
            whole = first <= leading and last >= trailing
            if last == first:
                inside = [(begin, stop) for begin in start.begins for stop in start.ends if begin < stop]
                yield from ((start.text[begin:stop], whole) for begin, stop in inside)
                continue
            heads = [start.text[begin:] for begin in start.begins if begin < len(start.text)]
            for head, tail in product(heads, [end.text[:stop] for stop in end.ends if stop]):
                yield head + between + tail, whole
                if between:
                    yield head + tail, False
            between += end.text


def keys_of(name: str) -> list[str]:
    """Under what a gallery name is filed, for who files names elsewhere than in a NameIndex."""
    return _name_keys([name])[0][0]


def keys_in(text: str) -> set[str]:
    """Under what the names are filed that a profile's text may claim; whether it does, a NameIndex of them tells."""
    return set(_keys([letters for spelled in _spellings(text) for letters, _ in _candidates(spelled)]))


class NameIndex:
    """The gallery's names by skeleton. One name an identity; changes and lookups may come from different threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._ids: list[str | None] = []
        self._table = KeyTable(self._is_live)

    def __len__(self) -> int:
        return len(self._numbers)

    def set(self, names: Mapping[str, str]) -> None:
        """Files identities, by their ids, under their names, in place of the names they had."""
        filed = zip(names, _name_keys(list(names.values())), strict=True)
        with self._lock:
            for identity_id, (keys, inside) in filed:
                self._drop(identity_id)
                if len(self._ids) > 2 * len(self._numbers) + WAITING:
                    self._renumber()
                self._numbers[identity_id] = number = len(self._ids)
                self._ids.append(identity_id)
                for key in keys:
                    self._table.add(key if inside and key[0] != "=" else WHOLE + key, number)

    def drop(self, identity_id: str) -> None:
        """Forgets the identity; one that is not known is no error."""
        with self._lock:
            self._drop(identity_id)

    def claimed(self, display_name: str | None, handle: str | None) -> list[tuple[str, NameClaim]]:
        """Ids of the identities whose name the profile carries, with the claim; one for each identity and field,
        display name first."""
        claims: dict[tuple[str, NameField], NameClaim] = {}
        fields: tuple[tuple[NameField, str | None], ...] = (("display_name", display_name), ("handle", handle))
        for field, text in fields:
            for identity_id in self._find(text) if text else ():
                claims[identity_id, field] = NameClaim(field, shown(text or ""))
        return [(identity_id, claim) for (identity_id, _), claim in claims.items()]

    def _find(self, text: str) -> list[str]:
        candidates = [candidate for spelled in _spellings(text) for candidate in _candidates(spelled)]
        keys = _keys([letters for letters, _ in candidates])
        keys += [WHOLE + key for key, (_, whole) in zip(keys, candidates, strict=True) if whole]
        with self._lock:
            ids = [self._ids[number] for number in self._table.find(dict.fromkeys(keys))]
        return [identity_id for identity_id in ids if identity_id is not None]

    def _drop(self, identity_id: str) -> None:
        if (number := self._numbers.pop(identity_id, None)) is not None:
            self._ids[number] = None

    def _renumber(self) -> None:
        """Numbers are not given twice, lest a name's old entries point at somebody else; now and then all are new."""
        live = np.array([identity_id is not None for identity_id in self._ids], bool)
        self._table.renumber((np.cumsum(live) - 1).astype(np.uint32))
        ids = [identity_id for identity_id in self._ids if identity_id is not None]
        self._numbers = {identity_id: number for number, identity_id in enumerate(ids)}
        self._ids = list[str | None](ids)

    def _is_live(self, numbers: NDArray[np.uint32]) -> NDArray[np.bool_]:
        return np.array([self._ids[number] is not None for number in numbers.tolist()], bool)
