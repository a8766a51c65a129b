"""People who come into the gallery and leave it, singly and in one go; meanwhile others change who is whom.

One identity has three references with three people's faces, and in one change each face moves to the next reference: a
verdict by half of such a change would name a wrong reference, two or none. A guest comes and goes.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tests.chaos.gallery import PACK
from tests.chaos.gallery_truth import Truth, nobody, photo

SWAPPED = ("first", "second", "third")
GUEST = "guest"
MOVE_SECONDS = 0.5


class Turnover:
    """`faces`: the embedding of each of SWAPPED and of GUEST, (D,) float32 unit vectors. What takes `seconds` takes
    longer if the database is slower."""

    def __init__(self, truth: Truth, faces: Mapping[str, np.ndarray]) -> None:
        self._truth = truth
        self._records = truth.records
        self._faces = faces
        self._chance = np.random.default_rng(2026)
        self._photos = 0
        self._people: list[tuple[str, list[str]]] = []
        self._guest: str | None = None
        self._turn = 0
        photos = [self._photo(faces[shown]) for shown in SWAPPED]
        self._swapped, self._places = self._add("Three in one", photos)
        self._tell_places()

    def come_singly(self, people: int, seconds: float) -> None:
        self._spread([self._comes] * people, seconds)

    def come_at_once(self, people: int, seconds: float) -> None:
        self._hurry([self._comes] * people, seconds)

    def leave_singly(self, people: int, seconds: float) -> None:
        self._spread(self._leaving(people), seconds)

    def leave_at_once(self, people: int, seconds: float) -> None:
        self._hurry(self._leaving(people), seconds)

    def guest_leaves(self) -> None:
        """For good."""
        if self._guest is not None:
            guest, self._guest = self._guest, None
            self._truth.change(lambda: self._records.remove_identity(guest))
            self._truth.names(GUEST, None)

    def _spread(self, changes: Sequence[Callable[[], None]], seconds: float) -> None:
        began = moved = time.monotonic()
        for number, change in enumerate(changes):
            time.sleep(max(0.0, began + number * seconds / len(changes) - time.monotonic()))
            change()
            if time.monotonic() - moved > MOVE_SECONDS:
                moved = time.monotonic()
                self._move()

    def _hurry(self, changes: Sequence[Callable[[], None]], seconds: float) -> None:
        began = time.monotonic()
        for change in changes:
            change()
        while time.monotonic() - began < seconds:
            self._move()
            time.sleep(MOVE_SECONDS)

    def _comes(self) -> None:
        count = 3 if len(self._people) % 3 == 0 else 1
        photos = [self._photo(nobody(self._chance)) for _ in range(count)]
        self._people.append(self._add(f"Nobody {len(self._people)}", photos))

    def _leaving(self, people: int) -> list[Callable[[], None]]:
        """The changes with which so many leave: half of those with several references lose them one by one."""
        records, changes = self._records, list[Callable[[], object]]()
        for number in range(people):
            identity_id, reference_ids = self._people.pop()
            if number % 2:
                changes += [lambda one=one: records.remove_reference(one) for one in reference_ids[1:]]
            changes.append(lambda one=identity_id: records.remove_identity(one))
        return [lambda change=change: self._truth.change(change) for change in changes]

    def _move(self) -> None:
        self._turn += 1
        if self._turn % 2:
            self._swap()
        elif self._guest is not None:
            self.guest_leaves()
        else:
            self._guest, (reference_id,) = self._add("Guest", [self._photo(self._faces[GUEST])])
            self._truth.names(GUEST, reference_id)

    def _swap(self) -> None:
        self._places = self._places[1:] + self._places[:1]
        faces = {place: (PACK, self._faces[shown], None) for shown, place in zip(SWAPPED, self._places, strict=True)}
        self._truth.change(lambda: self._records.add_embeddings(self._swapped, faces))
        self._tell_places()

    def _tell_places(self) -> None:
        for shown, place in zip(SWAPPED, self._places, strict=True):
            self._truth.names(shown, place)

    def _add(self, name: str, photos: Sequence[object]) -> tuple[str, list[str]]:
        """Id of the new identity, and its references' in the order of the photos where somebody asks for them."""
        identity_id = self._truth.change(lambda: self._records.add_identity(name, "victim", references=photos))
        if len(photos) == 1 and name != "Guest":
            return identity_id, []
        references = self._records.show(identity_id).references
        return identity_id, [one.id for one in sorted(references, key=lambda one: one.photo_sha256)]

    def _photo(self, vector: np.ndarray) -> object:
        self._photos += 1
        return photo(self._photos, vector)
