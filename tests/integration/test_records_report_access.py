"""Case number and PIN, messages, consent and notices of a report, on SQLite and PostgreSQL."""

import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from records.audit import AuditLog
from records.decisions import BurstRule, DecisionRecords
from records.errors import LoginLocked, ReportErased, ReportRefused, WrongPin
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.people import passwords
from records.people.schema_people import ModeratorRow
from records.reports.access import ReportAccess
from records.reports.consent import ReportConsents, is_address, months_later
from records.reports.intake import ReportIntake
from records.reports.messages import MOST_UNREAD, TEXT_LENGTH, ReportMessages
from records.reports.notices import ReportNotices
from records.reports.own_copy import OwnCopies
from records.reports.reading import ReportReading
from records.reports.schema_reports import ReportMessageRow, ReportRow
from records.schema import OutboxEntry, OwnAccountRow
from tests.support.clock import START, Clock
from tests.support.reports import PLAIN, face_photo, send_report

MASTER = MasterKey.of(bytes(32))
REMIND = timedelta(days=14)


class Office:
    """The records of reports over one database, and one report in it."""

    def __init__(self, database):
        self.database, self.clock = database, Clock()
        self.audit = AuditLog(database, clock=self.clock)
        self.intake = ReportIntake(database, MASTER, self.audit, clock=self.clock)
        self.reading = ReportReading(database, MASTER)
        self.gallery = GalleryRecords(database, MASTER, clock=self.clock)
        self.access = ReportAccess(database, self.audit, idle=timedelta(minutes=30), clock=self.clock)
        self.messages = ReportMessages(database, MASTER, self.audit, clock=self.clock)
        self.consents = ReportConsents(database, MASTER, self.gallery, self.audit, clock=self.clock)
        self.copies = OwnCopies(database, MASTER, self.gallery, self.messages, self.audit)
        self.notices = ReportNotices(database, MASTER, remind=REMIND, clock=self.clock)
        self.taken = send_report(self.intake)
        self.id = self.taken.report_id
        row = {"id": "mo", "login": "mo", "name": "Mo", "role": "moderator", "settings": "{}", "failures": 0}
        with database.write() as session:
            session.add(ModeratorRow(**row, created_at=START))

    def set(self, **values):
        """As others' work leaves the report."""
        with self.database.write() as session:
            session.execute(update(ReportRow).where(ReportRow.id == self.id).values(values))

    def protect(self, months=12):
        """The id of the identity that approval made."""
        identity_id = self.gallery.add_identity(self.taken.number, "victim", ["nora.real"], references=[face_photo(1)])
        now = self.clock()
        self.set(state="protecting", identity_id=identity_id, decided_at=now, ends_at=months_later(now, months))
        return identity_id

    def failures(self):
        return [one for one in self.audit.read() if one.action == "report_login_failed"]


@pytest.fixture
def office(database):
    return Office(database)


@pytest.fixture
def slow_hashes(monkeypatch):
    """PINs are hashed as outside of tests."""
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher())
    passwords._nobodys.cache_clear()
    passwords.matches(None, "")
    yield
    passwords._nobodys.cache_clear()


class TestAccess:
    @pytest.mark.parametrize("how", [str, str.lower, lambda text: text.replace("-", " "), lambda text: text[3:] + " "])
    def test_number_and_pin_open_the_report_however_they_are_typed(self, office, how):
        pin = office.taken.pin
        token = office.access.enter(how(office.taken.number), f" {pin[:4]} {pin[4:]}")
        assert office.access.find(token).number == office.taken.number

    def test_wide_digits_of_a_chinese_keyboard_are_digits(self, office):
        wide = "".join(chr(ord(digit) - ord("0") + ord("０")) for digit in office.taken.pin)
        assert office.access.enter(office.taken.number, wide)

    def test_a_wrong_pin_and_a_wrong_number_are_refused_alike_and_noted_without_what_was_typed(self, office):
        errors = []
        for number, pin in (
            (office.taken.number, "00000001"),
            ("LK-2222-2222-2222", office.taken.pin),
            ("\u0000\ud800", ""),
        ):
            with pytest.raises(WrongPin) as refused:
                office.access.enter(number, pin)
            errors.append(str(refused.value))
        assert len(set(errors)) == 1
        assert [(one.actor, one.subject, one.details) for one in office.failures()] == [
            ("anonymous", "unknown", {"reason": "wrong_pin"}),
            ("anonymous", "unknown", {"reason": "wrong_pin"}),
            ("anonymous", office.id, {"reason": "wrong_pin"}),
        ]

    def test_five_wrong_pins_lock_the_report_even_for_the_right_one_and_each_five_more_for_longer(self, office):
        for minutes in (15, 30):
            for _ in range(5):
                with pytest.raises(WrongPin):
                    office.access.enter(office.taken.number, "00000001")
            with pytest.raises(LoginLocked):
                office.access.enter(office.taken.number, office.taken.pin)
            office.clock.pass_by(minutes=minutes - 1)
            with pytest.raises(LoginLocked):
                office.access.enter(office.taken.number, office.taken.pin)
            office.clock.pass_by(minutes=1)
        assert office.access.enter(office.taken.number, office.taken.pin)

    def test_a_guess_takes_as_long_whether_there_is_such_a_report_and_whether_it_is_locked(self, office, slow_hashes):
        taken = send_report(office.intake)

        def seconds(number):
            begun = time.process_time()  # a busy machine does not show in it
            with pytest.raises((WrongPin, LoginLocked)):
                office.access.enter(number, "00000001")
            return time.process_time() - begun

        there = min(seconds(taken.number) for _ in range(5))
        assert seconds(taken.number) > there / 2, "it is locked by now"
        assert seconds("LK-2222-2222-2222") > there / 2

    def test_many_guesses_at_once_are_no_more_than_five(self, office):
        outcomes = []

        def guess():
            try:
                office.access.enter(office.taken.number, "00000001")
            except (WrongPin, LoginLocked) as refused:
                outcomes.append(type(refused))

        threads = [threading.Thread(target=guess) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (outcomes.count(WrongPin), outcomes.count(LoginLocked)) == (5, 4)

    def test_the_right_pin_forgets_the_wrong_ones_before_it(self, office):
        for _ in range(3):
            for _ in range(4):
                with pytest.raises(WrongPin):
                    office.access.enter(office.taken.number, "00000001")
            assert office.access.enter(office.taken.number, office.taken.pin)

    def test_a_session_ends_when_it_is_idle_and_not_before(self, office):
        token = office.access.enter(office.taken.number, office.taken.pin)
        for _ in range(3):
            office.clock.pass_by(minutes=29)
            assert office.access.find(token)
        office.clock.pass_by(minutes=30)
        assert office.access.find(token) is None
        assert office.access.sweep() == 1

    def test_who_leaves_is_out_and_others_stay_in(self, office):
        one, other = (office.access.enter(office.taken.number, office.taken.pin) for _ in range(2))
        office.access.leave(one)
        assert office.access.find(one) is None
        assert office.access.find(other)
        assert office.access.find("guessed") is None


class TestMessages:
    def test_both_sides_read_both_and_see_what_is_new_to_them_once(self, office):
        office.messages.write(office.id, "  Is it \r\n decided? ")
        office.messages.write(office.id, "Please send a sharper photo.", "mo")
        assert [(one.moderator_id, one.text) for one in office.messages.read(office.id)] == [
            (None, "Is it \n decided?"),
            ("mo", "Please send a sharper photo."),
        ]
        assert office.messages.unread([office.id, "rpt_other"]) == {office.id: 1}
        seen = office.messages.read(office.id, as_moderator=True)
        assert [one.read_at for one in seen] == [None, office.clock()], "new to the moderator; read by the reporter"
        assert office.messages.unread([office.id]) == {}
        assert [one.read_at is None for one in office.messages.read(office.id)] == [False, False]

    def test_they_rest_sealed_and_nobodys_words_become_anothers(self, office):
        office.messages.write(office.id, "I am frightened of him.")
        with office.database.write() as session:
            assert b"frightened" not in session.scalar(select(ReportMessageRow.text))
            session.execute(update(ReportMessageRow).values(moderator_id="mo"))
        with pytest.raises(Exception, match="does not open"):
            office.messages.read(office.id)

    def test_the_audit_log_has_who_wrote_and_not_what(self, office):
        office.messages.write(office.id, "secret words")
        office.messages.write(office.id, "answer", "mo")
        written = [one for one in office.audit.read() if one.action == "report_message"]
        assert [(one.actor, one.subject, one.details) for one in written] == [
            ("mo", office.id, {"characters": 6}),
            ("reporter", office.id, {"characters": 12}),
        ]

    @pytest.mark.parametrize(
        ("text", "reason"), [(" \n", "message_empty"), ("x" * (TEXT_LENGTH + 1), "message_too_long")]
    )
    def test_what_is_no_message_is_refused(self, office, text, reason):
        with pytest.raises(ReportRefused) as refused:
            office.messages.write(office.id, text)
        assert refused.value.reason == reason

    def test_a_reporter_whom_nobody_answers_cannot_write_without_end(self, office):
        for _ in range(MOST_UNREAD):
            office.messages.write(office.id, "Hello?")
        with pytest.raises(ReportRefused) as refused:
            office.messages.write(office.id, "Hello?")
        assert refused.value.reason == "too_many_messages"
        office.messages.write(office.id, "We are here.", "mo")
        office.messages.read(office.id, as_moderator=True)
        office.messages.write(office.id, "Thank you.")


class TestConsent:
    def test_a_month_later_is_the_same_day_or_the_last_of_a_shorter_month(self):
        moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
        later = [months_later(moment, months).date().isoformat() for months in (1, 3, 12, 25)]
        assert later == ["2026-02-28", "2026-04-30", "2027-01-31", "2028-02-29"]

    def test_who_extends_agrees_anew_from_today(self, office):
        office.protect(months=6)
        office.set(reminded_at=START)
        office.clock.pass_by(days=150)
        ends_at = office.consents.extend(office.id, 12, "2027-01.zh_Hans")
        report = office.reading.get(office.id)
        assert report.ends_at == ends_at == months_later(office.clock(), 12)
        assert (report.consent_text, report.consented_at, report.months) == ("2027-01.zh_Hans", office.clock(), 12)
        noted = office.audit.read(subject=office.id)[0]
        assert (noted.actor, noted.action, noted.details["consent_text"]) == (
            "reporter",
            "report_changed",
            "2027-01.zh_Hans",
        )
        office.clock.pass_by(days=360)
        assert [one.kind for one in office.notices.due()][-1] == "reminder", "of the new end, too"

    def test_nothing_is_extended_that_lasts_longer_or_protects_nobody(self, office):
        def refused():
            with pytest.raises(ReportRefused) as error:
                office.consents.extend(office.id, 6, "2026-11.en")
            return error.value.reason

        assert refused() == "not_protecting"
        office.protect(months=12)
        assert refused() == "not_longer"
        office.clock.pass_by(days=400)
        assert refused() == "not_protecting", "what has ended is over, though nobody has erased it yet"

    def test_corrections_of_who_is_protected_hold_in_the_gallery_at_once(self, office):
        identity_id = office.protect()
        office.gallery.add_own_account(identity_id, "learned.by.decision")
        before = outbox(office)
        office.consents.correct(office.id, "", ["@thief", "@other ", "@other"], ["nora.new", " "])
        details = office.reading.details(office.id)
        assert (details.contact, details.links, details.accounts) == ("", ("@thief", "@other"), ("nora.new",))
        assert details.words == "It is my holiday photo."
        assert not office.reading.get(office.id).consent_contact
        assert own_accounts(office) == {"nora.new", "learned.by.decision"}
        assert outbox(office) == before + 2
        changed = next(one for one in office.audit.read() if one.action == "report_changed")
        assert changed.details == {"what": ["contact", "links", "accounts"]}
        assert "nora" not in str([one.details for one in office.audit.read()]), "it would outlive an erasure"

    def test_corrections_before_approval_leave_the_gallery_alone(self, office):
        office.consents.correct(office.id, "new@example.org", [], ["nora.new"])
        assert office.reading.details(office.id).contact == "new@example.org"
        assert outbox(office) == 0

    @pytest.mark.parametrize(
        ("contact", "links", "reason"),
        [
            ("nora", [], "unfit_contact"),
            ("nora@example.com\nBcc: all@example.com", [], "unfit_contact"),
            ("", ["x"] * 10 + [str(number) for number in range(20)], "too_many_lines"),
            ("", ["x" * 501], "too_many_lines"),
        ],
    )
    def test_unfit_corrections_change_nothing(self, office, contact, links, reason):
        with pytest.raises(ReportRefused) as refused:
            office.consents.correct(office.id, contact, links, [])
        assert refused.value.reason == reason
        assert office.reading.details(office.id).contact == "nora@example.com"

    def test_addresses(self):
        assert all(map(is_address, ("a@b.de", "nora.o'neill+x@mail.example.co.uk", "用户@例子.公司")))
        assert not any(
            map(
                is_address,
                ("", "a", "a@b", "a@b..de", "a b@c.de", "a@b@c.de", "a@b.de\n", "@b.de", f"{'x' * 260}@b.de"),
            )
        )


class TestOwnCopy:
    def test_action_counts_each_review_whose_last_decision_is_an_impersonation(self, office):
        identity_id = office.protect()
        decided = DecisionRecords(
            office.database, MASTER, BurstRule(dismissed=1000, hours=24, share=1), clock=office.clock
        )
        rows = [
            ("a", "confirmed", "r1"),
            ("b", "confirmed", "r2"),
            ("c", "not_this_person", "r3"),
            ("d", "confirmed", "r4"),
        ]
        for account, decision, review in [*rows, ("d", "bad_picture", "r4")]:  # the last on appeal
            decided.record(identity_id, account, decision, "mo", review)
        other = office.gallery.add_identity("Other", "celebrity", references=[face_photo(9)])
        decided.record(other, "e", "confirmed", "mo", "r5")
        assert office.copies.actions(office.reading.get(office.id)) == 2

    def test_the_copy_has_all_that_is_held_and_is_noted(self, office):
        office.messages.write(office.id, "Please hurry.")
        copied = office.copies.of(office.reading.get(office.id))
        assert (copied["contact"], copied["own_accounts"]) == ("nora@example.com", ["nora.real"])
        assert [one["kind"] for one in copied["pictures"]] == ["photo", "photo", "challenge"]
        assert [one["text"] for one in copied["messages"]] == ["Please hurry."]
        office.protect()
        with office.database.write() as session:
            session.execute(ReportMessageRow.__table__.delete())
        copied = office.copies.of(office.reading.get(office.id))
        assert [one["kind"] for one in copied["pictures"]][-1] == "reference"
        assert json.dumps(copied)
        assert [one.actor for one in office.audit.read(subject=office.id) if one.action == "export"] == ["reporter"] * 2


class TestNotices:
    def kinds(self, office):
        return [(one.kind, office.notices.address(one), one.language) for one in office.notices.due()]

    def test_a_decision_and_messages_are_news_once(self, office):
        assert self.kinds(office) == [], "that it came they know"
        office.clock.pass_by(hours=1)
        office.messages.write(office.id, "Please send a sharper photo.", "mo")
        office.messages.write(office.id, "And your name.", "mo")
        assert self.kinds(office) == [("news", "nora@example.com", "en")], "one for both"
        office.notices.told(office.notices.due()[0])
        assert self.kinds(office) == []
        office.clock.pass_by(hours=1)
        office.set(state="refused", decided_at=office.clock())
        assert self.kinds(office) == [("news", "nora@example.com", "en")]

    def test_what_the_reporter_has_read_is_no_news(self, office):
        office.clock.pass_by(hours=1)
        office.messages.write(office.id, "Hello.", "mo")
        office.messages.read(office.id)
        assert self.kinds(office) == []

    def test_nobody_is_written_to_who_has_not_agreed_to_that(self, office):
        office.clock.pass_by(hours=1)
        office.messages.write(office.id, "Hello.", "mo")
        office.consents.correct(office.id, "", [], [])
        assert self.kinds(office) == []
        assert office.notices.farewell(office.id) is None

    def test_who_gave_no_address_has_agreed_to_no_mail(self, office):
        silent = send_report(office.intake, details=replace(PLAIN.details, contact=""))
        assert not office.reading.get(silent.report_id).consent_contact

    def test_who_is_protected_is_reminded_once_before_the_end(self, office):
        office.protect(months=6)
        for notice in office.notices.due():
            office.notices.told(notice)
        office.clock.now = months_later(START, 6) - REMIND - timedelta(seconds=1)
        assert self.kinds(office) == []
        office.clock.pass_by(seconds=1)
        assert self.kinds(office) == [("reminder", "nora@example.com", "en")]
        office.notices.told(office.notices.due()[0])
        assert self.kinds(office) == []

    def test_the_last_word_goes_to_the_address_that_is_about_to_be_erased(self, office):
        notice = office.notices.farewell(office.id)
        assert (notice.kind, notice.address) == ("erased", "nora@example.com")
        with office.database.write() as session:
            session.execute(update(ReportRow).values(details=None))
        assert office.notices.farewell(office.id) is None
        with pytest.raises(ReportErased):
            office.consents.correct(office.id, "", [], [])


def outbox(office):
    with office.database.read() as session:
        return len(session.scalars(select(OutboxEntry)).all())


def own_accounts(office):
    with office.database.read() as session:
        return set(session.scalars(select(OwnAccountRow.account_id)))
