"""From similarities to findings: what is suspicious, and what stays silent.

The threshold for now is the model pack's declared operating point, or the operator's own.
"""

from collections.abc import Sequence

from detector.engine import FaceEngine
from detector.index import Match
from detector.verdict import Face, Finding, Silenced


class NoThreshold(Exception):
    """The model pack declares no operating point and the operator has set none."""


def threshold_in_force(engine: FaceEngine, chosen: float | None) -> float:
    """The cosine at and above which a face counts as the same person: `chosen`, or the pack's operating point."""
    threshold = engine.threshold if chosen is None else chosen
    if threshold is None:
        raise NoThreshold(
            f"Model pack {engine.pack} declares no operating point: set policy.threshold "
            "(LIKENESS_POLICY__THRESHOLD), for example from `likeness evaluate`."
        )
    return threshold


def judge(
    faces: Sequence[Face], matches: Sequence[Sequence[Match]], account_id: str | None, threshold: float
) -> tuple[tuple[Finding, ...], tuple[Silenced, ...]]:
    """Findings and silenced findings of one picture, most similar first; `matches` are those of each face.

    An identity is named once, by the face that is most like it. Own accounts are never flagged for their identity.
    """
    best: dict[str, Finding] = {}
    own: set[str] = set()
    for face, found in zip(faces, matches, strict=True):
        for match in found:
            identity = match.identity
            known = best.get(identity.id)
            if known is not None and known.similarity >= match.similarity:
                continue
            if account_id is not None and account_id in identity.own_accounts:
                own.add(identity.id)
            best[identity.id] = Finding(
                kind="same_person",
                identity_id=identity.id,
                identity_name=identity.name,
                identity_kind=identity.kind,
                reference_id=match.reference_id,
                similarity=match.similarity,
                threshold=threshold,
                face_box=face.box,
            )
    ordered = sorted(best.values(), key=lambda finding: -finding.similarity)
    findings = tuple(finding for finding in ordered if finding.identity_id not in own)
    silenced = tuple(Silenced(finding, "own_account") for finding in ordered if finding.identity_id in own)
    return findings, silenced
