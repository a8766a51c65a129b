"""What topics still hold of somebody who was erased: by ids where we wrote it, sealed where a platform did."""

import json
from contextlib import closing
from datetime import UTC, datetime

import pytest

from consumers.kafka import make_admin, make_producer
from consumers.topics import ensure_report_topic, ensure_topics
from likeness.erasure_topic import look_at_topics
from records.database import open_database
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.keys.sealing import SealingKeys
from records.reports.erasures import Erased
from records.reports.remains import Subject
from tests.support.kafka_settings import kafka_settings
from tests.support.sealed_reports import sealed

NUMBER, PERSON = "LK-7Q4M-2XKD-9BTN", "idn_mara"


@pytest.fixture
def settings(tansu, tmp_path):
    settings = kafka_settings(tansu, tmp_path)
    with closing(make_admin(settings.kafka)) as admin:
        ensure_topics(admin, settings.topics, settings.kafka)
        ensure_report_topic(admin, settings.topics, settings.kafka)
    return settings


MASTER = MasterKey.of(bytes(32))


@pytest.fixture
def database(tmp_path):
    with closing(open_database(f"sqlite:///{tmp_path / 'likeness.db'}")) as database:
        database.migrate()
        yield database


@pytest.fixture
def sealing(database):
    return SealingKeys(database, MASTER)


def put(settings, topic, value):
    value = value if isinstance(value, bytes) else json.dumps(value).encode()
    with closing(make_producer(settings.kafka)) as producer:
        producer.send(topic, value, b"key").get(10)


def review(name):
    other = {"identity_id": "idn_other", "identity_name": "Iris Nowak", "runner_up": None}
    rival = {"identity_id": PERSON, "identity_name": name}
    return {"data": {"findings": [other | {"runner_up": rival}, other | {"identity_id": None}]}}


def left(settings, sealing, platform_id=None):
    erased = Erased("ers_1", "rpt_1", PERSON, "withdrawn", {}, datetime.now(UTC))
    checks = look_at_topics(settings, Subject(erased, NUMBER, None, platform_id), sealing)
    return {check.where.removeprefix("topic "): (check.left, check.says) for check in checks}


def test_reviews_may_know_the_erased_by_their_case_number_and_by_no_other_name(settings, sealing):
    topic = settings.topics.reviews
    assert left(settings, sealing)[topic] == (0, "no review names them")
    put(settings, topic, review(NUMBER))
    assert left(settings, sealing)[topic] == (0, "1 × by id and case number, until Kafka drops them")
    put(settings, topic, review("Mara"))
    assert left(settings, sealing)[topic][0] == 2


def test_what_a_platforms_own_form_sent_is_left_as_long_as_its_topic_holds_it(settings, sealing):
    topic = settings.topics.reports
    put(settings, topic, sealed({"your_id": "ticket-10", "details": {}}, sealing.public_key()))
    put(settings, topic, {"your_id": "ticket-20", "details": {"words": "never taken in, for it is not sealed"}})
    assert topic not in left(settings, sealing), "the report came by another way"
    assert left(settings, sealing, "ticket-1")[topic] == (0, "the report is not there any more")
    assert left(settings, sealing, "ticket-10")[topic][0] == 1
    assert left(settings, sealing, "ticket-20")[topic][0] == 1


def test_what_is_sealed_for_a_key_that_no_master_key_opens_any_more_is_counted_apart(settings, sealing, database):
    topic = settings.topics.reports
    GalleryRecords(database, MASTER).add_identity("LK-1", "victim")
    lost = SealingKeys(database, MasterKey.of(b"\1" * 32)).public_key()
    put(settings, topic, sealed({"your_id": "ticket-1"}, lost))
    count, says = left(settings, sealing, "ticket-2")[topic]
    assert count == 0 and "unless among 1 that no master key opens any more" in says
    put(settings, topic, sealed({"your_id": "ticket-2"}, sealing.public_key()))
    assert left(settings, sealing, "ticket-2")[topic][0] == 1
