"""What comes out of an upload: its screening, a review for a suspicion, or a dead letter."""

from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kafka import TopicPartition

from config.settings import Topics
from consumers.dead_letters import dead_letter
from consumers.messages import (
    CONTENT_TYPE,
    AvatarScreened,
    AvatarUploaded,
    Image,
    ImpersonationSuspected,
    ReviewFinding,
    derived_id,
    write_event,
)
from consumers.outgoing import OutgoingMessage
from detector import Verdict


@dataclass(slots=True, eq=False)
class Screened:
    """One consumed record on its way: `upload` once read, then its verdict, or why it has none.

    `step`: what is awaited, the picture's bytes or, once `fetched`, the verdict; `began` and `ended`: when, in seconds
    of time.perf_counter and time.monotonic. `compact`: its outcome must do without the upload's bytes, which made it
    too large. `size`: bytes held for it.
    `number`: of the uploads that this process took on."""

    record: Any
    partition: TopicPartition
    number: int = 0
    upload: AvatarUploaded | None = None
    step: Future[Any] | None = None
    began: float = 0.0
    fetched: bool = False
    verdict: Verdict | None = None
    reason: str | None = None
    detail: str = ""
    ended: float = 0.0
    compact: bool = False
    size: int = 0


def outcome(item: Screened, topics: Topics, at: datetime) -> list[OutgoingMessage]:
    """The messages of one upload: a dead letter, or a screening and, with findings, a review."""
    upload, verdict = item.upload, item.verdict
    if item.reason is not None or upload is None or verdict is None:
        event_id, account_id = (upload.event_id, upload.account_id) if upload else (None, None)
        reason = item.reason or "unscreenable"
        return [
            dead_letter(item.record, topics.dead_letters, reason, item.detail, at, event_id, account_id, item.compact)
        ]
    outputs = [_message(topics.screenings, upload, _screening(upload, verdict, at), at)]
    if verdict.findings:
        image = upload.image
        if item.compact:
            image = image_at(item.record)
        outputs.append(_message(topics.reviews, upload, review_of(upload, image, verdict, at), at))
    return outputs


def image_at(record: Any) -> Image:
    """Where the picture of a consumed upload stands, in place of its bytes."""
    return Image(url=f"kafka://{record.topic}/{record.partition}/{record.offset}")


def _message(
    topic: str, upload: AvatarUploaded, message: AvatarScreened | ImpersonationSuspected, at: datetime
) -> OutgoingMessage:
    identity = message.screening_id if isinstance(message, AvatarScreened) else message.review_id
    return OutgoingMessage(topic, upload.account_id.encode(), write_event(message, str(identity), at), (CONTENT_TYPE,))


def _screening(upload: AvatarUploaded, verdict: Verdict, at: datetime) -> AvatarScreened:
    if verdict.outcome == "unscreenable":
        raise ValueError("an unscreenable upload is a dead letter")
    return AvatarScreened(
        screening_id=derived_id("screening", upload.event_id),
        event_id=upload.event_id,
        account_id=upload.account_id,
        verdict=verdict.outcome,
        findings=sorted({finding.kind for finding in verdict.findings}),
        faces=len(verdict.faces),
        model_pack=verdict.pack,
        gallery_version=verdict.gallery_version,
        screened_at=at,
    )


def review_of(upload: AvatarUploaded, image: Image, verdict: Verdict, at: datetime) -> ImpersonationSuspected:
    """The review of an upload with findings, whose picture is at `image`."""
    return ImpersonationSuspected(
        review_id=derived_id("review", upload.event_id),
        event_id=upload.event_id,
        account_id=upload.account_id,
        image=image,
        uploaded_at=upload.uploaded_at,
        profile=upload.profile,
        priority=verdict.priority,
        held=verdict.held,
        findings=[ReviewFinding.model_validate(finding) for finding in verdict.findings],
        faces=len(verdict.faces),
        picture_width=verdict.width,
        picture_height=verdict.height,
        model_pack=verdict.pack,
        threshold=verdict.threshold,
        sure_threshold=verdict.sure,
        gallery_version=verdict.gallery_version,
        screened_at=at,
    )
