"""Uploads end in any order: what operators, brokers and slow hosts do to the committed offsets loses none of them."""

import json
import threading
import time

import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from consumers.kafka import make_consumer, make_producer
from consumers.progress import SPAN, Progress
from tests.support.kafka_broker import ApacheKafka
from tests.support.running_service import (
    ServiceProcess,
    ServiceThread,
    Topics,
    again,
    make_topics,
    service_settings,
    upload,
)
from tests.support.web_site import WebSite, answer

NO_FACE = b"no picture"


@pytest.fixture
def settings(apache_kafka, tmp_path, models):
    made = service_settings(apache_kafka, tmp_path, models, topics={"partitions": 1})
    make_topics(made)
    return made


def commit(settings, committed):
    consumer = make_consumer(settings.kafka, group_id=settings.kafka.group_id)
    consumer.assign([TopicPartition(settings.topics.uploads, 0)])
    consumer.commit({TopicPartition(settings.topics.uploads, 0): committed})
    consumer.close()


def all_end(settings, events, seconds=40):
    topics = Topics(settings)
    topics.until(lambda: {one["event_id"] for one in topics.data("dead_letter")} >= set(events), seconds)
    topics.close()


def send(settings, count):
    topics = Topics(settings)
    events = [f"event-{number}" for number in range(count)]
    topics.send_all([upload(event_id, "acct", NO_FACE) for event_id in events])
    topics.close()
    return events


def fetching_from(site, settings, **fetch):
    """The settings, with pictures allowed from the web site."""
    hosts = {"allowed_hosts": ("127.0.0.1",), "private_hosts": (f"127.0.0.1:{site.port}",)}
    return again(settings, fetch=hosts | fetch)


def test_a_group_that_stands_beyond_the_end_of_the_topic_screens_what_is_there(settings):
    commit(settings, OffsetAndMetadata(100, "", -1))
    events = send(settings, 30)
    with ServiceThread(settings):
        all_end(settings, events)


def test_a_consumer_with_little_room_takes_on_more_whenever_some_have_ended(settings):
    events = send(settings, 60)
    with ServiceThread(again(settings, screening={"in_flight": 4})):
        all_end(settings, events, 30)


def test_an_offset_that_was_moved_with_its_metadata_loses_no_upload(settings):
    events = send(settings, 50)
    far = Progress(OffsetAndMetadata(1_000, "", -1))
    for offset in range(1_000, 1_030):
        far.begin(offset)
    commit(settings, OffsetAndMetadata(10, far.after(set(range(1_001, 1_021))).metadata, -1))
    with ServiceThread(settings):
        all_end(settings, events[10:])


def test_a_long_gap_of_offsets_behind_a_slow_upload_stalls_nothing(settings, portraits):
    picture = portraits["impostor_1.jpg"].read_bytes()
    released = threading.Event()

    def slow():
        released.wait(30)
        yield answer(picture, Connection="close")

    with WebSite({"/slow.jpg": slow}).running() as site:
        settings = fetching_from(site, settings, total_seconds=40.0, attempts=1)
        topics = Topics(settings)
        first = upload(image={"url": site.url("/slow.jpg")})
        topics.send(first)
        producer = make_producer(settings.kafka, f"{settings.kafka.group_id}-gap")
        producer.init_transactions()
        producer.begin_transaction()
        for _ in range(SPAN + 1_000):
            producer.send(settings.topics.uploads, b"aborted")
        producer.flush()
        producer.abort_transaction()
        producer.close()
        events = send(settings, 20)
        with ServiceThread(settings):
            time.sleep(3)
            released.set()
            assert topics.screening(first["event_id"], 40)["verdict"] == "clear"
            all_end(settings, events)
        topics.close()


def test_refusals_among_uploads_that_take_their_time_stop_nobody(settings, portraits):
    picture = portraits["impostor_1.jpg"].read_bytes()

    def unhurried():
        time.sleep(0.3)
        yield answer(picture, Connection="close")

    with WebSite({"/a.jpg": unhurried}).running() as site:
        settings = again(settings, screening={"dead_letter_share": 0.5})
        settings = fetching_from(site, settings, total_seconds=60.0, per_host=32)
        topics = Topics(settings)
        good = [upload(image={"url": site.url("/a.jpg")}) for _ in range(240)]
        values = [json.dumps(one).encode() for one in good]
        for number in range(80):
            values.insert(4 * number, b"{nope")
        for value in values:
            topics.send(value)
        with ServiceThread(settings):
            topics.until(lambda: len(topics.data("screening")) == len(good), 60)
            topics.until(lambda: len(topics.data("dead_letter")) == 80)
        topics.close()


def test_sigterm_is_heard_while_the_broker_is_away(tmp_path, models):
    with ApacheKafka(tmp_path / "kafka") as broker:
        settings = service_settings(
            broker, tmp_path / "home", models, kafka={"delivery": "at_least_once", "transaction_seconds": 6.0}
        )
        make_topics(settings)
        topics = Topics(settings)
        service = ServiceProcess(settings).start().wait_ready()
        topics.send_all([upload(f"event-{number}", f"acct-{number}", NO_FACE) for number in range(3_000)])
        topics.until(lambda: len(topics.data("dead_letter")) > 50)
        broker.kill()
        time.sleep(12)
        assert service.terminate(30) == 0
        topics.close()
