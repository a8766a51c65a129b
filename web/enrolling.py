"""What the pages need of whoever makes references of photos: they know neither model packs nor worker processes."""

from collections.abc import Sequence
from typing import Protocol

from detector.calibration import Calibration
from detector.enrolment import Candidate, Compared, EnrolmentRefused, Judged
from detector.resemblance import Conflict, Resemblance
from records.references import Person, PictureHash, ReferencePhoto
from records.reports.contents import Challenge
from records.reports.platform_intake import LooksAtPhotos


class Enrols(LooksAtPhotos, Protocol):
    """Safe to share among threads. Its methods may raise DatabaseAway, SchemaMismatch and MasterKeyError."""

    @property
    def pack(self) -> str:
        """The model pack whose embeddings it makes."""
        ...

    @property
    def calibration(self) -> Calibration | None:
        """How often its comparisons are wrong, where that was measured."""
        ...

    def prepare(self) -> None:
        """Begins to get ready for `compare`, which else takes long the first time. Returns at once."""
        ...

    def judge(self, photos: Sequence[bytes]) -> list[list[Judged]]:
        """Of each photo what each of its faces is worth, largest first; of one without faces, why. The bytes may be
        hostile."""
        ...

    def reference(self, face: Candidate, provenance: str) -> ReferencePhoto:
        """What the face becomes, once it is a reference."""
        ...

    def compare(self, faces: Sequence[Candidate], identity_id: str | None) -> list[Compared]:
        """How faces that shall become references of one identity stand to the gallery; None: of a new one."""
        ...

    def store(self, person: Person, identity_id: str | None, faces: Sequence[Candidate], by: str) -> str:
        """Makes them references of a known identity, or of a new one; its id. `by`: an actor of the audit log. Raises
        DuplicateReference, UnknownIdentity."""
        ...

    def look_at_challenge(self, photo: bytes, code: str) -> Challenge | EnrolmentRefused:
        """The face in a challenge photo and what is read of the code, or why it cannot be used. The bytes may be
        hostile."""
        ...

    def resemblance(self, challenge: Challenge, photo: ReferencePhoto) -> Resemblance | None:
        """How alike the faces of the two are; None where one was not made by the model pack in use."""
        ...

    def conflicts(self, photos: Sequence[ReferencePhoto | PictureHash]) -> list[Conflict]:
        """Who of the gallery is like photos of somebody who asks to be protected, the likest first."""
        ...
