"""Reporters who want it are written to, through a real mail server; nobody else is, and no mail says what about."""

import email
import logging
import re
import socket
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from email import policy

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from sqlalchemy import insert, update

from config import SettingsError, load_settings
from consumers.console_metrics import ConsoleMetrics
from consumers.console_service import ConsoleService
from consumers.mail import mailing as mailing_module
from consumers.mail.mailing import Mailing
from consumers.mail.server import MailAway
from consumers.mail.texts import LANGUAGES
from records.announcer import utc_now
from records.audit import AuditLog
from records.database import open_database
from records.keys.keyring import DataKey, MasterKey
from records.people.schema_people import ModeratorRow
from records.reports.contents import seal_details
from records.reports.intake import ReportIntake
from records.reports.messages import ReportMessages
from records.reports.notices import ReportNotices
from records.reports.schema_reports import ReportKeyRow, ReportRow
from tests.support.certificates import self_signed
from tests.support.clock import Clock
from tests.support.console import MASTER_KEY
from tests.support.console_process import ConsoleProcess, console_settings
from tests.support.console_site import PASSWORD
from tests.support.reports import PLAIN, face_photo, send_report
from tests.support.running_service import eventually
from web.desk import open_desk

MASTER = MasterKey.of(bytes(32))
LOST = MasterKey.of(bytes([1] * 32))
SENDER = "Example Trust <no-reply@example.com>"
PAGE = "https://report.example.com/report/status"


class Nowhere:
    """A broker that is not there."""

    name, bootstrap_servers = "nowhere", "127.0.0.1:9"


class Post:
    """A mail server's say: whom it refuses, and what it took. answers: by address."""

    def __init__(self):
        self.answers, self.taken, self.encrypted, self.logins = {}, [], [], []

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802  # the library's name
        if answer := self.answers.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.taken.append(email.message_from_bytes(envelope.content, policy=policy.default))
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    def authenticate(self, server, session, envelope, mechanism, given):
        self.logins.append(given.password)
        return AuthResult(success=given.password == b"s3cret", handled=False)


@pytest.fixture
def post():
    return Post()


@pytest.fixture
def controller(post):
    """Starts the server, by default without TLS; gives its port."""
    running = []

    def start(**how):
        running.append(Controller(post, hostname="127.0.0.1", port=free_port(), **how))
        running[-1].start()
        return running[-1].port

    yield start
    for one in running:
        one.stop(no_assert=True)


class Sending:
    """A mailing over a database with one report, and what it writes by."""

    def __init__(self, database, port, **mail):
        self.database, self.clock = database, Clock()
        self.audit = AuditLog(database, clock=self.clock)
        self.intake = ReportIntake(database, MASTER, self.audit, clock=self.clock)
        self.messages = ReportMessages(database, MASTER, self.audit, clock=self.clock)
        self.notices = ReportNotices(database, MASTER, remind=timedelta(days=14), clock=self.clock)
        mail = {"host": "127.0.0.1", "port": port, "security": "none", "sender": SENDER} | mail
        web = {"public_address": "https://report.example.com"}
        self.settings = load_settings(mail=mail, web=web, gallery={"retry_seconds": 0.1})
        self.metrics, self.stop = ConsoleMetrics(), threading.Event()
        self.mailing = Mailing(self.settings, self.notices, self.metrics, self.stop, pytest.fail)
        row = {"id": "mo", "login": "mo", "name": "Mo Berg", "role": "moderator", "settings": "{}", "failures": 0}
        with database.write() as session:
            session.add(ModeratorRow(**row, created_at=self.clock()))

    def news(self, text="What we found out.", **facts):
        """The id of a new report about which there is news."""
        report_id = send_report(self.intake, **facts).report_id
        self.clock.pass_by(hours=1)
        self.messages.write(report_id, text, "mo")
        return report_id

    def older(self, report_id, count, address, wrapped_by=MASTER):
        """Ids of so many reports with news, like this one and older. wrapped_by: None where their keys are gone."""
        keys = [DataKey.new(f"rpt_{address}_{number}") for number in range(count)]
        with self.database.write() as session:
            row = session.get(ReportRow, report_id)
            like = {one.key: getattr(row, one.key) for one in ReportRow.__table__.columns}
            like |= {"created_at": row.created_at - timedelta(days=1), "decided_at": row.created_at}
            for key in keys:
                own = {"id": key.identity_id, "number": key.identity_id, "details": seal_details(key, to(address))}
                session.execute(insert(ReportRow).values(like | own))
                if wrapped_by:
                    wrapped = {"report_id": key.identity_id, "wrapped": key.wrap(wrapped_by)}
                    session.execute(insert(ReportKeyRow).values(wrapped | {"created_at": row.created_at}))
        return [key.identity_id for key in keys]

    def counted(self, result):
        return self.metrics.registry.get_sample_value("likeness_console_mails_total", {"result": result})


@pytest.fixture
def sqlite(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    yield database
    database.close()


def to(address):
    return replace(PLAIN.details, contact=address)


def replace_mail(sending, **mail):
    """Another mailing of the same reports, with other settings."""
    given = {"host": "127.0.0.1", "port": sending.settings.mail.port, "sender": SENDER, "username": "likeness"} | mail
    settings = load_settings(mail=given | {"security": sending.settings.mail.security})
    return Mailing(settings, sending.notices, sending.metrics, sending.stop, pytest.fail)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_news_is_told_once_and_the_mail_says_only_where_to_read_it(database, controller, post):
    sending = Sending(database, controller())
    sending.news()
    assert sending.mailing.drain() == 1
    assert sending.mailing.drain() == 0
    (mail,) = post.taken
    assert (mail["To"], mail["From"], mail["Auto-Submitted"]) == ("nora@example.com", SENDER, "auto-generated")
    assert PAGE in mail.get_content()
    whole = mail.as_string()
    with database.read() as session:
        number = session.query(ReportRow.number).scalar()
    for secret in (number, "found out", "Mo", "face", "photo", "report you", "Likeness", "thief"):
        assert secret not in whole.replace("/report/status", "")
    assert sending.counted("sent") == 1


def test_each_notice_is_written_in_the_language_of_the_report(sqlite, controller, post):
    sending = Sending(sqlite, controller())
    report_id = sending.news(language="zh_Hans")
    ends_at = sending.clock() + timedelta(days=3)
    with sqlite.write() as session:
        session.execute(update(ReportRow).values(state="protecting", decided_at=sending.clock(), ends_at=ends_at))
    sending.mailing.last_word(sending.notices.farewell(report_id))
    assert sending.mailing.drain() == 3
    subjects = {mail["Subject"] for mail in post.taken}
    assert subjects == {text[0] for text in LANGUAGES["zh_Hans"][1].values()}
    assert {mail["Content-Language"] for mail in post.taken} == {"zh-Hans"}
    assert sending.mailing.drain() == 0


def test_every_language_has_every_text_with_its_link():
    kinds = {frozenset(texts) for _, texts in LANGUAGES.values()}
    assert kinds == {frozenset(("news", "reminder", "erased"))}
    for _, texts in LANGUAGES.values():
        assert all(re.findall(r"%\(?\w*\)?s", body) == ["%(page)s"] for _, body in texts.values())


def test_a_server_that_is_away_loses_nothing_and_doubles_nothing(sqlite, controller, post, monkeypatch):
    port = free_port()
    sending = Sending(sqlite, port)
    sending.news()
    with pytest.raises(MailAway):
        sending.mailing.drain()
    monkeypatch.setattr(mailing_module, "LOOK_SECONDS", 0.05)
    sending.mailing.start()
    eventually(lambda: (sending.counted("failed") or 0) >= 2)
    server = Controller(post, hostname="127.0.0.1", port=port)
    server.start()
    try:
        eventually(lambda: post.taken)
        assert sending.mailing.alive
        sending.news(details=to("second@example.com"))
        eventually(lambda: len(post.taken) == 2)
    finally:
        sending.stop.set()
        sending.mailing.close()
        server.stop()
    assert [mail["To"] for mail in post.taken] == ["nora@example.com", "second@example.com"]


def test_who_cannot_be_written_to_holds_up_nobody_and_is_in_no_log(sqlite, controller, post, caplog):
    sending = Sending(sqlite, controller())
    post.answers["gone@example.com"] = "550 <gone@example.com> no such user"
    sending.news(details=to("gone@example.com"))
    for unfit in ("not an address", "twice@dotted..example", "open(@example.com", "no.mail@[\\\\.example"):
        sending.news(details=to(unfit))
    sending.news(details=to("用户@example.com"))
    sending.news()
    with caplog.at_level(logging.DEBUG, logger="likeness"):
        assert sending.mailing.drain() >= 1
    assert "nora@example.com" in [mail["To"] for mail in post.taken]
    assert sending.counted("refused") >= 2
    assert "550" in caplog.text
    assert not re.search(r"gone@|not an address|dotted|open|no\.mail|nora@|用户", caplog.text)
    assert sending.mailing.drain() == 0, "none is tried again"


def test_who_is_refused_for_now_waits_and_others_do_not(sqlite, controller, post):
    sending = Sending(sqlite, controller())
    post.answers["nora@example.com"] = "451 <nora@example.com> try later"
    for _ in range(4):
        sending.news()
    sending.news(details=to("second@example.com"))
    for _ in range(2):
        with pytest.raises(MailAway) as away:
            sending.mailing.drain()
        assert "nora" not in str(away.value)
    assert [mail["To"] for mail in post.taken] == ["second@example.com"]
    post.answers.clear()
    assert sending.mailing.drain() == 4


def test_however_many_have_no_address_those_after_them_are_written_to(database, controller, post, caplog):
    sending = Sending(database, controller())
    report_id = sending.news()
    sending.older(report_id, 60, "")
    sending.older(report_id, 60, "erased@example.com", wrapped_by=None)
    with caplog.at_level(logging.WARNING, logger="likeness"):
        assert sending.mailing.drain() == 1
        assert sending.mailing.drain() == 0
    assert [mail["To"] for mail in post.taken] == ["nora@example.com"]
    told = [record.report_id for record in caplog.records if "there is no address" in record.getMessage()]
    assert len(told) == len(set(told)) == sending.counted("refused") == 120, "each once"


def test_however_many_addresses_do_not_open_the_others_are_written_to(database, controller, post, caplog):
    sending = Sending(database, controller())
    report_id = sending.news()
    sealed = sending.older(report_id, 120, "sealed@example.com", wrapped_by=LOST)
    with caplog.at_level(logging.WARNING, logger="likeness"):
        assert sending.mailing.drain() == 1
        assert sending.mailing.drain() == 0
    assert [mail["To"] for mail in post.taken] == ["nora@example.com"]
    told = [record.report_id for record in caplog.records if "does not open" in record.getMessage()]
    assert sorted(told) == sorted(sealed), "each once"
    assert sending.counted("failed") == 120
    found = MasterKey.of(MASTER.current, LOST.current)
    notices = ReportNotices(database, found, remind=timedelta(days=14), clock=sending.clock)
    later = Mailing(sending.settings, notices, sending.metrics, sending.stop, pytest.fail)
    assert later.drain() == 120, "once their key is back"


def test_however_many_are_refused_for_now_those_after_them_are_written_to(database, controller, post):
    sending = Sending(database, controller())
    post.answers["full@example.com"] = "452 <full@example.com> mailbox full"
    sending.older(sending.news(), 105, "full@example.com")
    for _ in range(105 // 3 + 1):
        with pytest.raises(MailAway):
            sending.mailing.drain()
    assert [mail["To"] for mail in post.taken] == ["nora@example.com"]


def test_a_last_word_that_is_not_taken_within_an_hour_is_given_up(sqlite, monkeypatch):
    sending = Sending(sqlite, free_port())
    sending.mailing.last_word(sending.notices.farewell(send_report(sending.intake).report_id))
    with pytest.raises(MailAway):
        sending.mailing.drain()
    monkeypatch.setattr(mailing_module, "LAST_WORD_SECONDS", 0.0)
    assert sending.mailing.drain() == 0
    assert not sending.mailing._last_words


def erased(sending, address):
    """Somebody's report is gone, and they are owed the last word."""
    report_id = send_report(sending.intake, details=to(address)).report_id
    sending.mailing.last_word(sending.notices.farewell(report_id))


def test_a_last_word_that_is_refused_for_now_waits_and_holds_up_nobody(sqlite, controller, post):
    sending = Sending(sqlite, controller())
    post.answers["full@example.com"] = "452 <full@example.com> mailbox full"
    erased(sending, "full@example.com")
    erased(sending, "gone@example.com")
    sending.news()
    with pytest.raises(MailAway):
        sending.mailing.drain()
    assert sorted(mail["To"] for mail in post.taken) == ["gone@example.com", "nora@example.com"]
    with sending.notices.alone(), pytest.raises(MailAway):
        sending.mailing.drain()
    post.answers.clear()
    assert sending.mailing.drain() == 1
    assert post.taken[-1]["To"] == "full@example.com"
    assert sending.mailing.drain() == 0


def test_however_many_last_words_wait_a_server_that_is_away_is_asked_a_few_times_only(sqlite, controller, post):
    sending = Sending(sqlite, controller())
    post.answers["full@example.com"] = "452 <full@example.com> mailbox full"
    for _ in range(7):
        erased(sending, "full@example.com")
    erased(sending, "gone@example.com")
    with pytest.raises(MailAway):
        sending.mailing.drain()
    assert sending.counted("failed") == 3
    for _ in range(2):
        with pytest.raises(MailAway):
            sending.mailing.drain()
    assert [mail["To"] for mail in post.taken] == ["gone@example.com"], "those that failed come last"


def test_of_two_processes_one_sends_at_a_time(database, controller, post):
    port = controller()
    sending = Sending(database, port)
    sending.news()
    with sending.notices.alone() as alone:
        assert alone
        assert sending.mailing.drain() == 0
    assert sending.mailing.drain() == 1


class TestEncryption:
    def test_starttls_is_used_and_the_certificate_must_be_trusted(
        self, sqlite, controller, post, tmp_path, monkeypatch
    ):
        context, file = self_signed(tmp_path)
        port = controller(tls_context=context, require_starttls=True)
        sending = Sending(sqlite, port, security="starttls")
        sending.news()
        with pytest.raises(MailAway):
            sending.mailing.drain()
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert sending.mailing.drain() == 1
        assert post.encrypted == [True]

    def test_without_starttls_nothing_is_sent_in_the_clear(self, sqlite, controller, post):
        sending = Sending(sqlite, controller(), security="starttls", username="likeness", password="s3cret")
        sending.news()
        with pytest.raises(MailAway, match="does not offer"):
            sending.mailing.drain()
        assert post.taken == [] and post.logins == []

    def test_tls_from_the_first_byte_and_a_login(self, sqlite, controller, post, tmp_path, monkeypatch):
        context, file = self_signed(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        port = controller(ssl_context=context, auth_require_tls=False, authenticator=post.authenticate)
        wrong = Sending(sqlite, port, security="tls", username="likeness", password="guessed")
        wrong.news()
        with pytest.raises(MailAway, match="535"):
            wrong.mailing.drain()
        right = replace_mail(wrong, password="s3cret")
        assert right.drain() == 1
        assert post.logins[-1] == b"s3cret"


def test_mail_without_an_address_of_the_page_is_a_setting_that_is_missing(sqlite):
    settings = load_settings(mail={"host": "127.0.0.1", "sender": SENDER}, http={"port": 0, "host": "127.0.0.1"})
    notices = ReportNotices(sqlite, MASTER, remind=timedelta(days=1))
    with ConsoleService(settings, threading.Event()) as service, pytest.raises(SettingsError, match=r"public_address"):
        service.open_mailing(notices)
    plain = load_settings(http={"port": 0, "host": "127.0.0.1"})
    with ConsoleService(plain, threading.Event()) as service:
        assert service.open_mailing(notices) is None


def test_likeness_serve_writes_to_reporters_and_ends_what_has_ended(tmp_path, models, controller, post):
    mail = {"host": "127.0.0.1", "port": controller(), "security": "none", "sender": SENDER}
    web = {"public_address": "https://report.example.com"}
    settings = console_settings(Nowhere, tmp_path / "home", models, mail=mail, web=web)
    with closing(open_database(settings.database_url)) as database:
        database.migrate()
        desk = open_desk(settings, database, MASTER_KEY)
        ended, news = send_report(desk.report_intake, consent_contact=False), send_report(desk.report_intake)
        identity_id = desk.gallery.add_identity(ended.number, "victim", references=[face_photo(1)])
        now = utc_now()
        values = {"state": "protecting", "identity_id": identity_id, "decided_at": now, "ends_at": now}
        with database.write() as session:
            session.execute(update(ReportRow).where(ReportRow.id == ended.report_id).values(values))
        mo = desk.moderators.add("mo", "Mo", "moderator", PASSWORD)
        desk.report_messages.write(news.report_id, "We have a question.", mo.id)
        with ConsoleProcess(settings) as console:
            eventually(lambda: desk.report_reading.get(ended.report_id).state == "expired", 40)
            eventually(lambda: post.taken, 40)
            assert console.terminate() == 0
        assert desk.gallery.find_identity(identity_id) is None
    assert [one["To"] for one in post.taken] == ["nora@example.com"]
    assert not any("nora" in line for line in console.log)
