"""What a moderator is shown of a report: its photos beside the challenge, what speaks against it, and its accounts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from detector.challenge import CodeReading, judge_reading
from detector.resemblance import Conflict, Resemblance
from records.casework.cases import Case
from records.references import PictureHash, ReferencePhoto
from records.reports.contents import Challenge, Details
from records.reports.look_backs import Shown
from records.reports.reading import Report
from web.desk import Desk

CASES = 5
"""Cases of an account that are shown."""
IDENTITIES = 5
"""People of the gallery like the reporter that are shown."""

Seen = Literal["face", "code", "checked", "unseen_photos"]
"""What a moderator says to have looked at before somebody is protected."""


@dataclass(frozen=True, slots=True)
class PhotoShown:
    """A photo of the report, or the hash of one that stayed with the reporter. resemblance: to the challenge photo's
    face, None where the two cannot be compared."""

    id: str
    number: int
    hashed: bool
    width: int
    height: int
    quality: float
    resemblance: Resemblance | None

    @property
    def unlike(self) -> bool:
        return self.resemblance is not None and self.resemblance.level == "below"


@dataclass(frozen=True, slots=True)
class ChallengeShown:
    """The challenge photo. reading: what the text in it says about the code."""

    id: str
    code: str
    read: str | None
    reading: CodeReading


@dataclass(frozen=True, slots=True)
class Rival:
    """Somebody of the gallery who is like the reporter. accounts: their own ones; number: of the report that made them,
    None for others."""

    conflict: Conflict
    accounts: Sequence[str]
    report: Report | None


@dataclass(frozen=True, slots=True)
class AccountShown:
    """An account that the report names, with its cases; owners: names of people whose own account it is already."""

    text: str
    cases: Sequence[Case]
    owners: Sequence[str]


@dataclass(frozen=True, slots=True)
class ReportShown:
    """All of an open report that may be shown without being asked for; compared: whether its photos were compared with
    the gallery; showing: other accounts that have shown the face, None while they are looked for."""

    details: Details
    photos: Sequence[PhotoShown]
    challenge: ChallengeShown | None
    rivals: Sequence[Rival]
    compared: bool
    accounts: Sequence[AccountShown]
    links: Sequence[AccountShown]
    showing: Sequence[Shown] | None

    @property
    def unlike(self) -> Sequence[PhotoShown]:
        return [photo for photo in self.photos if photo.unlike]


def view_report(desk: Desk, report: Report, moderator_id: str) -> ReportShown:
    """Opens what the report holds, for this moderator. Raises ReportErased, MasterKeyError."""
    reading = desk.report_reading
    details = reading.details(report.id)
    challenge_id = next(iter(reading.photo_ids(report.id, "challenge")), None)
    challenge = reading.challenge(report.id, challenge_id) if challenge_id else None
    photos = {photo_id: reading.photo(report.id, photo_id) for photo_id in reading.photo_ids(report.id, "face")}
    conflicts = desk.enrols.conflicts(list(photos.values())) if desk.enrols and photos else []
    shown = []
    for number, (photo_id, photo) in enumerate(photos.items(), start=1):
        hashed = isinstance(photo, PictureHash)
        alike = None
        if challenge and desk.enrols and not isinstance(photo, PictureHash):
            alike = desk.enrols.resemblance(challenge, photo)
        shown.append(PhotoShown(photo_id, number, hashed, photo.width, photo.height, photo.quality, alike))
    owners = desk.gallery_pages.owners_of(details.accounts)
    return ReportShown(
        details=details,
        photos=shown,
        challenge=_challenge(challenge_id, challenge),
        rivals=[_rival(desk, conflict) for conflict in conflicts[:IDENTITIES]],
        compared=desk.enrols is not None,
        accounts=[_account(desk, moderator_id, one, [one], owners) for one in details.accounts],
        links=[_account(desk, moderator_id, one, account_ids(one), {}) for one in details.links],
        showing=_showing(desk, report, details, list(photos.values())),
    )


def _showing(
    desk: Desk, report: Report, details: Details, photos: Sequence[ReferencePhoto | PictureHash]
) -> Sequence[Shown] | None:
    """Accounts that have shown the face, but for those that the reporter calls their own."""
    if desk.shows is None or desk.enrols is None:
        return ()
    pack = desk.enrols.pack
    faces = [
        photo.embeddings[pack] for photo in photos if isinstance(photo, ReferencePhoto) and pack in photo.embeddings
    ]
    shown = desk.shows.who_shows(report.id, faces, pack, report.created_at)
    return None if shown is None else [one for one in shown if one.account_id not in details.accounts]


def to_see(report: Report, challenge: bool) -> tuple[Seen, ...]:
    """What somebody must have looked at who approves the report."""
    if report.kind == "hashes":
        return ("unseen_photos",)
    return ("face", "code") if challenge else ("checked",)


def account_ids(link: str) -> list[str]:
    """What in a link or a handle may be the id of an account."""
    parts = urlsplit(link if "//" in link else f"//{link}")
    pieces = [link, *parts.path.split("/"), *re.split(r"[=&]", parts.query)]
    return list(dict.fromkeys(piece for one in pieces if (piece := one.strip().removeprefix("@"))))


def _challenge(challenge_id: str | None, challenge: Challenge | None) -> ChallengeShown | None:
    if challenge_id is None or challenge is None:
        return None
    reading = judge_reading(challenge.read, challenge.code)
    return ChallengeShown(challenge_id, challenge.code, challenge.read, reading)


def _rival(desk: Desk, conflict: Conflict) -> Rival:
    known = conflict.identity
    return Rival(conflict, sorted(known.own_accounts), desk.report_reading.of_identity(known.id))


def _account(
    desk: Desk, moderator_id: str, text: str, ids: Sequence[str], owners: Mapping[str, Sequence[str]]
) -> AccountShown:
    found = [desk.golden.as_found(moderator_id, one, desk.cases.of_account(one, CASES)) for one in ids]
    cases = {case.id: case for of_one in found for case in of_one}
    return AccountShown(text, list(cases.values())[:CASES], owners.get(text, ()))
