"""A reporter comes back: case number and PIN, how the report stands, messages, extending, correcting, withdrawing."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from records.database import open_database
from records.reports.consent import months_later
from records.reports.notices import ReportNotices
from records.reports.schema_reports import ReportKeyRow, ReportRow
from tests.integration.test_web_api import Program
from tests.support.console_site import MASTER, PASSWORD, Visitor, make_desk, place_of, running_site, text_of
from tests.support.reports import face_photo, send_report

STATUS = "/report/status"
COOKIE = "__Host-likeness-report"


@pytest.fixture
def desk(tmp_path, clock):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    yield make_desk(database, clock)
    database.close()


@pytest.fixture
def taken(desk):
    """The report that most of this is about, as its reporter was told of it."""
    return send_report(desk.report_intake)


@pytest.fixture
def visitor(site):
    return Visitor(site)


@pytest.fixture
def reporter(visitor, taken):
    """The reporter's browser, with the report open."""
    assert place_of(enter(visitor, taken)) == STATUS
    return visitor


def enter(visitor, taken, pin=None):
    return visitor.post(STATUS, {"number": taken.number, "pin": pin or taken.pin}, form_of=STATUS)


def wrong_pin(taken):
    return f"{(int(taken.pin) + 1) % 100_000_000:08}"


def said(visitor, path=STATUS):
    answer = visitor.get(path)
    assert answer.status == 200, (answer.status, text_of(answer)[:300])
    return text_of(answer)


def set_row(desk, taken, **values):
    """As others' work leaves the report."""
    with desk.report_access._database.write() as session:
        session.execute(update(ReportRow).where(ReportRow.id == taken.report_id).values(values))


def protect(desk, clock, taken, months=12):
    """The id of the identity that approval made."""
    identity_id = desk.gallery.add_identity(taken.number, "victim", ["nora.real"], references=[face_photo(1)])
    now = clock()
    ends_at = months_later(now, months)
    set_row(desk, taken, state="protecting", identity_id=identity_id, decided_at=now, ends_at=ends_at)
    return identity_id


class TestTheDoor:
    def test_case_number_and_pin_open_the_report_for_this_browser_alone(self, site, reporter, taken):
        assert taken.number in said(reporter)
        assert taken.number not in said(Visitor(site))

    def test_the_cookie_is_for_this_site_only_and_no_script_reads_it(self, visitor, taken):
        answer = enter(visitor, taken)
        cookie = next(one for one in answer.headers.getlist("Set-Cookie") if one.startswith(COOKIE + "="))
        assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} == set(cookie.split("; ")[1:])
        assert visitor.get(STATUS).headers["Cache-Control"] == "no-store"

    def test_a_wrong_pin_a_number_that_there_is_not_and_a_lock_are_answered_alike(self, desk, clock, visitor, taken):
        answers = [
            visitor.post(STATUS, {"number": "LK-2222-2222-2222", "pin": taken.pin}, form_of=STATUS),
            visitor.post(STATUS, {"number": "x", "pin": ""}, form_of=STATUS),
        ]
        for _ in range(5):
            clock.pass_by(seconds=6)
            answers.append(enter(visitor, taken, wrong_pin(taken)))
        clock.pass_by(seconds=6)
        answers.append(enter(visitor, taken))
        assert {answer.status for answer in answers} == {403}
        assert len({re.search(r'role="alert">([^<]+)<', answer.data.decode()).group(1) for answer in answers}) == 1
        noted = [one for one in desk.audit.read() if one.action == "report_login_failed"]
        assert [one.details["reason"] for one in noted] == ["login_locked", *["wrong_pin"] * 7]
        assert taken.pin not in str(noted) and wrong_pin(taken) not in str(noted)
        clock.pass_by(minutes=16)
        assert place_of(enter(visitor, taken)) == STATUS

    def test_guessing_from_one_network_is_slowed_down_whatever_is_guessed(self, visitor, site, taken):
        for number in range(10):
            visitor.post(STATUS, {"number": f"LK-2222-2222-{number:04}", "pin": "1"}, form_of=STATUS)
        answer = enter(visitor, taken)
        assert (answer.status, answer.headers["Retry-After"]) == (429, "6")
        assert place_of(enter(Visitor(site, address="127.0.0.9"), taken)) == STATUS

    def test_a_form_from_elsewhere_opens_nothing(self, visitor, taken):
        assert visitor.post(STATUS, {"number": taken.number, "pin": taken.pin}).status == 403
        assert COOKIE not in visitor.cookies

    def test_a_report_closes_by_itself_and_says_so(self, reporter, clock):
        clock.pass_by(minutes=31)
        assert "Case number" in said(reporter)
        for page in ("extend", "correct", "withdraw", "receipt.json", "data.json"):
            assert place_of(reporter.get(f"{STATUS}/{page}")) == f"{STATUS}?why=ended"
        assert place_of(reporter.post(f"{STATUS}/withdraw", {"sure": "true"}, form_of=STATUS)) == f"{STATUS}?why=ended"
        assert "not used for a while" in said(reporter, f"{STATUS}?why=ended")

    def test_closing_it_closes_it_on_the_server_too(self, reporter):
        kept = dict(reporter.cookies)
        assert place_of(reporter.post(f"{STATUS}/leave", form_of=STATUS)) == f"{STATUS}?why=left"
        assert COOKIE not in reporter.cookies
        reporter.cookies = kept
        assert "PIN" in said(reporter)

    def test_another_report_takes_the_place_of_the_one_before(self, desk, reporter, taken):
        other = send_report(desk.report_intake)
        old = reporter.cookies[COOKIE]
        enter(reporter, other)
        assert other.number in said(reporter)
        assert desk.report_access.find(old) is None

    def test_a_moderators_login_opens_no_report(self, desk, site, taken):
        desk.moderators.add("mo", "Mo", "lead", PASSWORD)
        mo = Visitor(site)
        mo.log_in("mo")
        assert taken.number not in said(mo)


class TestHowItStands:
    def test_each_state_says_what_is_and_what_comes_next(self, desk, clock, reporter, taken):
        assert "We have your report" in said(reporter) and "nothing is compared" in said(reporter)
        set_row(desk, taken, state="checking")
        assert "makes sure that the face in it is yours" in said(reporter)
        protect(desk, clock, taken)
        page = said(reporter)
        assert "Since November 22, 2026 we look for your face" in page
        assert "Your consent lasts until November 22, 2027" in page and "No action has been taken so far" in page
        set_row(desk, taken, state="refused", identity_id=None, reason="no_proof")
        page = said(reporter)
        assert "The photo with the code did not show enough." in page and "within 30 days of our answer" in page
        assert "What happens next" in page and "extend" not in reporter.get(STATUS).data.decode()

    @pytest.mark.parametrize(
        "reason", ["not_their_face", "no_proof", "already_protected", "not_impersonation", "abusive"]
    )
    def test_a_refusal_is_in_words_and_never_says_whether_a_face_matched(self, desk, reporter, taken, reason):
        set_row(desk, taken, state="refused", decided_at=desk.clock(), reason=reason)
        page = said(reporter)
        assert reason not in page
        assert not re.search(r"similar|match|\d\.\d\d|look-alike|idn_", page)

    def test_who_is_refused_learns_from_no_answer_whether_the_gallery_has_the_face(self, desk, clock, site):
        mo = desk.moderators.add("mo", "Mo", "moderator", PASSWORD)
        text, token = desk.tokens.add("form", ["reports:write"], by="system")
        facts = {"source": token.actor, "source_key": None}
        sent = {reason: send_report(desk.report_intake, **facts) for reason in ("already_protected", "other")}
        clock.pass_by(hours=1)
        for reason, taken in sent.items():
            desk.report_review.refuse(taken.report_id, mo.id, reason)
        notices = ReportNotices(desk.audit.database, MASTER, remind=timedelta(days=14), clock=clock).due()

        def told(taken):
            visitor = Visitor(site)
            enter(visitor, taken)
            api = Program(site, text).get(f"/reports/{taken.report_id}").json()
            answers = said(visitor), visitor.get(f"{STATUS}/data.json").data.decode(), json.dumps(api)
            mails = [replace(one, report_id="") for one in notices if one.report_id == taken.report_id]
            return [one.replace(taken.number, "").replace(taken.report_id, "") for one in answers], mails

        answers, mails = told(sent["already_protected"])
        assert (answers, mails) == told(sent["other"])
        assert "cannot do what you ask for" in answers[0] and '"refused"' in answers[2]
        assert [one.kind for one in mails] == ["news"]

    def test_action_is_counted_and_nobody_is_named(self, desk, clock, reporter, taken):
        identity_id = protect(desk, clock, taken)
        for number in range(2):
            desk.taught.record(identity_id, f"thief.{number}", "confirmed", "mo", f"review-{number}")
        page = said(reporter)
        assert "Action was taken 2 times." in page
        assert "thief.0" not in page and "thief.1" not in page

    def test_consent_that_is_over_protects_nobody_any_more_even_before_it_is_erased(self, desk, clock, reporter, taken):
        protect(desk, clock, taken, months=6)
        clock.now = months_later(clock(), 6)
        enter(reporter, taken)
        page = said(reporter)
        assert "Your consent has ended" in page and "we may still look for you" in page
        assert "Take it all back" in page and "Go on being protected" not in page
        assert "Erase everything now" in said(reporter, f"{STATUS}/withdraw")
        desk.erasure.expire(clock())
        page = said(reporter)
        assert "Your consent ended on May 22, 2027" in page and "Download the receipt" in page

    def test_of_a_minor_no_face_is_spoken_of(self, desk, visitor):
        taken = send_report(desk.report_intake, kind="words", lane="specialist", photos=(), challenge=None)
        enter(visitor, taken)
        page = said(visitor)
        assert "young people" in page and "your face" not in page.replace("Accounts that show your face", "")
        set_row(desk, taken, state="closed", decided_at=desk.clock())
        assert "has been dealt with" in said(visitor)

    def test_it_is_told_in_chinese(self, site, taken):
        visitor = Visitor(site, **{"Accept-Language": "zh-CN"})
        enter(visitor, taken)
        assert "我们已收到您的举报" in said(visitor)


class TestMessages:
    def test_they_go_both_ways_and_name_nobody(self, desk, reporter, taken):
        mo = desk.moderators.add("mo", "Mo Berg", "moderator", PASSWORD)
        sent = reporter.post(f"{STATUS}/message", {"text": "Is it <decided>?"}, form_of=STATUS)
        assert place_of(sent) == f"{STATUS}?done=message"
        desk.report_messages.write(taken.report_id, "Not yet.", mo.id)
        page = said(reporter)
        assert "Is it <decided>?" in page and "Not yet." in page
        assert "Review team" in page and "Mo Berg" not in page
        assert re.search(r"Review team .{0,40} New ", page)
        assert not re.search(r"Review team .{0,40} New ", said(reporter)), "it was seen"

    def test_what_cannot_be_sent_stays_in_the_field(self, desk, reporter):
        answer = reporter.post(f"{STATUS}/message", {"text": "long" * 1001}, form_of=STATUS)
        assert answer.status == 422 and "longlong" in answer.data.decode()
        assert "Shorten it" in text_of(answer)
        assert reporter.post(f"{STATUS}/message", {"text": " "}, form_of=STATUS).status == 422

    def test_without_the_report_open_nothing_is_written(self, desk, visitor, taken):
        sent = visitor.post(f"{STATUS}/message", {"text": "It is me."}, form_of=STATUS)
        assert place_of(sent) == f"{STATUS}?why=ended"
        assert desk.report_messages.read(taken.report_id) == []


class TestExtending:
    def test_it_is_offered_when_the_end_is_near_and_holds_once_it_is_agreed_to(self, desk, clock, reporter, taken):
        protect(desk, clock, taken, months=6)
        assert "ends soon" not in said(reporter)
        clock.pass_by(days=170)
        enter(reporter, taken)
        assert "Your consent ends soon, on May 22, 2027." in said(reporter)
        page = said(reporter, f"{STATUS}/extend")
        assert "biometric data" in page and "until November 11, 2027" in page
        assert "checked" not in reporter.get(f"{STATUS}/extend").data.decode(), "nothing is ticked before"
        for fields in ({"months": "12"}, {"agree": "true"}, {"months": "7", "agree": "true"}):
            refused = place_of(reporter.post(f"{STATUS}/extend", fields, form_of=f"{STATUS}/extend"))
            assert refused == f"{STATUS}/extend?wrong=true"
        sent = reporter.post(f"{STATUS}/extend", {"months": "12", "agree": "true"}, form_of=f"{STATUS}/extend")
        assert place_of(sent) == f"{STATUS}?done=extended"
        report = desk.report_reading.get(taken.report_id)
        assert (report.ends_at, report.months) == (months_later(clock(), 12), 12)
        assert report.consent_text.endswith(".en")

    def test_who_has_agreed_for_longest_is_offered_nothing(self, desk, clock, reporter, taken):
        protect(desk, clock, taken, months=24)
        assert "as long as anybody can agree at once" in said(reporter, f"{STATUS}/extend")

    def test_before_approval_there_is_nothing_to_extend(self, reporter):
        assert place_of(reporter.get(f"{STATUS}/extend")) == STATUS
        sent = reporter.post(f"{STATUS}/extend", {"months": "12", "agree": "true"}, form_of=STATUS)
        assert sent.status == 409


class TestCorrecting:
    def test_what_was_told_is_shown_and_changed(self, desk, reporter, taken):
        page = reporter.get(f"{STATUS}/correct").data.decode()
        assert "nora@example.com" in page and "nora.real" in page and "@thief" in page
        fields = {"contact": "", "accounts": "nora.real\r\nnora.too\r\n", "links": ""}
        sent = reporter.post(f"{STATUS}/correct", fields, form_of=f"{STATUS}/correct")
        assert place_of(sent) == f"{STATUS}?done=corrected"
        details = desk.report_reading.details(taken.report_id)
        assert (details.contact, details.accounts, details.links) == ("", ("nora.real", "nora.too"), ())

    def test_what_is_wrong_is_said_and_nothing_typed_is_lost(self, desk, reporter, taken):
        fields = {"contact": "nora at home", "accounts": "typed.before", "links": ""}
        answer = reporter.post(f"{STATUS}/correct", fields, form_of=f"{STATUS}/correct")
        assert answer.status == 422
        assert "name@example.com" in text_of(answer) and "typed.before" in answer.data.decode()
        assert desk.report_reading.details(taken.report_id).contact == "nora@example.com"

    def test_what_is_over_is_not_corrected(self, desk, reporter, taken):
        set_row(desk, taken, state="refused", decided_at=desk.clock())
        assert place_of(reporter.get(f"{STATUS}/correct")) == STATUS


class TestWithdrawing:
    def test_it_is_asked_once_more_and_then_everything_is_gone_but_the_receipt(self, desk, clock, reporter, taken):
        identity_id = protect(desk, clock, taken)
        page = said(reporter, f"{STATUS}/withdraw")
        assert "Your photos" in page and "cannot be undone" in page
        unsure = place_of(reporter.post(f"{STATUS}/withdraw", form_of=f"{STATUS}/withdraw"))
        assert unsure == f"{STATUS}/withdraw?wrong=true"
        assert "tick that you are sure" in said(reporter, unsure)
        sent = reporter.post(f"{STATUS}/withdraw", {"sure": "true"}, form_of=f"{STATUS}/withdraw")
        page = said(reporter, place_of(sent))
        assert "Everything is erased" in page and "Write to the review team" not in page
        assert desk.gallery.find_identity(identity_id) is None
        receipt = reporter.get(f"{STATUS}/receipt.json")
        assert receipt.headers["Content-Disposition"] == f'attachment; filename="receipt-{taken.number}.json"'
        assert taken.number in json.dumps(json.loads(receipt.data))
        for again in (f"{STATUS}/withdraw", f"{STATUS}/data.json", f"{STATUS}/correct"):
            assert place_of(reporter.get(again)) == STATUS
        assert place_of(reporter.post(f"{STATUS}/message", {"text": "Hello?"}, form_of=STATUS)) == STATUS

    def test_number_and_pin_still_open_the_receipt(self, desk, site, taken, reporter):
        reporter.post(f"{STATUS}/withdraw", {"sure": "true"}, form_of=f"{STATUS}/withdraw")
        later = Visitor(site)
        enter(later, taken)
        assert "Download the receipt" in said(later)

    def test_who_wants_to_be_written_to_gets_a_last_word(self, desk):
        words = []
        taken, silent = send_report(desk.report_intake), send_report(desk.report_intake, consent_contact=False)
        with running_site(replace(desk, last_word=words.append)) as address:
            for one in (taken, silent):
                visitor = Visitor(address)
                enter(visitor, one)
                visitor.post(f"{STATUS}/withdraw", {"sure": "true"}, form_of=f"{STATUS}/withdraw")
        assert [(one.kind, one.address) for one in words] == [("erased", "nora@example.com")]

    @pytest.mark.parametrize("harmed", [ReportKeyRow.wrapped, ReportRow.details])
    def test_who_cannot_be_written_to_any_more_is_erased_all_the_same(self, desk, harmed):
        words, taken = [], send_report(desk.report_intake)
        with running_site(replace(desk, last_word=words.append)) as address:
            visitor = Visitor(address)
            enter(visitor, taken)
            with desk.report_access._database.write() as session:
                session.execute(update(harmed.class_).values({harmed: bytes(64)}))
            assert "Take it all back" in said(visitor)
            sent = visitor.post(f"{STATUS}/withdraw", {"sure": "true"}, form_of=f"{STATUS}/withdraw")
            assert place_of(sent) == f"{STATUS}?done=withdrawn"
            assert "Everything is erased" in said(visitor)
        assert words == []


def test_the_copy_of_ones_data_is_a_file_and_noted(desk, reporter, taken):
    answer = reporter.get(f"{STATUS}/data.json")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert json.loads(answer.data)["contact"] == "nora@example.com"
    assert [one.actor for one in desk.audit.read(subject=taken.report_id) if one.action == "export"] == ["reporter"]
