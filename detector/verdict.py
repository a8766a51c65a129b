"""What the detector is asked about one picture, and what it says: faces, findings against the gallery, the verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Outcome = Literal["clear", "review", "no_face", "unscreenable"]
FindingKind = Literal[
    "same_picture", "cropped_picture", "same_person", "look_alike_risk", "name_claim", "foreign_watermark"
]
MarkKind = Literal["handle", "address", "credit", "agency"]
"""What a text in a picture looks like."""
NameField = Literal["display_name", "handle"]
"""Where in a profile a name stands."""
SilencedBy = Literal["own_account", "negative_pair"]
IdentityKind = Literal["celebrity", "victim"]

Box = tuple[float, float, float, float]
"""x, y of the upper left corner, width, height; pixels of the upright picture, as uploaded."""

Landmarks = tuple[tuple[float, float], ...]
"""Five points (x, y) in pixels: right eye, left eye, nose, right and left corner of the mouth, as ArcFace orders them
(right and left as the viewer of the picture has them on the left and right)."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture's bytes, the account that it is for, if any, and what the account calls itself."""

    picture: bytes
    account_id: str | None = None
    display_name: str | None = None
    handle: str | None = None


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a picture. `score`: the detector's confidence, 0..1. `quality`: see detector/quality.py, 0..1."""

    box: Box
    landmarks: Landmarks
    score: float
    quality: float


@dataclass(frozen=True, slots=True)
class SamePhoto:
    """That the avatar is a reference photo again. `by`: what agrees, the whole picture or the face in it; `distance`:
    bits of 256 in which its fingerprints differ; `transform`: see detector/fingerprint.py; `visible`: the share of the
    reference photo that the avatar still shows, 0..1; `hash_only`: that photo stayed with the person and cannot be
    looked at."""

    by: Literal["picture", "face"]
    distance: int
    transform: str
    visible: float
    hash_only: bool = False


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """The identity that the face is most like after the one named. `similarity`: cosine, -1..1."""

    identity_id: str
    identity_name: str
    similarity: float


@dataclass(frozen=True, slots=True)
class NameClaim:
    """A text of the profile that claims an identity's name, fit to be shown."""

    field: NameField
    text: str


@dataclass(frozen=True, slots=True)
class ForeignText:
    """A text read in the picture that looks like somebody else's mark. `box`: pixels of the upright picture."""

    text: str
    box: Box
    looks_like: MarkKind


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a picture goes to a moderator.

    `priority`: see detector/priority.py, 0..100; `text`: what a moderator reads. Which of the others are set depends on
    the kind: all but `foreign_watermark` name an identity; a face that was compared has `similarity`, and `threshold`
    (cosines, -1..1; the finding is raised from `threshold` on), `face_box` and `quality`.
    """

    kind: FindingKind
    priority: int
    text: str
    identity_id: str | None = None
    identity_name: str | None = None
    identity_kind: IdentityKind | None = None
    reference_id: str | None = None
    similarity: float | None = None
    threshold: float | None = None
    face_box: Box | None = None
    quality: float | None = None
    same_photo: SamePhoto | None = None
    runner_up: RunnerUp | None = None
    name_claim: NameClaim | None = None
    foreign_text: ForeignText | None = None
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class Silenced:
    """A finding that is not raised, and why."""

    finding: Finding
    by: SilencedBy


@dataclass(frozen=True, slots=True, eq=False)
class KeptProbes:
    """What is kept of a picture, to be compared with somebody who is protected later: its faces, their embeddings by
    the model pack `pack`, (F, D) float32 unit vectors, and its fingerprint `hashes`, (8, 4) uint64 or (0, 4), see
    detector/fingerprint.py; the size in pixels of the upright picture."""

    faces: tuple[Face, ...]
    embeddings: NDArray[np.float32]
    hashes: NDArray[np.uint64]
    width: int
    height: int
    pack: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one picture, with all that explains it later.

    `reason` and `detail` are set when the outcome is `unscreenable`; `width` and `height` are those of the upright
    picture; `gallery_version` is the sequence number of the newest gallery change that was searched; `faces_left_out`
    counts faces beyond the limit of probes. Findings are ordered by priority, highest first; `threshold` is the cosine
    from which a face was raised, `sure` the one from which it was beyond doubt at full quality. `shadow`: what a second
    policy says of the same picture, only to be counted. `kept`: what may be kept of the picture's faces, where that is
    wanted and there are any.
    """

    outcome: Outcome
    findings: tuple[Finding, ...]
    silenced: tuple[Silenced, ...]
    faces: tuple[Face, ...]
    faces_left_out: int
    pack: str
    threshold: float
    sure: float
    gallery_version: int
    width: int = 0
    height: int = 0
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    detail: str | None = None
    shadow: "Verdict | None" = None
    kept: KeptProbes | None = None

    @property
    def priority(self) -> int:
        """That of the most urgent finding, 0..100; 0 without any."""
        return max((finding.priority for finding in self.findings), default=0)

    @property
    def held(self) -> bool:
        """Whether a review would wait apart from the queue: everybody who was found is quarantined."""
        found = [finding for finding in self.findings if finding.identity_id is not None]
        return bool(found) and all(finding.quarantined for finding in found)
