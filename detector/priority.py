"""Which finding a moderator should see first."""

from detector.verdict import FindingKind

URGENCY: dict[FindingKind, float] = {
    "same_picture": 1.0,
    "cropped_picture": 0.95,
    "name_claim": 0.9,
    "same_person": 0.75,
    "foreign_watermark": 0.5,
    "look_alike_risk": 0.25,
}
"""How likely and how harmful a finding of each kind is, 0..1."""


def priority(kind: FindingKind, strength: float, reach: int) -> int:
    """0..100: 60 for the kind, 25 for how strong the evidence is (`strength`, 0..1), 15 for how widely the face is
    known (`reach`, 1..5) and so how many it may deceive."""
    return round(60 * URGENCY[kind] + 25 * min(1.0, max(0.0, strength)) + 15 * (reach - 1) / 4)
