"""From evidence to findings: what is suspicious, how it is called, and what stays silent.

An identity gives one finding about the picture or the face, the strongest that holds, and one more if the profile
claims its name. A person decides; nothing here does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from detector.explanation import (
    explain_foreign_text,
    explain_look_alike,
    explain_name_claim,
    explain_same_person,
    explain_same_photo,
)
from detector.identity import Identity
from detector.policy import CLEAR_MARGIN, Policy, Thresholds
from detector.priority import priority
from detector.same_photo import CROPPED_BELOW
from detector.searchable import Match
from detector.verdict import (
    Face,
    Finding,
    FindingKind,
    ForeignText,
    NameClaim,
    RunnerUp,
    SamePhoto,
    Silenced,
    SilencedBy,
)

FULL_STRENGTH = 0.3
"""Cosine above the threshold at which a likeness counts as strong as it can be."""
BITS = 256


@dataclass(frozen=True, slots=True, eq=False)
class FaceMatch:
    """A face of the avatar and an identity it is like; `others`: the face's matches, most similar first."""

    face: Face
    match: Match
    others: Sequence[Match] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PhotoMatch:
    """A reference photo that the avatar is; `face`: where it was known by a face, and the similarity then."""

    identity: Identity
    reference_id: str
    photo: SamePhoto
    face: FaceMatch | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ClaimMatch:
    """An identity whose name the profile claims, and the face of the avatar most like it; `threshold`: the cosine from
    which it agrees."""

    claim: NameClaim
    face: FaceMatch
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that was found about one avatar."""

    faces: Sequence[FaceMatch] = ()
    photos: Sequence[PhotoMatch] = ()
    claims: Sequence[ClaimMatch] = ()


def judge(
    evidence: Evidence, account_id: str | None, policy: Policy, thresholds: Thresholds
) -> tuple[tuple[Finding, ...], tuple[Silenced, ...]]:
    """Findings and silenced findings of one picture, most urgent first.

    An identity stays silent for its own accounts, and for accounts that a moderator has told apart from it. So does
    everybody else whom the owner of the account is like, as long as the face is more like the owner.
    """
    findings: list[Finding] = []
    silenced: list[Silenced] = []
    for identity, face, finding in _raised(evidence, policy, thresholds):
        by = _silencer(identity, account_id) or _owners_face(face, account_id, thresholds.review)
        if by is None:
            findings.append(finding)
        else:
            silenced.append(Silenced(finding, by))
    findings.sort(key=_most_urgent_first)
    silenced.sort(key=lambda one: _most_urgent_first(one.finding))
    return tuple(findings), tuple(silenced)


def foreign_watermark(found: ForeignText) -> Finding:
    """The finding of a mark that is not the account's; it names no identity."""
    urgency = priority("foreign_watermark", 1.0, 1)
    return Finding("foreign_watermark", urgency, explain_foreign_text(found), foreign_text=found)


def _raised(
    evidence: Evidence, policy: Policy, thresholds: Thresholds
) -> Iterator[tuple[Identity, FaceMatch | None, Finding]]:
    """Identity, the face that the finding rests on (None: it rests on the picture), finding."""
    photos: dict[str, PhotoMatch] = {}
    for photo in evidence.photos:
        known = photos.get(photo.identity.id)
        if known is None or photo.photo.distance < known.photo.distance:
            photos[photo.identity.id] = photo
    faces: dict[str, FaceMatch] = {}
    for face in evidence.faces:
        nearest = faces.get(face.match.identity.id)
        if nearest is None or face.match.similarity > nearest.match.similarity:
            faces[face.match.identity.id] = face
    for photo in photos.values():
        yield photo.identity, None, _same_photo(photo, faces.get(photo.identity.id))
    for face in faces.values():
        if face.match.identity.id not in photos and face.match.similarity >= thresholds.review:
            yield face.match.identity, face, _same_face(face, policy, thresholds)
    for claim in evidence.claims:
        if claim.face.match.similarity >= claim.threshold:
            yield claim.face.match.identity, claim.face, _name_claim(claim)


def _same_photo(found: PhotoMatch, face: FaceMatch | None) -> Finding:
    cropped = found.photo.visible < CROPPED_BELOW
    text = explain_same_photo(found.identity.name, found.photo, cropped=cropped)
    strength = 1.0 - found.photo.distance / (BITS / 2)
    kind: FindingKind = "cropped_picture" if cropped else "same_picture"
    made = Finding(kind, priority(kind, strength, found.identity.reach), text, same_photo=found.photo)
    return _about(made, found.identity, found.reference_id, found.face or face, None)


def _same_face(found: FaceMatch, policy: Policy, thresholds: Thresholds) -> Finding:
    match, identity = found.match, found.match.identity
    rivals = (other for other in found.others if other.identity.id != identity.id and not other.identity.quarantined)
    rival = next(rivals, None)
    if rival is not None and match.similarity - rival.similarity >= CLEAR_MARGIN:
        rival = None
    runner_up = RunnerUp(rival.identity.id, rival.identity.name, rival.similarity) if rival else None
    sure = runner_up is None and match.similarity >= policy.sure(thresholds, found.face.quality)
    strength = (match.similarity - thresholds.review) / FULL_STRENGTH
    if sure:
        text = explain_same_person(identity.name)
        made = Finding("same_person", priority("same_person", strength, identity.reach), text)
    else:
        poor = match.similarity >= thresholds.sure
        nearer = rival is not None and rival.similarity - match.similarity >= CLEAR_MARGIN
        text = explain_look_alike(identity.name, runner_up, poor=poor, nearer=nearer)
        made = Finding("look_alike_risk", priority("look_alike_risk", strength, identity.reach), text)
        made = replace(made, runner_up=runner_up)
    return _about(made, identity, match.reference_id, found, thresholds.review)


def _name_claim(found: ClaimMatch) -> Finding:
    match, identity = found.face.match, found.face.match.identity
    strength = (match.similarity - found.threshold) / FULL_STRENGTH
    text = explain_name_claim(identity.name, found.claim)
    made = Finding("name_claim", priority("name_claim", strength, identity.reach), text, name_claim=found.claim)
    return _about(made, identity, match.reference_id, found.face, found.threshold)


def _about(
    finding: Finding, identity: Identity, reference_id: str, face: FaceMatch | None, threshold: float | None
) -> Finding:
    """The finding with whom it is about, and the face that tells so."""
    finding = replace(
        finding,
        identity_id=identity.id,
        identity_name=identity.name,
        identity_kind=identity.kind,
        reference_id=reference_id,
        quarantined=identity.quarantined,
    )
    if face is None:
        return finding
    return replace(
        finding,
        similarity=face.match.similarity,
        threshold=threshold,
        face_box=face.face.box,
        quality=face.face.quality,
    )


def _silencer(identity: Identity, account_id: str | None) -> SilencedBy | None:
    if account_id is None:
        return None
    if account_id in identity.own_accounts:
        return "own_account"
    return "negative_pair" if account_id in identity.negative_accounts else None


def _owners_face(face: FaceMatch | None, account_id: str | None, review: float) -> SilencedBy | None:
    """Silences a face that is the account's owner's, and less like the identity in question."""
    if face is None or account_id is None:
        return None
    own = [one.similarity for one in face.others if account_id in one.identity.own_accounts]
    return "own_account" if max(own, default=-1.0) >= max(review, face.match.similarity) else None


def _most_urgent_first(finding: Finding) -> tuple[int, float]:
    return -finding.priority, -(finding.similarity or 0.0)
