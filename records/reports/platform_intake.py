"""Reports from platforms: 1. is it there already  2. its photos are judged, all or nothing  3. it is taken in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from records.announcer import utc_now
from records.errors import PhotosUnseen, ReportUnfit
from records.references import ReferencePhoto
from records.reports.contents import Challenge
from records.reports.intake import NewReport, ReportIntake, Taken
from records.reports.languages import language_code
from records.reports.platform_form import ReportForm

TOPIC = "topic"
"""The source of reports from the topic victim-reports."""


@dataclass(frozen=True, slots=True)
class PhotoRefused:
    """Why a photo is not taken. `reason`: a code of detector/enrolment.py or detector/picture.py; `detail`: one
    sentence for the person who brought it."""

    reason: str
    detail: str


class LooksAtPhotos(Protocol):
    """Safe to share among threads; the bytes may be hostile."""

    def reference_photos(self, photos: Sequence[bytes], provenance: str) -> Sequence[ReferencePhoto | PhotoRefused]:
        """Of each photo the reference that it may become: of its one usable face."""
        ...

    def challenge_photo(self, photo: bytes, code: str) -> Challenge | PhotoRefused: ...


class PlatformIntake:
    """`longest`: months that somebody may consent to at once; `clock` gives the moment, aware."""

    def __init__(
        self,
        intake: ReportIntake,
        looks: LooksAtPhotos | None,
        longest: int,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._intake = intake
        self._looks = looks
        self._longest = longest
        self._clock = clock

    def take(self, form: ReportForm, source: str, *, flagger: bool = False) -> Taken:
        """What is there already under the source and the form's `your_id` is left as it is. Raises ReportUnfit with all
        that is wrong, PhotosUnseen, DatabaseAway, SchemaMismatch, MasterKeyError."""
        if (known := self._intake.known(source, form.your_id)) is not None:
            return known
        if mistake := form.mistake(self._clock(), self._longest):
            raise ReportUnfit([mistake])
        photos, challenge = self._look(form)
        new = NewReport(
            kind=form.kind,
            lane=form.lane(flagger),
            source=source,
            language=language_code(form.language),
            consent_text=form.consent.text_version,
            consent_contact=form.consent.contact,
            months=form.months,
            details=form.said(),
            photos=photos,
            hashes=form.picture_hashes(),
            challenge=challenge,
            source_key=form.your_id,
            consented_at=form.consent.given_at,
        )
        return self._intake.take(new)

    def _look(self, form: ReportForm) -> tuple[list[ReferencePhoto], Challenge | None]:
        if not form.photos and form.challenge is None:
            return [], None
        if self._looks is None:
            raise PhotosUnseen("No threshold holds for the model pack in use, so no photo can be judged; set one.")
        wrong: list[tuple[str, str]] = []
        photos: list[ReferencePhoto] = []
        for number, photo in enumerate(self._looks.reference_photos(form.photos, "Report through the platform")):
            if isinstance(photo, PhotoRefused):
                wrong.append((f"photos.{number}", f"{photo.reason}: {photo.detail}"))
            elif photo.photo_sha256 in {other.photo_sha256 for other in photos}:
                wrong.append((f"photos.{number}", "sent_twice: This photo is among the others already."))
            else:
                photos.append(photo)
        challenge = None
        if form.challenge is not None:
            seen = self._looks.challenge_photo(form.challenge.photo, form.challenge.code)
            if isinstance(seen, PhotoRefused):
                wrong.append(("challenge.photo", f"{seen.reason}: {seen.detail}"))
            else:
                challenge = seen
        if wrong:
            raise ReportUnfit(wrong)
        return photos, challenge
