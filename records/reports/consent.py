"""What a reporter changes of a report that stands: how long they agree, and what they told us beside the photos."""

import calendar
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.audit import AuditLog
from records.database import Database
from records.errors import ReportErased, ReportRefused, UnknownIdentity
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.reports.contents import Details, open_details, seal_details
from records.reports.messages import REPORTER
from records.reports.reading import key_of, unknown_report
from records.reports.schema_reports import ReportRow

MOST_LINES = 20
LINE_LENGTH = 500
CONTACT = re.compile(r"[^@\s]{1,64}@([^@\s.]+\.)+[^@\s.]{2,63}")
CONTACT_LENGTH = 254


class ReportConsents:
    """Every method may raise DatabaseAway, SchemaMismatch, UnknownReport. `clock` gives the moment, aware."""

    def __init__(
        self,
        database: Database,
        master_key: MasterKey,
        gallery: GalleryRecords,
        audit: AuditLog,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._gallery = gallery
        self._audit = audit
        self._clock = clock

    def extend(self, report_id: str, months: int, consent_text: str) -> datetime:
        """Until when consent lasts now: so many months from this moment. consent_text: the version of the text agreed
        to. Raises ReportRefused: not_protecting, or not_longer than it lasts already."""
        now = self._clock()
        ends_at = months_later(now, months)
        with self._database.write() as session:
            row = _held(session, report_id)
            if row.state != "protecting" or row.ends_at is None or row.ends_at <= now:
                raise ReportRefused("not_protecting", "Nothing is compared for this report, so nothing is extended.")
            if ends_at <= row.ends_at:
                raise ReportRefused("not_longer", "The consent lasts longer than that already.")
            row.ends_at, row.reminded_at = ends_at, None
            row.months, row.consent_text, row.consented_at = months, consent_text, now
            session.flush()
            details = {"months": months, "consent_text": consent_text, "ends_at": ends_at.isoformat()}
            self._audit.append_in(session, REPORTER, "report_changed", report_id, details)
        return ends_at

    def correct(self, report_id: str, contact: str, links: Sequence[str], accounts: Sequence[str]) -> None:
        """Puts these in place of those before. No contact takes the consent to be written to back, one gives it. Own
        accounts of somebody who is protected hold in the gallery at once.

        Raises ReportErased, ReportRefused (unfit_contact, too_many_lines), MasterKeyError.
        """
        contact, linked, own = contact.strip(), _lines(links), _lines(accounts)
        if contact and not is_address(contact):
            raise ReportRefused("unfit_contact", "This is no e-mail address.")
        while not self._corrected(report_id, contact, linked, own):
            pass

    def _corrected(self, report_id: str, contact: str, linked: tuple[str, ...], own: tuple[str, ...]) -> bool:
        """False, and nothing done to the report, if somebody approved it meanwhile: the gallery must hear of it."""
        with self._database.read() as session:
            row = session.get(ReportRow, report_id)
            if row is None:
                raise unknown_report(report_id)
            before, identity_id = self._details(session, row), row.identity_id
        if identity_id is not None:
            # First, and each once: who is cut short here sends the same again. Not noted by name: the audit log would
            # tell after an erasure which account was the person's.
            try:
                for account in set(own) - set(before.accounts):
                    self._gallery.add_own_account(identity_id, account)
                for account in set(before.accounts) - set(own):
                    self._gallery.remove_own_account(identity_id, account)
            except UnknownIdentity:
                raise _erased(report_id) from None
        with self._database.write() as session:
            row = _held(session, report_id)
            before = self._details(session, row)
            if row.identity_id != identity_id:
                return False
            corrected = replace(before, contact=contact, links=linked, accounts=own)
            key = key_of(session, report_id, self._master_key)
            row.details, row.consent_contact = seal_details(key, corrected), bool(contact)
            session.flush()
            changed = [what for what in ("contact", "links", "accounts") if _differ(before, corrected, what)]
            if changed:
                self._audit.append_in(session, REPORTER, "report_changed", report_id, {"what": changed})
        return True

    def _details(self, session: Session, row: ReportRow) -> Details:
        if row.details is None:
            raise _erased(row.id)
        return open_details(key_of(session, row.id, self._master_key), row.details)


def months_later(moment: datetime, months: int) -> datetime:
    """The same day and time of the month so many months later, or that month's last day."""
    years, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + years, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


def is_address(text: str) -> bool:
    """Whether mail can be sent there, as far as a look tells."""
    return len(text) <= CONTACT_LENGTH and text.isprintable() and CONTACT.fullmatch(text) is not None


def _lines(typed: Sequence[str]) -> tuple[str, ...]:
    """Each once, without blanks at its ends. Raises ReportRefused: too_many_lines."""
    lines = tuple(dict.fromkeys(line for one in typed if (line := one.strip())))
    if len(lines) > MOST_LINES or any(len(line) > LINE_LENGTH for line in lines):
        raise ReportRefused("too_many_lines", f"At most {MOST_LINES} lines of {LINE_LENGTH} characters each.")
    return lines


def _differ(one: Details, other: Details, name: str) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


def _erased(report_id: str) -> ReportErased:
    return ReportErased(f"What {report_id} held of a person has been erased.")


def _held(session: Session, report_id: str) -> ReportRow:
    """The row, ours until the transaction ends."""
    row = session.get(ReportRow, report_id, with_for_update=True)
    if row is None:
        raise unknown_report(report_id)
    return row
