"""Photos on their way into the gallery: sent, judged, and waiting for the curator's last word.

They rest in the memory of this process only, one tray for each curator, for KEPT at most; what is not confirmed by then
is gone.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from detector.enrolment import Candidate, Compared, EnrolmentRefused, Judged
from records.references import Person

KEPT = timedelta(minutes=15)
MOST_TRAYS = 16
"""At the same time; some 5 MB each."""


@dataclass(slots=True, eq=False)
class TrayPhoto:
    """A photo, and what each of its faces is worth. `known`: the gallery has it already; `chosen`: number of the face
    that is theirs, from 0, None while the photo is left out; `sure_of`: the identity it may be nearer to."""

    name: str
    faces: list[Judged]
    known: bool = False
    chosen: int | None = None
    sure_of: str | None = None
    compared: Compared | None = None

    @property
    def usable(self) -> list[tuple[int, Candidate]]:
        """The faces that may become references, with their numbers."""
        return [(number, face) for number, face in enumerate(self.faces) if isinstance(face, Candidate)]

    @property
    def refused(self) -> EnrolmentRefused | None:
        """Why it has no such face."""
        if self.usable:
            return None
        return next(face for face in self.faces if isinstance(face, EnrolmentRefused))

    @property
    def candidate(self) -> Candidate | None:
        """The face that was chosen."""
        face = None if self.chosen is None else self.faces[self.chosen]
        return face if isinstance(face, Candidate) else None

    @property
    def doubtful(self) -> bool:
        """Whether it lies nearer to another identity, and nobody has said that it is right all the same."""
        nearer = self.compared.nearer if self.compared and self.candidate else None
        return nearer is not None and nearer.identity.id != self.sure_of


@dataclass(slots=True, eq=False)
class Tray:
    """Photos of one person. `identity_id`: of a known identity, whose reach and accounts stay as they are; `id`: the
    page that shows the tray confirms no other."""

    person: Person
    identity_id: str | None
    photos: list[TrayPhoto]
    until: datetime = field(default_factory=lambda: datetime.max)
    id: str = field(default_factory=lambda: str(uuid4()))

    @property
    def chosen(self) -> list[TrayPhoto]:
        return [photo for photo in self.photos if photo.candidate is not None]


class Trays:
    """By moderator id; safe to share among threads. `clock` gives the moment, aware."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._trays: dict[str, Tray] = {}

    def put(self, moderator_id: str, tray: Tray) -> None:
        """In place of the one that they had."""
        tray.until = self._clock() + KEPT
        with self._lock:
            self._trays.pop(moderator_id, None)
            self._trays[moderator_id] = tray
            while len(self._trays) > MOST_TRAYS:
                del self._trays[next(iter(self._trays))]

    def get(self, moderator_id: str) -> Tray | None:
        now = self._clock()
        with self._lock:
            self._trays = {owner: tray for owner, tray in self._trays.items() if tray.until > now}
            return self._trays.get(moderator_id)

    def take(self, moderator_id: str, tray_id: str) -> Tray | None:
        """The tray, which nobody else finds any more, if it is this one: who confirms twice at once adds once."""
        tray = self.get(moderator_id)
        with self._lock:
            if tray is None or tray.id != tray_id or self._trays.get(moderator_id) is not tray:
                return None
            return self._trays.pop(moderator_id)

    def put_back(self, moderator_id: str, tray: Tray) -> None:
        """Of a tray that was taken, unless there is a newer one."""
        with self._lock:
            self._trays.setdefault(moderator_id, tray)

    def drop(self, moderator_id: str) -> None:
        with self._lock:
            self._trays.pop(moderator_id, None)
