"""What the detector says of one picture: faces found, findings against the gallery, and the verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["clear", "review", "no_face", "unscreenable"]
FindingKind = Literal["same_person"]
SilencedBy = Literal["own_account"]
IdentityKind = Literal["celebrity", "victim"]

Box = tuple[float, float, float, float]
"""x, y of the upper left corner, width, height; pixels of the upright picture, as uploaded."""

Landmarks = tuple[tuple[float, float], ...]
"""Five points (x, y) in pixels: right eye, left eye, nose, right and left corner of the mouth, as ArcFace orders them
(right and left as the viewer of the picture has them on the left and right)."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a picture. `score`: the detector's confidence, 0..1. `quality`: see detector/quality.py, 0..1."""

    box: Box
    landmarks: Landmarks
    score: float
    quality: float


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a picture goes to a moderator. `similarity` and `threshold` are cosines, -1..1."""

    kind: FindingKind
    identity_id: str
    identity_name: str
    identity_kind: IdentityKind
    reference_id: str
    similarity: float
    threshold: float
    face_box: Box


@dataclass(frozen=True, slots=True)
class Silenced:
    """A finding that is not raised, and why."""

    finding: Finding
    by: SilencedBy


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one picture, with all that explains it later.

    `reason` and `detail` are set when the outcome is `unscreenable`; `width` and `height` are those of the upright
    picture; `gallery_version` is the sequence number of the newest gallery change that was searched;
    `faces_left_out` counts faces beyond the limit of probes. Findings are ordered by similarity, highest first.
    """

    outcome: Outcome
    findings: tuple[Finding, ...]
    silenced: tuple[Silenced, ...]
    faces: tuple[Face, ...]
    faces_left_out: int
    pack: str
    threshold: float
    gallery_version: int
    width: int = 0
    height: int = 0
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    detail: str | None = None
