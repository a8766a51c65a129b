"""The report that a platform's own form sends: the same JSON for the API and for the topic victim-reports."""

import base64
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from records.references import LEAST_PDQ_QUALITY, PictureHash
from records.reports.consent import CONTACT, CONTACT_LENGTH, LINE_LENGTH, MOST_LINES
from records.reports.contents import Details, Lane, ReportKind

MOST_PHOTOS = 5
LONGEST_WORDS = 10_000
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def _decoded(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            pass
    raise ValueError("base64 is expected: standard alphabet, padded, no line breaks")


def _tells_pictures_apart(quality: int) -> int:
    if quality < LEAST_PDQ_QUALITY:
        raise ValueError(
            f"below {LEAST_PDQ_QUALITY} the hash of a nearly flat picture finds nothing: leave it out, and ask the "
            "person for another photo"
        )
    return quality


Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""PostgreSQL takes no NUL in a text."""
Line = Annotated[str, Field(min_length=1, max_length=LINE_LENGTH, pattern=r"^[^\x00-\x1f\x7f]+$")]
Lines = Annotated[list[Line], Field(max_length=MOST_LINES)]
Photo = Annotated[
    bytes, BeforeValidator(_decoded), WithJsonSchema({"type": "string", "contentEncoding": "base64", "minLength": 4})
]


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConsentGiven(Shape):
    """What the person agreed to in your form."""

    matching: bool = Field(
        False,
        description="Their photos, or the hashes of them, may be compared with avatars. It must be true where any "
        "come, and is not asked of a minor, of whom nothing is compared.",
    )
    contact: bool = Field(description="They may be written to, at `details.contact`.")
    text_version: Line = Field(description="The version of the words that they agreed to.", examples=["2026-02"])
    given_at: Annotated[AwareDatetime, Field(ge=EARLIEST)]


class DetailsGiven(Shape):
    """What the person says. It is kept sealed, and moderators read it."""

    contact: Annotated[Text, Field(max_length=CONTACT_LENGTH)] = Field("", description="An e-mail address, or empty.")
    links: Lines = Field([], description="Addresses or handles of accounts that bear their face.")
    accounts: Lines = Field([], description="Ids of their own accounts, which are never flagged.")
    words: Annotated[Text, Field(max_length=LONGEST_WORDS)] = ""


class HashGiven(Shape):
    """The PDQ of a photo that stays with the person."""

    pdq: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
    quality: Annotated[
        int,
        Field(le=100, description="PDQ's.", json_schema_extra={"minimum": LEAST_PDQ_QUALITY}),
        AfterValidator(_tells_pictures_apart),
    ]
    width: Annotated[int, Field(ge=1, le=65_535, description="Pixels.")]
    height: Annotated[int, Field(ge=1, le=65_535)]


class ChallengeGiven(Shape):
    """A photo of the person beside a code that you gave them, written by hand on paper."""

    photo: Photo
    code: Annotated[str, Field(min_length=4, max_length=20, pattern=r"^[0-9A-Za-z-]+$")]


class ReportForm(Shape):
    """Somebody's report that a stranger uses their face: 1 to 5 photos of them, or hashes of such photos; of a minor
    words alone. Photos need proof that the face is the person's own: `challenge`, `checked`, or both."""

    your_id: Line = Field(description="Your id of the report: one that is there already is not taken in again.")
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[0-9A-Za-z]{2,8}){0,3}$")] = Field(examples=["en", "zh-Hans"])
    months: Annotated[int, Field(ge=1, le=120)] = Field(description="For how long they consent from approval on.")
    consent: ConsentGiven
    details: DetailsGiven = DetailsGiven()  # type: ignore[call-arg]  # its defaults are in Field
    photos: list[Photo] = Field([], max_length=MOST_PHOTOS)
    hashes: list[HashGiven] = Field([], max_length=MOST_PHOTOS, description="In place of photos.")
    challenge: ChallengeGiven | None = None
    checked: Annotated[Text, Field(max_length=500)] | None = Field(
        None,
        description="How you made sure of who they are, in a sentence for the moderator; kept sealed.",
        examples=["Passport and live video, by our identity provider, on 2026-02-03."],
    )
    minor: bool = Field(False, description="Under 18, or for a child: specialists work it, and no photo is taken in.")

    @model_validator(mode="after")
    def _whole(self) -> "ReportForm":
        pictured = bool(self.photos) + bool(self.hashes)
        if self.details.contact and not self.consent.contact:
            raise ValueError("details.contact came without consent.contact")
        if self.details.contact and not CONTACT.fullmatch(self.details.contact):
            raise ValueError("details.contact is no e-mail address")
        if self.minor:
            if pictured or self.challenge:
                raise ValueError("of a minor no photo, hash or challenge is taken in: send words")
            if not self.details.words.strip():
                raise ValueError("of a minor details.words say what happened")
        elif pictured != 1:
            raise ValueError("either photos or hashes are needed")
        elif self.photos and self.challenge is None and not (self.checked or "").strip():
            raise ValueError("photos need challenge or checked: proof that the face is their own")
        return self

    @property
    def kind(self) -> ReportKind:
        return "words" if self.minor else "photos" if self.photos else "hashes"

    def lane(self, flagger: bool) -> Lane:
        """`flagger`: whether a trusted flagger sent it."""
        return "specialist" if self.minor else "trusted_flagger" if flagger else "platform"

    def said(self) -> Details:
        given = self.details
        checked = (self.checked or "").strip()
        return Details(given.contact, tuple(given.links), tuple(given.accounts), given.words.strip(), checked)

    def picture_hashes(self) -> list[PictureHash]:
        return [PictureHash(bytes.fromhex(one.pdq), one.quality, one.width, one.height) for one in self.hashes]

    def mistake(self, now: datetime, longest: int) -> tuple[str, str] | None:
        """What is wrong beyond the form of its fields: where, and what. `longest`: months that somebody may consent
        to."""
        if not self.minor and not self.consent.matching:
            return "consent.matching", "Without this nothing of the photos or hashes may be compared: ask for it."
        if self.months > longest:
            return "months", f"At most {longest} months can be consented to at once."
        if self.consent.given_at > now:
            return "consent.given_at", "This moment is still to come."
        return None
