"""A report that is still being written, before anybody has it but the browser that writes it.

It is sealed with a key made of a random token that only that browser bears, so we cannot open it without the browser,
whichever of our processes it asks. What is not sent is forgotten.
"""

import base64
import hashlib
import json
import secrets
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import delete, insert, select

from records.announcer import utc_now
from records.database import Database
from records.keys.keyring import DataKey
from records.references import PictureHash, ReferencePhoto
from records.reports.contents import (
    Challenge,
    Details,
    ReportKind,
    challenge_facts,
    challenge_from,
    hash_facts,
    hash_from,
    photo_facts,
    photo_from,
)
from records.reports.intake import new_pin
from records.reports.schema_reports import ReportDraftRow

TOKEN_BYTES = 32
PURPOSE = "report-draft"
KEY_BYTES = 32
NOTHING = Details()
Writer = Literal["adult", "minor", "guardian"]
"""Who writes: a grown-up about themselves, somebody under 18 about themselves, somebody who looks after a child."""


@dataclass(frozen=True, slots=True, eq=False)
class DraftPhoto:
    """A photo that was sent. `name`: of the file; `faces`: those in it that are good enough, each as a reference would
    have it, largest first; `chosen`: which of them is theirs, None while nobody has said; `refused`: why there is none,
    a reason of detector/enrolment.py or detector/picture.py."""

    id: str
    name: str
    faces: tuple[ReferencePhoto, ...] = ()
    chosen: int | None = None
    refused: str | None = None

    @property
    def photo(self) -> ReferencePhoto | None:
        """The photo with the face that is theirs."""
        return None if self.chosen is None else self.faces[self.chosen]


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """`key`: by which the report is taken in once; `consent_text`: the version of the texts that were agreed to, empty
    before; `code`: what is to be written by hand for the challenge photo, asked for at `code_at`; `details_given`:
    whether that page was sent, all of which may be empty; `number`: of the report that was made of it, and then nothing
    else is left but the PIN."""

    kind: ReportKind
    writer: Writer
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    pin: str = field(default_factory=new_pin)
    consent_text: str = ""
    consented_at: datetime | None = None
    consent_contact: bool = False
    months: int = 0
    details: Details = NOTHING
    details_given: bool = False
    photos: tuple[DraftPhoto, ...] = ()
    hashes: tuple[PictureHash, ...] = ()
    code: str = ""
    code_at: datetime | None = None
    challenge: Challenge | None = None
    number: str | None = None

    @property
    def chosen(self) -> tuple[ReferencePhoto, ...]:
        """The photos that go into the report."""
        return tuple(one.photo for one in self.photos if one.photo is not None)

    def sent(self, number: str) -> "Draft":
        """What is left when the report was taken in."""
        return Draft(self.kind, self.writer, self.key, self.pin, number=number)


class ReportDrafts:
    """Each method is one transaction and may raise DatabaseAway or SchemaMismatch. A draft is forgotten when it was not
    changed for `lasts`. `clock` gives the moment, aware."""

    def __init__(self, database: Database, *, lasts: timedelta, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._lasts = lasts
        self._clock = clock

    def begin(self, draft: Draft) -> str:
        """Keeps a new draft; the token that opens it, for the browser's cookie alone."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        row = {"id": _id(token), "sealed": _sealed(token, draft), "expires_at": self._clock() + self._lasts}
        with self._database.write() as session:
            session.execute(insert(ReportDraftRow).values(row))
        return token

    def find(self, token: str) -> Draft | None:
        """The token's draft, if it is still there."""
        mine = ReportDraftRow.id == _id(token), ReportDraftRow.expires_at > self._clock()
        with self._database.read() as session:
            sealed = session.scalar(select(ReportDraftRow.sealed).where(*mine))
        return None if sealed is None else _opened(token, sealed)

    def has(self, token: str) -> bool:
        """Whether the token's draft is still there; opens nothing."""
        mine = ReportDraftRow.id == _id(token), ReportDraftRow.expires_at > self._clock()
        with self._database.read() as session:
            return session.scalar(select(ReportDraftRow.id).where(*mine)) is not None

    def change(self, token: str, change: Callable[[Draft], Draft]) -> Draft | None:
        """What `change` makes of the token's draft, kept in its place; None where there is none any more. Two changes
        at once come one after another."""
        now = self._clock()
        wanted = select(ReportDraftRow).where(ReportDraftRow.id == _id(token), ReportDraftRow.expires_at > now)
        with self._database.write() as session:
            row = session.scalar(wanted.with_for_update())
            if row is None:
                return None
            changed = change(_opened(token, row.sealed))
            row.sealed, row.expires_at = _sealed(token, changed), now + self._lasts
        return changed

    def drop(self, token: str) -> None:
        """Forgets the token's draft."""
        with self._database.write() as session:
            session.execute(delete(ReportDraftRow).where(ReportDraftRow.id == _id(token)))

    def sweep(self) -> int:
        """Deletes the drafts whose time is over; gives how many."""
        over = delete(ReportDraftRow).where(ReportDraftRow.expires_at <= self._clock())
        with self._database.write() as session:
            return len(session.scalars(over.returning(ReportDraftRow.id)).all())


def _id(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _key(token: str) -> DataKey:
    derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"likeness report draft").derive(token.encode(errors="replace"))
    return DataKey(_id(token), derived)


def _sealed(token: str, draft: Draft) -> bytes:
    kept = {
        "kind": draft.kind,
        "writer": draft.writer,
        "key": draft.key,
        "pin": draft.pin,
        "consent_text": draft.consent_text,
        "consented_at": _moment(draft.consented_at),
        "consent_contact": draft.consent_contact,
        "months": draft.months,
        "details": asdict(draft.details),
        "details_given": draft.details_given,
        "photos": [_photo(photo) for photo in draft.photos],
        "hashes": [hash_facts(one) for one in draft.hashes],
        "code": draft.code,
        "code_at": _moment(draft.code_at),
        "challenge": _challenge(draft.challenge),
        "number": draft.number,
    }
    return _key(token).seal(json.dumps(kept).encode(), PURPOSE)


def _opened(token: str, sealed: bytes) -> Draft:
    kept = json.loads(_key(token).open(sealed, PURPOSE))
    details, challenge = kept["details"], kept["challenge"]
    lines = {name: tuple(details[name]) for name in ("links", "accounts")}
    kept["details"] = Details(**details | lines)
    kept["photos"] = tuple(_photo_from(photo) for photo in kept["photos"])
    kept["hashes"] = tuple(hash_from(one) for one in kept["hashes"])
    kept["challenge"] = challenge and challenge_from(challenge, base64.b64decode(challenge["jpeg"]))
    for name in ("code_at", "consented_at"):
        kept[name] = kept[name] and datetime.fromisoformat(kept[name])
    return Draft(**kept)


def _photo(photo: DraftPhoto) -> dict[str, Any]:
    """All faces of a photo share one picture."""
    return {
        "id": photo.id,
        "name": photo.name,
        "jpeg": base64.b64encode(photo.faces[0].photo_jpeg).decode() if photo.faces else "",
        "faces": [photo_facts(face) for face in photo.faces],
        "chosen": photo.chosen,
        "refused": photo.refused,
    }


def _photo_from(kept: Any) -> DraftPhoto:
    jpeg = base64.b64decode(kept["jpeg"])
    faces = tuple(photo_from(face, jpeg) for face in kept["faces"])
    return DraftPhoto(kept["id"], kept["name"], faces, kept["chosen"], kept["refused"])


def _challenge(challenge: Challenge | None) -> dict[str, Any] | None:
    if challenge is None:
        return None
    return challenge_facts(challenge) | {"jpeg": base64.b64encode(challenge.jpeg).decode()}


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
