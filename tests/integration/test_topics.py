from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from consumers.kafka import make_admin
from consumers.topics import TopicMissing, TopicUnfit, ensure_topics
from tests.support.kafka_settings import kafka_settings


@pytest.fixture
def admin_of():
    admins = []

    def make(settings):
        admins.append(make_admin(settings.kafka))
        return admins[-1]

    yield make
    for admin in admins:
        admin.close()


def names(topics):
    return {topics.uploads, topics.screenings, topics.reviews, topics.dead_letters, topics.gallery_changes}


def test_two_workers_that_start_together_create_each_topic_once(broker, tmp_path, admin_of):
    settings = kafka_settings(broker, tmp_path)
    together = Barrier(2)

    def start(admin):
        together.wait()
        return ensure_topics(admin, settings.topics, settings.kafka)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(start, [admin_of(settings), admin_of(settings)])
    assert set(first) | set(second) == names(settings.topics)
    assert not set(first) & set(second)


def test_the_gallery_has_one_partition_and_the_others_as_many_as_set(broker, tmp_path, admin_of):
    settings = kafka_settings(broker, tmp_path, topics={"partitions": 3})
    admin = admin_of(settings)
    ensure_topics(admin, settings.topics, settings.kafka)
    found = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(list(names(settings.topics)))}
    assert found.pop(settings.topics.gallery_changes) == 1
    assert set(found.values()) == {3}


def test_apache_kafka_compacts_the_gallery_and_takes_messages_of_the_size_that_is_set(apache_kafka, tmp_path, admin_of):
    settings = kafka_settings(apache_kafka, tmp_path, kafka={"max_message_bytes": 3_000_000})
    admin = admin_of(settings)
    ensure_topics(admin, settings.topics, settings.kafka)
    resource = ConfigResource(ConfigResourceType.TOPIC, settings.topics.gallery_changes)
    found = admin.describe_configs([resource])["topic"][settings.topics.gallery_changes]
    assert found["cleanup.policy"]["value"] == "compact"
    assert found["max.message.bytes"]["value"] == "4500000"


def test_a_topic_that_exists_is_left_as_it_is(broker, tmp_path, admin_of):
    settings = kafka_settings(broker, tmp_path)
    admin = admin_of(settings)
    admin.create_topics({settings.topics.uploads: {"num_partitions": 5, "replication_factor": 1}})
    assert settings.topics.uploads not in ensure_topics(admin, settings.topics, settings.kafka)
    assert len(admin.describe_topics([settings.topics.uploads])[0]["partitions"]) == 5


def test_a_missing_topic_that_may_not_be_created_is_named_with_its_settings(broker, tmp_path, admin_of):
    settings = kafka_settings(broker, tmp_path, topics={"create": False})
    admin = admin_of(settings)
    with pytest.raises(TopicMissing, match=rf"{settings.topics.gallery_changes} .*--config cleanup.policy=compact"):
        ensure_topics(admin, settings.topics, settings.kafka)
    assert not names(settings.topics) & set(admin.list_topics())


def test_a_broker_that_refuses_a_topic_is_quoted(apache_kafka, tmp_path, admin_of):
    settings = kafka_settings(apache_kafka, tmp_path, topics={"replication_factor": 3})
    with pytest.raises(TopicMissing, match=r"(?i)replication factor"):
        ensure_topics(admin_of(settings), settings.topics, settings.kafka)


def test_a_gallery_topic_that_forgets_with_time_is_refused(apache_kafka, tmp_path, admin_of):
    settings = kafka_settings(apache_kafka, tmp_path)
    admin = admin_of(settings)
    admin.create_topics({settings.topics.gallery_changes: {"num_partitions": 1, "replication_factor": 1}})
    with pytest.raises(TopicUnfit, match=r"cleanup\.policy=delete"):
        ensure_topics(admin, settings.topics, settings.kafka)


def test_a_gallery_topic_of_ones_own_that_compacts_is_accepted(broker, tmp_path, admin_of):
    settings = kafka_settings(broker, tmp_path)
    admin = admin_of(settings)
    own = {"num_partitions": 1, "replication_factor": 1, "configs": {"cleanup.policy": "compact"}}
    admin.create_topics({settings.topics.gallery_changes: own})
    assert settings.topics.gallery_changes not in ensure_topics(admin, settings.topics, settings.kafka)
