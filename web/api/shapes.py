"""The shapes of what the API takes and gives. Times are in UTC, as in `2026-03-01T12:00:00Z`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from records.casework.case_history import DecisionMade, DecisionState
from records.casework.case_listing import FinalDecision
from records.casework.cases import Case, CaseState, CaseTrigger
from records.casework.queues import CaseDecision, CaseStage

CASE_ID = "8a4c1f52-6f0e-5d5b-9c43-0f1f3e0b7a10"
NOTE_LENGTH = 4000
APPEAL_LENGTH = 10_000
DECISIONS: Sequence[CaseDecision] = get_args(CaseDecision)

Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""PostgreSQL takes no NUL in a text."""
Login = Annotated[
    Text,
    Field(description="The login here of the moderator for whom this is done.", examples=["mo"], max_length=200),
]


class Shape(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="forbid")


class CaseSummary(Shape):
    """A case as it stands."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    id: str = Field(description="The id of the review, which derives from the upload's event.", examples=[CASE_ID])
    event_id: str
    account_id: str
    handle: str | None
    display_name: str | None
    account_created_at: datetime | None
    uploaded_at: datetime | None
    screened_at: datetime
    opened_at: datetime
    queue: str = Field(examples=["victims"])
    kind: str = Field(description="Of the leading finding.", examples=["same_person"])
    identity_id: str | None = Field(description="Whom the leading finding is about.")
    identity_kind: str | None = Field(examples=["celebrity"])
    priority: int = Field(description="Higher is worked first.")
    held: bool = Field(description="Whether the identity was in quarantine when the case came.")
    trigger: CaseTrigger = Field(
        description="What brought the picture up: its `upload`, or a `look_back`, the search for a newly protected "
        "person among earlier uploads."
    )
    state: CaseState = Field(description="`decided` can still be undone; `closed` was told to the platform.")
    stage: CaseStage = Field(description="Whose turn it is, or who had the last word.")
    claimed_by: str | None = Field(description="The id of the moderator who holds it.")
    claimed_until: datetime | None = Field(description="From then on another may take it.")
    closed_at: datetime | None


class Finding(Shape):
    """Why the case was raised. What a kind of finding does not have is null."""

    model_config = ConfigDict(extra="ignore")

    kind: str = Field(examples=["same_person"])
    priority: int | None = None
    identity_id: str | None = None
    identity_name: str | None = Field(None, description="Null, too, once the identity is erased.")
    identity_kind: str | None = None
    reference_id: str | None = None
    similarity: float | None = Field(None, description="Cosine. Show it after the first judgement, if at all.")
    threshold: float | None = Field(None, description="From which similarity faces were raised.")
    face_box: Sequence[float] | None = Field(None, description="x, y, width, height in pixels of the upload.")
    quality: float | None = None
    same_photo: Mapping[str, Any] | None = None
    runner_up: Mapping[str, Any] | None = None
    name_claim: Mapping[str, Any] | None = None
    foreign_text: Mapping[str, Any] | None = None
    quarantined: bool = False


class Evidence(Shape):
    """What screening found, and by which policy."""

    model_config = ConfigDict(extra="ignore")

    findings: Sequence[Finding]
    faces: int | None = None
    picture_width: int | None = None
    picture_height: int | None = None
    model_pack: str | None = None
    threshold: float | None = None
    sure_threshold: float | None = None
    gallery_version: int | None = None


class Decision(Shape):
    """What a moderator decided on a case."""

    id: str
    case_id: str
    account_id: str
    identity_id: str | None
    stage: CaseStage
    decision: CaseDecision
    reason: str
    note: str | None
    decided_by: str = Field(description="The moderator's id.")
    decided_at: datetime
    state: DecisionState = Field(
        description="`pending` can be undone, `final` was told to the platform, `undone` was taken back; `first` was "
        "not told: the case went on to another person; `overruled`: something else was told."
    )
    undo_until: datetime | None = Field(description="Until when it can be undone; null when it cannot.")

    @classmethod
    def of(cls, made: DecisionMade) -> "Decision":
        return cls(**{name: getattr(made, name) for name in cls.model_fields})


class FinalDecisionOut(Decision):
    """A decision that the platform was told, as on the topic review-decisions."""

    final_at: datetime

    @classmethod
    def of_final(cls, final: FinalDecision) -> "FinalDecisionOut":
        return cls(**Decision.of(final.made).model_dump(), final_at=final.final_at)


class CaseDetail(CaseSummary):
    """A case with its evidence and its history."""

    evidence: Evidence
    offers: Sequence[CaseDecision] = Field(description="What can be decided at its stage.")
    decisions: Sequence[Decision] = Field(description="Oldest first; what a second reviewer must not know is left out.")
    comments: int = Field(description="How many comments moderators wrote.")
    avatar: str | None = Field(description="Where its picture is served; null without one, or once it is erased.")
    statement: str | None = Field(description="Where the statement of reasons is; null unless it is confirmed.")

    @classmethod
    def of(cls, case: Case, names: Mapping[str, str], **more: Any) -> "CaseDetail":
        """`names`: of identities, by id."""
        found = [
            Finding(**one | {"identity_name": names.get(one.get("identity_id") or "")})
            for one in case.evidence.get("findings", [])
        ]
        evidence = Evidence(**{**case.evidence, "findings": found})
        return cls(**CaseSummary.model_validate(case).model_dump(), evidence=evidence, **more)


class CasePage(Shape):
    """Cases by when they were opened, oldest first."""

    cases: Sequence[CaseSummary]
    next: str | None = Field(description="The `cursor` of the next page; null when this one was not full.")


class DecisionPage(Shape):
    """Final decisions by when they became final, oldest first."""

    decisions: Sequence[FinalDecisionOut]
    next: str = Field(description="The `cursor` of what comes later: keep it, and ask with it for what is new.")


class QueueState(Shape):
    """A queue and what waits in it."""

    queue: str
    open: int = Field(description="Cases that wait for a decision, those in somebody's hands included.")
    claimed: int = Field(description="Of these, those that somebody holds.")
    late: int = Field(description="Of these, those older than `target_minutes`.")
    oldest: datetime | None
    target_minutes: int


class Actor(Shape):
    """For whom something is done."""

    acting_for: Login


class DecisionIn(Actor):
    """A decision on a case that the moderator holds."""

    decision: CaseDecision
    reason: Text = Field(description="One of `console.reasons` for this decision.", examples=["same_person"])
    note: Annotated[Text, Field(max_length=NOTE_LENGTH)] | None = None
    identity_id: Text | None = Field(
        None, description="Whom it is about, when not the identity of the leading finding; one that the case names."
    )


class Decided(Shape):
    """The decision, and how the case stands now."""

    decision: Decision
    case: CaseSummary


class Lease(Shape):
    """Until when the case stays with who holds it."""

    claimed_until: datetime


class AppealIn(Shape):
    """What the account's holder says against a decision."""

    text: Annotated[Text, Field(min_length=1, max_length=APPEAL_LENGTH)]


class AppealOut(Shape):
    """An appeal: the case is open again, for somebody who has not decided on it."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    id: str
    case_id: str
    decision_id: str = Field(description="The decision that it is against.")
    received_at: datetime
    state: Literal["open", "upheld", "reversed"]
    closed_at: datetime | None
