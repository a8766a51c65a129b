"""A moderator decides on a report: it becomes an identity of the gallery, it is refused, a minor's goes to the
specialists and is closed.

Nothing of a report is in the gallery before `approve`, which moves the photos from the report's data key to that of the
new identity in one transaction with the report's state.
"""

import os
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from records import enrolment
from records.announcer import Announcer, utc_now
from records.audit import AuditLog
from records.database import Database
from records.errors import ReportErased, ReportRefused
from records.keys.keyring import DataKey, MasterKey
from records.references import PictureHash, ReferencePhoto
from records.reports.consent import months_later
from records.reports.contents import Details, open_details, open_hash, open_photo
from records.reports.look_backs import LookBacks
from records.reports.reading import OPEN, Report, key_of, report_of, unknown_report
from records.reports.schema_reports import ReportPhotoRow, ReportRow

VICTIMS_REACH = 1
"""Known to few: nobody may tell a victim's name, so nobody claims it."""
MINOR_SIGNS = ("says_under_18", "looks_under_18")
"""Why somebody who reports as an adult is taken for a minor."""
VOUCHED = ("trusted_flagger", "platform")
"""The lanes of which the sender may have made sure who the person is."""


class ReportReview:
    """Every method is one transaction and may raise DatabaseAway, SchemaMismatch, UnknownReport and ReportRefused:
    report_decided where somebody has decided before. `reasons`: those to refuse a report with; `clock` gives the
    moment, aware; `new_id` a fresh text."""

    def __init__(
        self,
        database: Database,
        master_key: MasterKey,
        audit: AuditLog,
        look_backs: LookBacks,
        *,
        reasons: Sequence[str],
        clock: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = lambda: os.urandom(16).hex(),
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._audit = audit
        self._reasons = reasons
        self._look_backs = look_backs
        self._clock = clock
        self._new_id = new_id
        self._announcer = Announcer(database, master_key, clock)

    def begin(self, report_id: str, by: str) -> Report:
        """From now on the reporter reads that somebody checks the report; `by`: who does."""
        with self._database.write() as session:
            row = _open_row(session, report_id)
            row.state = "checking"
            session.flush()
            self._audit.append_in(session, by, "report_viewed", report_id, {"what": "report"})
            return report_of(row)

    def approve(self, report_id: str, by: str, *, leave_out: Collection[str] = ()) -> str:
        """The id of the new identity, which matches from now on until consent ends. leave_out: ids of photos that do
        not become references.

        Raises ReportRefused: no_proof without a challenge photo, unless the sender of a lane of its own says how they
        made sure; nothing_to_protect of a minor, or where no photo is left. MasterKeyError, ReportErased.
        """
        identity_id = f"idn_{self._new_id()}"
        now = self._clock()
        with self._database.write() as session:
            row = _open_row(session, report_id)
            self._announcer.prove_master_key(session)
            key = key_of(session, report_id, self._master_key)
            if row.details is None:
                raise ReportErased(f"What {report_id} held of a person has been erased.")
            details = open_details(key, row.details)
            photos = _photo_rows(session, report_id)
            _check_proof(row, details, photos)
            sent = [photo for photo in photos if photo.role == "face"]
            faces = [photo for photo in sent if photo.id not in leave_out]
            if row.kind == "words" or not faces:
                raise ReportRefused("nothing_to_protect", f"{report_id} has no photo that could be compared.")
            data_key = DataKey.new(identity_id)
            accounts = [account for one in details.accounts if (account := one.strip())]
            enrolment.insert_identity(
                session, data_key, self._master_key, row.number, "victim", "active", VICTIMS_REACH, accounts, now
            )
            references = self._make_references(session, data_key, key, faces, now)
            self._announcer.announce(session, identity_id, data_key)
            _erase_photos(session, report_id)
            row.state, row.identity_id, row.decided_at, row.decided_by = "protecting", identity_id, now, by
            row.ends_at = months_later(now, row.months)
            session.flush()
            self._audit.append_in(session, by, "identity_added", identity_id, {"references": references})
            told = {"decision": "approved", "identity": identity_id, "left_out": len(sent) - len(faces)}
            self._audit.append_in(session, by, "report_decided", report_id, told)
            self._look_backs.ask_in(session, identity_id, by)
        self._database.empty_log()
        return identity_id

    def refuse(self, report_id: str, by: str, reason: str) -> None:
        """Erases photos, challenge and all that was made of them at once; contact and messages stay, so that the
        reporter can be answered. Raises ReportRefused: refusal_reason_missing for one that is not on the list."""
        if reason not in self._reasons:
            raise ReportRefused("refusal_reason_missing", f"{reason!r} is no reason to refuse a report.")
        self._end(report_id, by, "refused", reason)

    def to_specialists(self, report_id: str, by: str, sign: str) -> None:
        """From now on it is a minor's report in words, which specialists read. Erases photos, hashes, challenge and all
        that was made of them at once. sign: one of MINOR_SIGNS. Raises ReportRefused: with_specialists where it is
        already, refusal_reason_missing for any other sign."""
        if sign not in MINOR_SIGNS:
            raise ReportRefused("refusal_reason_missing", f"{sign!r} is no sign of a minor.")
        with self._database.write() as session:
            row = _open_row(session, report_id)
            if row.kind == "words":
                raise ReportRefused("with_specialists", f"{report_id} is with the specialists already.")
            row.kind, row.lane, row.state = "words", "specialist", "received"
            _erase_photos(session, report_id)
            session.flush()
            told = {"decision": "to_specialists", "reason": sign}
            self._audit.append_in(session, by, "report_decided", report_id, told)
        self._database.empty_log()

    def close(self, report_id: str, by: str) -> None:
        """Of a minor's report, which has words only: it is handled. Raises ReportRefused: nothing_to_close for any
        other."""
        self._end(report_id, by, "closed", None)

    def _end(self, report_id: str, by: str, state: str, reason: str | None) -> None:
        now = self._clock()
        with self._database.write() as session:
            row = _open_row(session, report_id)
            if state == "closed" and row.kind != "words":
                raise ReportRefused("nothing_to_close", f"{report_id} is approved or refused, not closed.")
            row.state, row.reason, row.decided_at, row.decided_by = state, reason, now, by
            _erase_photos(session, report_id)
            session.flush()
            told = {"decision": state} | ({"reason": reason} if reason else {})
            self._audit.append_in(session, by, "report_decided", report_id, told)
        self._database.empty_log()

    def _make_references(
        self, session: Session, data_key: DataKey, key: DataKey, rows: Sequence[ReportPhotoRow], now: datetime
    ) -> list[str]:
        """The ids of the references that the photos, or the hashes of photos, become; the same file counts once."""
        photos: dict[str, ReferencePhoto] = {}
        hashes: dict[bytes, PictureHash] = {}
        for row in rows:
            if row.photo is None:
                found = open_hash(key, row.id, row.facts)
                hashes[found.pdq] = found
            else:
                photo = open_photo(key, row.id, row.photo, row.facts)
                photos[photo.photo_sha256] = photo
        made = enrolment.insert_references(session, data_key, list(photos.values()), self._new_id, now)
        if hashes:
            made += enrolment.insert_hash_references(session, data_key, list(hashes.values()), self._new_id, now)
        return made


def _open_row(session: Session, report_id: str) -> ReportRow:
    """The row, ours until the transaction ends. Raises UnknownReport, ReportRefused: not_open."""
    row = session.get(ReportRow, report_id, with_for_update=True)
    if row is None:
        raise unknown_report(report_id)
    if row.state not in OPEN:
        raise ReportRefused("report_decided", f"{report_id} is decided: {row.state}.")
    return row


def _photo_rows(session: Session, report_id: str) -> Sequence[ReportPhotoRow]:
    rows = select(ReportPhotoRow).where(ReportPhotoRow.report_id == report_id).order_by(ReportPhotoRow.id)
    return list(session.scalars(rows))


def _check_proof(row: ReportRow, details: Details, photos: Sequence[ReportPhotoRow]) -> None:
    vouched = row.lane in VOUCHED and bool(details.checked)
    if row.kind == "photos" and not vouched and not any(photo.role == "challenge" for photo in photos):
        raise ReportRefused("no_proof", f"Nothing shows that the face in {row.id} is the reporter's own.")


def _erase_photos(session: Session, report_id: str) -> None:
    session.execute(delete(ReportPhotoRow).where(ReportPhotoRow.report_id == report_id))
