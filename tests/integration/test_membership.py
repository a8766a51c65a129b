"""A member of a group keeps its place, whatever becomes of the topic."""

import threading
from contextlib import closing, contextmanager

from consumers.kafka import make_admin, make_consumer, make_producer
from consumers.topics import ensure_topics
from tests.support.kafka_settings import kafka_settings
from tests.support.running_service import eventually


def test_partitions_that_a_topic_is_given_later_are_consumed_though_polls_end_while_members_rejoin(
    apache_kafka, tmp_path
):
    settings = kafka_settings(apache_kafka, tmp_path, topics={"partitions": 2})
    topic = settings.topics.uploads
    with closing(make_admin(settings.kafka)) as admin, closing(make_producer(settings.kafka)) as producer:
        ensure_topics(admin, settings.topics, settings.kafka)
        with member(settings, pause=0) as (leader, seen):
            eventually(lambda: len(leader.assignment()) == 2)
            with member(settings, pause=0.5) as (slow, others):
                eventually(lambda: len(leader.assignment()) == len(slow.assignment()) == 1)
                admin.create_partitions({topic: 4})
                eventually(lambda: len(producer.partitions_for(topic)) == 4)
                for number in range(4):
                    producer.send(topic, b"sent", partition=number).get(10)
                assert eventually(lambda: seen | others == {0, 1, 2, 3}, 30)


def test_a_topic_that_a_member_gets_to_know_after_it_has_joined_is_consumed_though_its_polls_are_short(
    apache_kafka, tmp_path
):
    settings = kafka_settings(apache_kafka, tmp_path, topics={"partitions": 1})
    with (
        closing(make_admin(settings.kafka)) as admin,
        closing(make_producer(settings.kafka)) as producer,
        member(settings, pause=0) as (reader, seen),
    ):
        eventually(lambda: reader.group_metadata().generation_id > 0)
        ensure_topics(admin, settings.topics, settings.kafka)
        eventually(lambda: producer.partitions_for(settings.topics.uploads))
        producer.send(settings.topics.uploads, b"sent").get(10)
        assert eventually(lambda: seen == {0}, 30)


@contextmanager
def member(settings, pause):
    """A consumer of uploads in the group, polled again and again with a pause, and the partitions that it had something
    of."""
    consumer = make_consumer(
        settings.kafka, settings.topics.uploads, group_id=settings.kafka.group_id, metadata_max_age_ms=500
    )
    seen, stop = set(), threading.Event()

    def poll():
        while not stop.wait(pause):
            seen.update(partition.partition for partition in consumer.poll(timeout_ms=5))

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield consumer, seen
    finally:
        stop.set()
        thread.join()
        consumer.close()
