"""A worker that is given a partition back begins where the group stands now, not where it stood when last asked."""

import time

import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from consumers.kafka import make_consumer, make_producer, rewind
from tests.support.kafka_settings import kafka_settings
from tests.support.running_service import make_topics


def test_a_question_left_open_by_a_short_poll_does_not_answer_a_later_one(apache_kafka, tmp_path):
    settings = kafka_settings(apache_kafka, tmp_path, topics={"partitions": 1})
    make_topics(settings)
    place = TopicPartition(settings.topics.uploads, 0)
    producer = make_producer(settings.kafka)
    for number in range(10):
        producer.send(place.topic, b"%d" % number, partition=0).get(10)
    producer.close()
    for consumer in joined_by_short_polls(settings, place):
        consumer.commit({place: OffsetAndMetadata(7, "", -1)})
        rewind(consumer)
        assert consumer.position(place) == 7
        return
    pytest.fail("no consumer got its partition")


def joined_by_short_polls(settings, place, attempts=6):
    """Consumers that have just been given the partition; polled so shortly, not every one ever is."""
    for number in range(attempts):
        group_id = f"{settings.kafka.group_id}-{number}"
        consumer = make_consumer(settings.kafka, place.topic, group_id=group_id)
        try:
            deadline = time.monotonic() + 8
            while not consumer.assignment() and time.monotonic() < deadline:
                consumer.poll(timeout_ms=1)
                time.sleep(0.005)
            if consumer.assignment():
                yield consumer
        finally:
            consumer.close()
