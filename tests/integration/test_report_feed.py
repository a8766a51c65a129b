"""Reports of a platform's own form, sealed through Kafka: each is taken in once, whatever else lies in the topic."""

import base64
import json
import logging
import threading
from contextlib import closing
from datetime import timedelta

import pytest
from joserfc.jwk import OKPKey

from config import load_settings
from consumers.console_metrics import ConsoleMetrics
from consumers.kafka import make_admin, make_producer
from consumers.messages import MessageRejected, read_report
from consumers.report_feed import ReportFeed
from consumers.topics import ensure_report_topic
from likeness.console_enrolling import open_enrolling
from likeness.raw_search import photo_needles, search, text_needles
from records.database import open_database
from records.errors import WrongPin
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.keys.sealing import SealingKeys
from records.reports.access import ReportAccess
from tests.integration.test_web_api import Program
from tests.support.console import looking
from tests.support.console_site import MASTER, make_desk, running_site
from tests.support.kafka_settings import kafka_settings
from tests.support.running_service import eventually
from tests.support.sealed_reports import sealed

__all__ = ["looking"]


@pytest.fixture(scope="module")
def enrols(looking):
    with closing(open_enrolling(load_settings(), looking, records=None)) as opened:
        yield opened


@pytest.fixture
def settings(broker, tmp_path):
    settings = kafka_settings(broker, tmp_path)
    with closing(make_admin(settings.kafka)) as admin:
        ensure_report_topic(admin, settings.topics, settings.kafka)
    return settings


@pytest.fixture
def portrait(portraits):
    return portraits["person_b_1.jpg"].read_bytes()


def report(*photos, your_id="ticket-1", **fields):
    consent = {"matching": True, "contact": False, "text_version": "2026-02", "given_at": "2026-02-03T04:05:06Z"}
    whole = {"your_id": your_id, "language": "en", "months": 6, "consent": consent, "checked": "By passport."}
    return whole | {"photos": [base64.b64encode(one).decode() for one in photos]} | fields


def words(your_id, said="A man uses my face."):
    return report(your_id=your_id, minor=True, details={"words": said})


def send(settings, *values):
    with closing(make_producer(settings.kafka)) as producer:
        for value in values:
            producer.send(settings.topics.reports, value, partition=0).get(20)


class RunningFeed:
    """A feed of reports over a migrated database, from entering the block to its end."""

    def __init__(self, settings, enrols):
        self.settings, self.enrols, self.failure = settings, enrols, None

    def __enter__(self):
        self.database = open_database(self.settings.database_url)
        self.database.migrate()
        self.desk = make_desk(self.database, enrols=self.enrols)
        self.key = self.desk.sealing.public_key()
        self.stop, self.metrics = threading.Event(), ConsoleMetrics()
        topic, desk = self.settings.topics.reports, self.desk
        what = self.settings, topic, self.database, desk.platform_intake, desk.sealing, self.metrics
        self.feed = ReportFeed(*what, self.stop, self._fail)
        self.feed.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.feed.close()
        assert not self.feed.alive
        self.database.close()
        assert self.failure is None

    def _fail(self, error):
        self.failure = error

    def send(self, *values):
        """Sealed for this deployment."""
        send(self.settings, *(sealed(value, self.key) for value in values))

    def count(self, result):
        return self.metrics.registry.get_sample_value("likeness_console_reports_total", {"result": result})

    def taken(self, your_id):
        """The reports that are there under the platform's id."""
        return self.desk.report_reading.of_sources(("topic",), your_id)


def test_a_report_is_taken_in_with_its_photos_plain_or_as_a_cloud_event(settings, enrols, portrait):
    event = {"specversion": "1.0", "id": "ticket-2", "source": "/form", "type": "com.example.reported"}
    enclosed = {name: value for name, value in report(portrait).items() if name != "your_id"}
    with RunningFeed(settings, enrols) as feed:
        feed.send(report(portrait, surprise="is passed over"), event | {"data": enclosed})
        for your_id in ("ticket-1", "ticket-2"):
            (found,) = eventually(lambda your_id=your_id: feed.taken(your_id))
            assert (found.kind, found.lane, found.state, found.source) == ("photos", "platform", "received", "topic")
            assert len(feed.desk.report_reading.photo_ids(found.id, "face")) == 1
            assert feed.desk.report_reading.details(found.id).checked == "By passport."
        eventually(lambda: feed.count("taken") == 2)


def test_a_report_that_comes_again_is_there_once_after_a_restart_too(settings, enrols):
    with RunningFeed(settings, enrols) as feed:
        feed.send(words("a"), words("a", "said again"), words("b"))
        eventually(lambda: (feed.count("taken"), feed.count("known")) == (2, 1))
        (first,) = feed.taken("a")
        assert feed.desk.report_reading.details(first.id).words == "A man uses my face."
    feed.send(words("c"))
    with RunningFeed(settings, enrols) as feed:
        eventually(lambda: feed.count("taken") == 1)
        assert feed.count("known") == 0
        assert feed.taken("a") == [first]


def test_what_cannot_be_taken_in_is_told_by_its_place_without_what_it_says_and_the_next_one_is(
    settings, enrols, caplog, portrait
):
    caplog.set_level(logging.ERROR)
    bad = [b"{nope", b"[]", b"", report(b"no picture", details={"words": "secret"}), words("x") | {"months": "secret"}]
    bad += [report(portrait) | {"consent": {"matching": False, "words": "secret"}}, words("x", "a\0secret")]
    with RunningFeed(settings, enrols) as feed:
        feed.send(*bad, words("good"))
        eventually(lambda: feed.taken("good"))
        assert (feed.count("unreadable"), feed.count("refused"), feed.count("taken")) == (6, 1, 1)
    told = [record for record in caplog.records if "cannot be taken in" in record.message]
    assert [one.position for one in told] == [f"{settings.topics.reports}-0@{offset}" for offset in range(len(bad))]
    assert "photos.0: not_a_picture" in told[3].error
    assert not any("secret" in one.error for one in told)


def test_what_is_not_sealed_or_for_another_key_is_never_taken_in_and_the_next_one_is(settings, enrols, caplog):
    caplog.set_level(logging.ERROR)
    with RunningFeed(settings, enrols) as feed:
        good, other = words("secret-ticket"), OKPKey.generate_key("X25519").as_dict(private=False)
        open_to_all = [json.dumps(good).encode(), b""]
        for_others = [sealed(good, other | {"kid": "seal_elsewhere"}), sealed(good, other | {"kid": feed.key["kid"]})]
        strange = [sealed(good, feed.key, typ="secret"), sealed(good, feed.key, zip="DEF")]
        bad = [*open_to_all, *for_others, *strange]
        send(settings, *bad, sealed(words("good"), feed.key))
        eventually(lambda: feed.taken("good"))
        assert (feed.count("unreadable"), feed.count("taken")) == (len(bad), 1)
        assert feed.taken("secret-ticket") == []
    told = [record for record in caplog.records if "cannot be taken in" in record.message]
    assert [one.position for one in told] == [f"{settings.topics.reports}-0@{offset}" for offset in range(len(bad))]
    assert not any("secret" in one.error for one in told)
    assert "a key that this deployment does not have" in told[2].error


def test_a_report_for_a_key_that_no_master_key_opens_any_more_is_told_of_and_the_next_one_is_taken_in(
    settings, enrols, caplog
):
    caplog.set_level(logging.ERROR)
    with RunningFeed(settings, enrols) as feed:
        GalleryRecords(feed.database, MASTER).add_identity("LK-1", "victim")
        lost = SealingKeys(feed.database, MasterKey.of(b"\1" * 32)).public_key()
        send(settings, sealed(words("secret-ticket"), lost), sealed(words("good"), feed.key))
        eventually(lambda: feed.taken("good"))
        assert (feed.count("unreadable"), feed.count("taken")) == (1, 1)
    (told,) = [record for record in caplog.records if "cannot be taken in" in record.message]
    assert told.position == f"{settings.topics.reports}-0@0"
    assert "no master key in hand opens" in told.error


def test_the_brokers_own_files_hold_neither_the_photo_nor_the_words_nor_the_contact(
    apache_kafka, enrols, tmp_path, portrait
):
    settings = kafka_settings(apache_kafka, tmp_path)
    said = {"contact": "ada.lovelace@example.com", "words": "He says he is me on that site."}
    whole = report(portrait, details=said)
    whole["consent"] |= {"contact": True}
    needles = {"photo": photo_needles(portrait)} | {name: text_needles(text) for name, text in said.items()}
    with RunningFeed(settings, enrols) as feed:
        feed.send(whole)
        (found,) = eventually(lambda: feed.taken("ticket-1"))
        assert feed.desk.report_reading.details(found.id).contact == said["contact"]
        segments = apache_kafka._folder / "data" / f"{settings.topics.reports}-0"
        header = sealed(whole, feed.key).split(b".")[0][:40]
        assert [hit.what for hit in search([segments], needles | {"header": [header]})] == ["header"]
    (tmp_path / "as it was before").write_text(json.dumps(whole))
    assert {hit.what for hit in search([tmp_path / "as it was before"], needles)} == {"photo", "contact", "words"}


def test_its_pin_is_asked_for_by_the_platform_and_by_no_other_program(settings, enrols):
    with RunningFeed(settings, enrols) as feed:
        feed.send(words("ticket-9"))
        eventually(lambda: feed.taken("ticket-9"))
        desk = feed.desk
        platform, flagger = (
            desk.tokens.add(scope, [scope], by="system")[0] for scope in ("reports:write", "reports:flag")
        )
        with running_site(desk) as site:
            (found,) = Program(site, platform).get("/reports", your_id="ticket-9").json()
            assert Program(site, flagger).get("/reports", your_id="ticket-9").json() == []
            assert Program(site, flagger).post(f"/reports/{found['id']}/pin").status == 404
            told = Program(site, platform).post(f"/reports/{found['id']}/pin").json()
        access = ReportAccess(feed.database, desk.audit, idle=timedelta(minutes=30))
        assert access.find(access.enter(told["number"], told["pin"])).id == found["id"]
        with pytest.raises(WrongPin):
            access.enter(told["number"], "00000000")


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", b"3", b'{"your_id": 1}', b'{"specversion": "1.0"}'])
def test_bytes_that_are_no_report_are_rejected(value):
    with pytest.raises(MessageRejected):
        read_report(value)
