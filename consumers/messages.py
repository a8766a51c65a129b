"""The messages on the topics: their shapes, and how they are read and written.

Uploads come as plain JSON or as CloudEvents 1.0 in structured mode; everything sent is a structured CloudEvent.
`python -m consumers.messages FOLDER` writes the JSON Schemas of config/schemas/ from these models.
"""

import base64
import json
import re
import sys
import uuid
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json

from detector.verdict import FindingKind, IdentityKind, MarkKind
from records.reports.platform_form import ReportForm

REASONS = {
    "not_json": "The value is not JSON, or is empty.",
    "schema_violation": "The JSON is not an upload as config/schemas/avatar-uploads.schema.json describes it.",
    "image_missing": "The upload names no image.",
    "image_not_base64": "The inline image is not base64.",
}
"""Why a message is not read as an upload; it goes to the dead letters."""

SOURCE = "likeness/screening"
CONTENT_TYPE = ("content-type", b"application/cloudevents+json; charset=UTF-8")
_IDS = uuid.UUID("6f0b6c1e-54d5-4d0c-9a5f-7d1f3a1f8f0e")

Id = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
RFC3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
DETAIL_LENGTH = 1000
"""Characters of a rejection's detail that are kept: it may quote the message."""


M = TypeVar("M", bound=BaseModel)


class MessageRejected(ValueError):
    """The message is no upload, or no review. `reason`: a key of REASONS; `detail`: one sentence for the operator."""

    def __init__(self, reason: str, detail: str) -> None:
        detail = detail if len(detail) <= DETAIL_LENGTH else f"{detail[:DETAIL_LENGTH]}…"
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def _only_rfc3339(value: Any) -> Any:
    """Texts only: pydantic would also take numbers and looser texts, which the schema refuses."""
    if isinstance(value, datetime) or (isinstance(value, str) and re.fullmatch(RFC3339, value)):
        return value
    raise ValueError("an RFC 3339 time is expected, such as 2026-02-03T04:05:06Z")


Time = Annotated[AwareDatetime, BeforeValidator(_only_rfc3339), Field(json_schema_extra={"pattern": RFC3339})]
"""A moment in an upload, with its offset from UTC."""


Rounded = Annotated[float, AfterValidator(lambda value: round(value, 4))]
"""A measured number; more digits would be noise."""


class Image(BaseModel):
    """Where the picture is: exactly one of a URL (http, https, s3, file) and the bytes themselves in base64."""

    model_config = ConfigDict(frozen=True)

    url: Annotated[str, Field(max_length=4096)] | None = None
    base64: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Image":
        if (self.url is None) == (self.base64 is None):
            raise ValueError("an image has either url or base64")
        return self


class Profile(BaseModel):
    """What the account says of itself, for moderators."""

    model_config = ConfigDict(frozen=True)

    handle: Annotated[str, Field(max_length=512)] | None = None
    display_name: Annotated[str, Field(max_length=512)] | None = None
    created_at: Time | None = None


class AvatarUploaded(BaseModel):
    """avatar-uploads: an account has a new avatar. Unknown fields are ignored."""

    model_config = ConfigDict(frozen=True)

    event_id: Id
    account_id: Id
    image: Image
    uploaded_at: Time | None = None
    profile: Profile | None = None


class AvatarScreened(BaseModel):
    """avatar-screenings: the one outcome of one upload. No biometrics, no scores, no matched identity."""

    screening_id: uuid.UUID
    event_id: Id
    account_id: Id
    verdict: Literal["clear", "review", "no_face"]
    findings: list[FindingKind]
    faces: int
    model_pack: str
    gallery_version: int
    screened_at: AwareDatetime


class ReviewSamePhoto(BaseModel):
    """How the avatar was known to be a reference photo: by the whole picture, or by the face in it. hash_only: the
    photo stayed with the person and cannot be looked at."""

    model_config = ConfigDict(from_attributes=True)

    by: Literal["picture", "face"]
    distance: int
    transform: str
    visible: Rounded
    hash_only: bool = False


class ReviewRunnerUp(BaseModel):
    """The other identity that the face may be."""

    model_config = ConfigDict(from_attributes=True)

    identity_id: str
    identity_name: str
    similarity: Rounded


class ReviewNameClaim(BaseModel):
    """What the profile says that claims the identity's name."""

    model_config = ConfigDict(from_attributes=True)

    field: Literal["display_name", "handle"]
    text: str


class ReviewForeignText(BaseModel):
    """Text in the picture that looks like somebody else's mark. box: as face_box."""

    model_config = ConfigDict(from_attributes=True)

    text: str
    looks_like: MarkKind
    box: tuple[Rounded, Rounded, Rounded, Rounded]


class ReviewFinding(BaseModel):
    """One reason for a review, with its evidence. face_box: x, y, width, height in pixels of the upright picture. What
    a kind of finding does not have is null."""

    model_config = ConfigDict(from_attributes=True)

    kind: FindingKind
    priority: int
    text: str
    identity_id: str | None = None
    identity_name: str | None = None
    identity_kind: IdentityKind | None = None
    reference_id: str | None = None
    similarity: Rounded | None = None
    threshold: Rounded | None = None
    face_box: tuple[Rounded, Rounded, Rounded, Rounded] | None = None
    quality: Rounded | None = None
    same_photo: ReviewSamePhoto | None = None
    runner_up: ReviewRunnerUp | None = None
    name_claim: ReviewNameClaim | None = None
    foreign_text: ReviewForeignText | None = None
    quarantined: bool = False


class ImpersonationSuspected(BaseModel):
    """impersonation-reviews: a suspicion, with what a moderator needs to decide. trigger: what brought the picture up,
    its upload, or the search for a newly protected person among earlier ones."""

    review_id: uuid.UUID
    event_id: Id
    account_id: Id
    image: Image
    uploaded_at: AwareDatetime | None
    profile: Profile | None
    priority: int
    held: bool
    findings: Annotated[list[ReviewFinding], Field(min_length=1)]
    faces: int
    picture_width: int
    picture_height: int
    model_pack: str
    threshold: Rounded
    sure_threshold: Rounded
    gallery_version: int
    screened_at: AwareDatetime
    trigger: Literal["upload", "look_back"] = "upload"


class Header(BaseModel):
    """A Kafka header of the original message."""

    name: str
    value_base64: str | None


class Original(BaseModel):
    """A message as it was consumed. `value_base64` is null, and `omitted` true, only where the dead letter would
    otherwise be larger than its topic allows, and then a long key and long headers are left out as well; topic,
    partition and offset say where the message stands."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key_base64: str | None
    value_base64: str | None
    omitted: bool
    size: int
    headers: list[Header]


class AvatarDeadLettered(BaseModel):
    """avatar-dead-letters: what could not be screened, why, and the original."""

    dead_letter_id: uuid.UUID
    event_id: str | None
    account_id: str | None
    reason: str
    detail: str
    original: Original
    failed_at: AwareDatetime


class ReviewDecided(BaseModel):
    """review-decisions: what moderators decided about a review, final. No name, no note, no score.

    `decided_by`: the moderator's id; `stage`: who had the last word, the first or the second reviewer, a lead, or who
    judged an appeal; `appeal_of`: the decision that was appealed against, and that this one takes the place of."""

    decision_id: Id
    review_id: uuid.UUID
    event_id: Id
    account_id: Id
    decision: Literal["confirmed", "not_this_person", "genuine_owner", "bad_picture"]
    reason: str
    identity_id: str | None
    stage: Literal["first", "second", "lead", "appeal"]
    decided_by: str
    decided_at: AwareDatetime
    appeal_of: Id | None = None


class VictimReported(ReportForm):
    """victim-reports, once it is opened: somebody's report that a stranger uses their face, from a platform's own
    form. On the topic it is sealed."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class GalleryChanged(BaseModel):
    """gallery-changes: the state of one identity, sealed with its data key. A message without value removes it;
    its header `sequence` numbers the change."""

    identity_id: str
    sequence: int
    sealed: str


class AvatarProbed(BaseModel):
    """avatar-probes: the faces of one upload, to be compared with who is protected later. sealed: base64, by the key of
    the day, which is deleted when its time is over."""

    day: date
    sealed: str


TYPES: dict[type[BaseModel], str] = {
    AvatarUploaded: "likeness.avatar.uploaded.v1",
    AvatarScreened: "likeness.avatar.screened.v1",
    ImpersonationSuspected: "likeness.impersonation.suspected.v1",
    AvatarDeadLettered: "likeness.avatar.dead-lettered.v1",
    ReviewDecided: "likeness.review.decided.v1",
    GalleryChanged: "likeness.gallery.changed.v1",
    VictimReported: "likeness.victim.reported.v1",
    AvatarProbed: "likeness.avatar.probed.v1",
}
"""The CloudEvents type of each message."""

SCHEMAS: dict[str, type[BaseModel]] = {
    "avatar-uploads": AvatarUploaded,
    "avatar-screenings": AvatarScreened,
    "impersonation-reviews": ImpersonationSuspected,
    "avatar-dead-letters": AvatarDeadLettered,
    "review-decisions": ReviewDecided,
    "gallery-changes": GalleryChanged,
    "victim-reports": VictimReported,
    "avatar-probes": AvatarProbed,
}
"""The message of each topic; of a CloudEvent its `data`."""


def derived_id(kind: str, *parts: object) -> uuid.UUID:
    """The same id for the same parts, always: what is sent twice can be told to be the same."""
    return uuid.uuid5(_IDS, ":".join([kind, *map(str, parts)]))


def read_upload(value: bytes | None) -> AvatarUploaded:
    """The upload in a message's value. Raises MessageRejected."""
    envelope_id, document = _opened(value)
    if not isinstance(document, dict):
        raise MessageRejected("schema_violation", f"An upload is a JSON object, not {_json_kind(document)}.")
    if not document.get("image"):
        raise MessageRejected("image_missing", "The upload has no image: name image.url or image.base64.")
    if envelope_id is not None:
        document = {"event_id": envelope_id, **document}
    return _validated(AvatarUploaded, document)


def read_review(value: bytes | None) -> ImpersonationSuspected:
    """The review in a message's value. Raises MessageRejected."""
    document = _document(value)
    if not isinstance(document, dict) or "data" not in document:
        raise MessageRejected("schema_violation", "A review is a CloudEvent with data.")
    return _validated(ImpersonationSuspected, document["data"])


def read_report(value: bytes | None) -> VictimReported:
    """The report in a message's value. Raises MessageRejected, whose detail quotes nothing that a person said."""
    envelope_id, document = _opened(value)
    if not isinstance(document, dict):
        raise MessageRejected("schema_violation", f"A report is a JSON object, not {_json_kind(document)}.")
    if envelope_id is not None:
        document = {"your_id": envelope_id, **document}
    return _validated(VictimReported, document)


def read_data(value: bytes) -> dict[str, Any]:
    """The data of a structured CloudEvent that Likeness has sent."""
    data = from_json(value, cache_strings="keys")["data"]
    return dict(data)


def inline_bytes(image: Image) -> bytes:
    """The picture that an upload carries in base64. Raises MessageRejected."""
    try:
        return base64.b64decode(image.base64 or "", validate=True)
    except ValueError as error:
        raise MessageRejected("image_not_base64", f"The inline image is not base64: {error}.") from error


def write_event(message: BaseModel, event_id: str, time: datetime, *, source: str = SOURCE) -> bytes:
    """`message` as a structured CloudEvent in JSON."""
    attributes = {
        "id": event_id,
        "source": source,
        "type": TYPES[type(message)],
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "time": time,
    }
    return bytes(JSONFormat().write(CloudEvent(attributes, message.model_dump(mode="json"))))


def _validated(model: type[M], document: Any) -> M:
    try:
        return model.model_validate(document, extra="ignore")
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_input=False, include_url=False)
        ]
        raise MessageRejected("schema_violation", "; ".join(wrong) + ".") from error


def _opened(value: bytes | None) -> tuple[str | None, Any]:
    """The id of the CloudEvent, None for plain JSON, and what it carries."""
    document = _document(value)
    if isinstance(document, dict) and "specversion" in document:
        return _open_envelope(document)
    return None, document


def _document(value: bytes | None) -> Any:
    try:
        return from_json(value or b"", allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise MessageRejected("not_json", f"The value is not JSON: {error}.") from error


def _open_envelope(envelope: dict[str, Any]) -> tuple[str, Any]:
    """The id and the data of a structured CloudEvent; an attribute that is null counts as absent."""
    present = {name: value for name, value in envelope.items() if value is not None}
    data, inline = present.pop("data", None), present.pop("data_base64", None)
    if "id" not in present:  # the SDK would make one up, another at every repeat
        raise MessageRejected("schema_violation", "The value is not a CloudEvent 1.0: it has no id.")
    try:
        event = JSONFormat().read(CloudEvent, json.dumps(present))
    except CloudEventValidationError as error:
        wrong = ", ".join(" ".join(str(reason).split()) for reasons in error.errors.values() for reason in reasons)
        raise MessageRejected("schema_violation", f"The value is not a CloudEvent 1.0: {wrong}.") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise MessageRejected("schema_violation", "The CloudEvent's time is not an RFC 3339 time.") from error
    if inline is None:
        return event.get_id(), data
    if data is not None:
        raise MessageRejected("schema_violation", "The CloudEvent has both data and data_base64.")
    try:
        decoded = base64.b64decode(inline, validate=True)
    except (ValueError, TypeError) as error:
        raise MessageRejected("schema_violation", f"The CloudEvent's data_base64 is not base64: {error}.") from error
    return event.get_id(), _document(decoded)


def _json_kind(value: Any) -> str:
    """What JSON calls a value that is no object."""
    if value is None:
        return "null"
    return {list: "an array", str: "a string", bool: "a boolean"}.get(type(value), "a number")


def json_schema(topic: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a topic's message."""
    model = SCHEMAS[topic]
    read = model in (AvatarUploaded, VictimReported)
    mode: Literal["validation", "serialization"] = "validation" if read else "serialization"
    schema = model.model_json_schema(mode=mode)
    for definition in schema.get("$defs", {}).values():
        definition.pop("additionalProperties", None)  # a field that is not known is passed over
    if model is AvatarUploaded:
        schema["$defs"]["Image"]["oneOf"] = [
            {"required": [name], "properties": {name: {"type": "string"}}} for name in ("url", "base64")
        ]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{topic}.schema.json", **schema}


def _write_schemas(folder: Path) -> None:
    for topic in SCHEMAS:
        text = json.dumps(json_schema(topic), indent=2, ensure_ascii=False)
        (folder / f"{topic}.schema.json").write_text(text + "\n")


if __name__ == "__main__":
    _write_schemas(Path(sys.argv[1]))
