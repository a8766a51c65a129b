import time
from contextlib import contextmanager
from threading import Event

import pytest
from kafka import TopicPartition

from consumers.kafka import BrokerAway, make_admin, make_consumer, make_producer, read_to_end, wait_for_broker
from demo.broker import free_port
from tests.support.kafka_settings import kafka_settings


@pytest.fixture
def settings(broker, tmp_path):
    return with_topic(kafka_settings(broker, tmp_path))


@pytest.fixture
def kafka_only(apache_kafka, tmp_path):
    return with_topic(kafka_settings(apache_kafka, tmp_path))


def with_topic(settings, partitions=1):
    admin = make_admin(settings.kafka)
    admin.create_topics({settings.topics.gallery_changes: {"num_partitions": partitions, "replication_factor": 1}})
    admin.close()
    return settings


@contextmanager
def producing(settings, transactional_id=None):
    producer = make_producer(settings.kafka, transactional_id)
    if transactional_id:
        producer.init_transactions()
    yield producer
    producer.close()


def whole(settings, seconds=10.0, partitions=1):
    consumer = make_consumer(settings.kafka)
    consumer.assign([TopicPartition(settings.topics.gallery_changes, number) for number in range(partitions)])
    read = [record.value for records in read_to_end(consumer, Event(), seconds) for record in records]
    consumer.close()
    return read


def test_an_empty_topic_is_read_at_once(settings):
    began = time.monotonic()
    assert whole(settings) == []
    assert time.monotonic() - began < 3


def test_all_messages_are_read_even_when_they_need_many_polls(settings):
    with producing(settings) as producer:
        sent = [b"%d" % number for number in range(1_700)]
        for value in sent:
            producer.send(settings.topics.gallery_changes, value, b"identity")
        producer.flush()
    assert whole(settings) == sent


def test_a_topic_that_ends_in_deletions_is_read_to_its_end(settings):
    with producing(settings) as producer:
        for value in (b"added", None, None):
            producer.send(settings.topics.gallery_changes, value, b"identity").get(timeout=10)
    assert whole(settings) == [b"added", None, None]


def test_every_assigned_partition_is_read(broker, tmp_path):
    settings = with_topic(kafka_settings(broker, tmp_path), partitions=3)
    with producing(settings) as producer:
        for number in range(3):
            producer.send(settings.topics.gallery_changes, b"%d" % number, partition=number).get(timeout=10)
    assert sorted(whole(settings, partitions=3)) == [b"0", b"1", b"2"]


def test_committed_messages_are_read_and_aborted_ones_at_the_end_are_passed_over(kafka_only):
    with producing(kafka_only, "writer") as producer:
        for value, end in ((b"committed", producer.commit_transaction), (b"aborted", producer.abort_transaction)):
            producer.begin_transaction()
            producer.send(kafka_only.topics.gallery_changes, value).get(timeout=10)
            end()
    assert whole(kafka_only) == [b"committed"]


def test_a_topic_with_nothing_but_aborted_messages_is_as_good_as_empty(kafka_only):
    with producing(kafka_only, "writer") as producer:
        producer.begin_transaction()
        producer.send(kafka_only.topics.gallery_changes, b"aborted").get(timeout=10)
        producer.abort_transaction()
    assert whole(kafka_only) == []


def test_an_open_transaction_is_not_waited_for(kafka_only):
    with producing(kafka_only) as producer:
        producer.send(kafka_only.topics.gallery_changes, b"before").get(timeout=10)
    with producing(kafka_only, "writer") as producer:
        producer.begin_transaction()
        producer.send(kafka_only.topics.gallery_changes, b"not yet").get(timeout=10)
        assert whole(kafka_only) == [b"before"]
        producer.abort_transaction()


def test_reading_stops_when_it_is_told_to(settings):
    consumer = make_consumer(settings.kafka)
    consumer.assign([TopicPartition(settings.topics.gallery_changes, 0)])
    stop = Event()
    stop.set()
    assert list(read_to_end(consumer, stop)) == []
    consumer.close()


def test_a_broker_that_falls_silent_ends_the_reading_with_an_error(apache_kafka, kafka_only):
    consumer = make_consumer(kafka_only.kafka)
    consumer.assign([TopicPartition(kafka_only.topics.gallery_changes, 0)])
    apache_kafka.pause()
    try:
        with pytest.raises(BrokerAway, match=kafka_only.topics.gallery_changes):
            list(read_to_end(consumer, Event(), seconds=2.0))
    finally:
        apache_kafka.resume()
        consumer.close()


def test_waiting_for_a_broker_ends_when_it_answers(broker, tmp_path):
    waits = []
    wait_for_broker(kafka_settings(broker, tmp_path).kafka, Event(), waits.append)
    assert waits == []


def test_waiting_for_a_broker_says_so_and_ends_when_told_to(tmp_path):
    class Nowhere:
        name = "nowhere"
        bootstrap_servers = f"127.0.0.1:{free_port()}"

    settings = kafka_settings(Nowhere, tmp_path, kafka={"sasl_username": "u", "sasl_password": "hush-hush"})
    stop, waits = Event(), []

    def on_wait(sentence):
        waits.append(sentence)
        if len(waits) == 3:
            stop.set()

    with pytest.raises(BrokerAway):
        wait_for_broker(settings.kafka, stop, on_wait, max_seconds=0.1)
    assert len(waits) == 3
    assert all(Nowhere.bootstrap_servers in sentence and "hush-hush" not in sentence for sentence in waits)
