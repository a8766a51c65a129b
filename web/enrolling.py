"""What the pages need of whoever makes references of photos: they know neither model packs nor worker processes."""

from collections.abc import Sequence
from typing import Protocol

from detector.enrolment import Candidate, Compared, Judged
from records.references import Person


class Enrols(Protocol):
    """Safe to share among threads. Its methods may raise DatabaseAway, SchemaMismatch and MasterKeyError."""

    def prepare(self) -> None:
        """Begins to get ready for `compare`, which else takes long the first time. Returns at once."""
        ...

    def judge(self, photos: Sequence[bytes]) -> list[list[Judged]]:
        """Of each photo what each of its faces is worth, largest first; of one without faces, why. The bytes may be
        hostile."""
        ...

    def compare(self, faces: Sequence[Candidate], identity_id: str | None) -> list[Compared]:
        """How faces that shall become references of one identity stand to the gallery; None: of a new one."""
        ...

    def store(self, person: Person, identity_id: str | None, faces: Sequence[Candidate], by: str) -> str:
        """Makes them references of a known identity, or of a new one; its id. `by`: an actor of the audit log. Raises
        DuplicateReference, UnknownIdentity."""
        ...
