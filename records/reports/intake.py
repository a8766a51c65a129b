"""A report comes in: it gets a case number and a PIN, and all that it says of a person is sealed under its own key."""

import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.audit import AuditLog
from records.database import Database
from records.keys.keyring import DataKey, MasterKey
from records.people import passwords
from records.references import PictureHash, ReferencePhoto
from records.reports.contents import (
    Challenge,
    Details,
    Lane,
    ReportKind,
    seal_challenge,
    seal_details,
    seal_hash,
    seal_photo,
)
from records.reports.reading import unknown_report
from records.reports.schema_reports import ReportKeyRow, ReportPhotoRow, ReportRow, ReportSessionRow

CLEAR_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Those that nobody takes for another when they read them out."""
PIN_DIGITS = 8


@dataclass(frozen=True, slots=True, eq=False)
class NewReport:
    """A report as it was sent. source: `page`, `topic`, or `token:` and a token's id; source_key: the platform's own id
    of it, by which it is taken in once; pin: where the sender keeps one already, None: a new one is made; consent_text:
    the version of the texts agreed to; consented_at: when, None: now; months: how long consent lasts; language: a code
    such as `en`."""

    kind: ReportKind
    lane: Lane
    source: str
    language: str
    consent_text: str
    consent_contact: bool
    months: int
    details: Details
    photos: Sequence[ReferencePhoto] = ()
    hashes: Sequence[PictureHash] = ()
    challenge: Challenge | None = None
    source_key: str | None = None
    pin: str | None = None
    consented_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What the reporter is told, once. pin: None for a report that was there already."""

    report_id: str
    number: str
    pin: str | None


class ReportIntake:
    """`clock` gives the moment, aware. May raise DatabaseAway or SchemaMismatch."""

    def __init__(
        self, database: Database, master_key: MasterKey, audit: AuditLog, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._audit = audit
        self._clock = clock

    def take(self, new: NewReport) -> Taken:
        """Takes the report in; one with the same source and source_key is there only once."""
        try:
            return self._take(new)
        except IntegrityError:  # the same report may have come twice at the same moment
            if new.source_key is None or (known := self.known(new.source, new.source_key)) is None:
                raise
            return known

    def known(self, source: str, source_key: str) -> Taken | None:
        """The report that is there under the source's own id, without its PIN."""
        with self._database.read() as session:
            return _known(session, source, source_key)

    def renew_pin(self, report_id: str, by: str) -> Taken:
        """The report with a new PIN: the one before it, and the sessions that it opened, end. `by`: an actor of the
        audit log. Raises UnknownReport."""
        pin = new_pin()
        pin_hash = passwords.hashed(pin)
        with self._database.write() as session:
            row = session.get(ReportRow, report_id, with_for_update=True)
            if row is None:
                raise unknown_report(report_id)
            row.pin_hash, row.failures, row.locked_until = pin_hash, 0, None
            session.execute(delete(ReportSessionRow).where(ReportSessionRow.report_id == report_id))
            self._audit.append_in(session, by, "report_changed", report_id, {"what": "pin"})
            return Taken(report_id, row.number, pin)

    def _take(self, new: NewReport) -> Taken:
        report_id, number = f"rpt_{uuid.uuid4().hex}", case_number()
        pin = new.pin or new_pin()
        pin_hash = passwords.hashed(pin)  # slow, so before the transaction
        key = DataKey.new(report_id)
        now = self._clock()
        with self._database.write() as session:
            if new.source_key is not None and (known := _known(session, new.source, new.source_key)) is not None:
                return known
            row = {
                "id": report_id,
                "number": number,
                "kind": new.kind,
                "lane": new.lane,
                "state": "received",
                "source": new.source,
                "source_key": new.source_key,
                "language": new.language,
                "pin_hash": pin_hash,
                "failures": 0,
                "consent_text": new.consent_text,
                "consented_at": new.consented_at or now,
                "consent_contact": new.consent_contact and bool(new.details.contact),
                "months": new.months,
                "details": seal_details(key, new.details),
                "created_at": now,
            }
            session.execute(insert(ReportRow).values(row))
            wrapped = key.wrap(self._master_key)
            session.execute(insert(ReportKeyRow).values(report_id=report_id, wrapped=wrapped, created_at=now))
            for photo in self._photos(key, new):
                session.execute(insert(ReportPhotoRow).values(photo | {"report_id": report_id, "added_at": now}))
            self._audit.append_in(session, new.source, "report_received", report_id, {"kind": new.kind})
        return Taken(report_id, number, pin)

    def _photos(self, key: DataKey, new: NewReport) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for photo in new.photos:
            photo_id = photo_id_of(len(rows))
            rows.append({"id": photo_id, "role": "face", **seal_photo(key, photo_id, photo)})
        for found in new.hashes:
            photo_id = photo_id_of(len(rows))
            rows.append({"id": photo_id, "role": "face", **seal_hash(key, photo_id, found)})
        if new.challenge is not None:
            photo_id = photo_id_of(len(rows))
            rows.append({"id": photo_id, "role": "challenge", **seal_challenge(key, photo_id, new.challenge)})
        return rows


def _known(session: Session, source: str, source_key: str) -> Taken | None:
    same = ReportRow.source == source, ReportRow.source_key == source_key
    row = session.execute(select(ReportRow.id, ReportRow.number).where(*same)).one_or_none()
    return None if row is None else Taken(row.id, row.number, None)


def photo_id_of(number: int) -> str:
    """A new id; those of one report sort in the order of `number`."""
    return f"rph_{number}_{uuid.uuid4().hex}"


def new_pin() -> str:
    return "".join(secrets.choice("0123456789") for _ in range(PIN_DIGITS))


def case_number() -> str:
    """A new case number, such as LK-7Q4M-2XKD-9BTN: nobody guesses one that was given (58 bits)."""
    groups = ("".join(secrets.choice(CLEAR_LETTERS) for _ in range(4)) for _ in range(3))
    return "-".join(("LK", *groups))


def canonical_number(typed: str) -> str:
    """A case number as it is kept, of how people type it."""
    letters = "".join(letter for letter in typed.upper() if letter.isalnum()).removeprefix("LK")
    return "-".join(("LK", *(letters[start : start + 4] for start in range(0, len(letters), 4))))
