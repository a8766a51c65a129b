"""likeness doctor: it finds what is broken, says how to mend it, keeps secrets, and ends in time."""

import base64
import json
import os
import socket
import threading
import time
from contextlib import closing

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from consumers.kafka import make_admin, make_consumer, make_producer
from consumers.topics import ensure_report_topic
from demo.broker import free_port
from likeness.workbench import open_records
from tests.support.console import make_console_topics
from tests.support.dead_letters import program
from tests.support.kafka_settings import kafka_settings
from tests.support.program import Program
from tests.support.running_service import enrol, make_topics, service_settings

HOSTS = {"fetch": {"allowed_hosts": ["img.example.com"]}}


def examined(likeness, *words, **variables):
    """Exit code, and the findings by name; of one name the gravest."""
    ended = likeness("doctor", "--json", *words, **variables)
    assert ended.err == ""
    order = ("unknown", "ok", "warn", "fail")
    found = {}
    for one in sorted(ended.lines, key=lambda one: order.index(one["state"])):
        found[one["name"]] = one
    return ended.code, found


def states(found):
    return {name: one["state"] for name, one in found.items()}


def set_topic(settings, name, **configs):
    with closing(make_admin(settings.kafka)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs)])


@pytest.fixture
def settings(broker, tmp_path, models, portraits):
    """A deployment in order, with one person in its gallery."""
    settings = service_settings(broker, tmp_path / "home", models, **HOSTS)
    make_topics(settings)
    make_console_topics(settings)
    with closing(make_admin(settings.kafka)) as admin:
        ensure_report_topic(admin, settings.topics, settings.kafka)
    enrol(settings, "Emmanuel Macron", portraits["person_a_1.jpg"])
    return settings


def test_a_deployment_in_order_fails_in_nothing(settings):
    likeness = program(settings)
    code, found = examined(likeness)
    assert code == 0
    assert "fail" not in states(found).values()
    for name in ("settings", "pictures", "disk", "machine", "model pack opencv-zoo", "threshold", "database", "tables"):
        assert found[name]["state"] == "ok", found[name]
    for name in ("database writes", "gallery", "faces kept", "master key", "broker"):
        assert found[name]["state"] == "ok", found[name]
    assert found["gallery"]["sentence"] == "1 identities, 1 references."
    topics = [name for name in found if name.startswith("topic ")]
    assert len(topics) == 7
    assert all("one copy" in found[name]["sentence"] for name in topics)
    table = likeness("doctor")
    assert table.code == 0
    assert all(finding["mend"] in table.out for finding in found.values())


def test_what_is_missing_before_the_first_start_is_no_failure_but_the_models(broker, tmp_path):
    settings = kafka_settings(broker, tmp_path / "home")
    code, found = examined(program(settings))
    assert code == 1
    assert {name for name, state in states(found).items() if state == "fail"} == {"model pack opencv-zoo"}
    assert "likeness models pull opencv-zoo" in found["model pack opencv-zoo"]["mend"]
    assert {found[name]["state"] for name in found if name.startswith("topic ")} == {"warn"}
    assert not (settings.home / "likeness.db").exists() and not (settings.home / "master.key").exists()
    code, found = examined(program(settings), LIKENESS_TOPICS__CREATE="false")
    name = f"topic {settings.topics.gallery_changes}"
    assert found[name]["state"] == "fail" and "--config cleanup.policy=compact" in found[name]["mend"]


def test_what_the_group_has_left_to_do_is_told(broker, tmp_path):
    settings = kafka_settings(broker, tmp_path / "home")
    make_topics(settings)
    with closing(make_producer(settings.kafka)) as producer:
        for _ in range(5):
            producer.send(settings.topics.uploads, b"upload", partition=0).get(10)
    title = f"group {settings.kafka.group_id}"
    with closing(make_consumer(settings.kafka, settings.topics.uploads, group_id=settings.kafka.group_id)) as consumer:
        deadline = time.monotonic() + 20
        while not consumer.poll(timeout_ms=100, max_records=2) and time.monotonic() < deadline:
            pass
        consumer.commit()
        done = sum(consumer.position(partition) for partition in consumer.assignment())
        _, found = examined(program(settings))
        assert f"{5 - done} uploads wait" in found[title]["sentence"], found[title]


def test_nobody_in_the_group_of_apache_kafka_is_a_warning_and_uploads_that_left_unseen_a_failure(
    apache_kafka, tmp_path
):
    settings = kafka_settings(apache_kafka, tmp_path / "home")
    make_topics(settings)
    with closing(make_producer(settings.kafka)) as producer:
        for _ in range(5):
            producer.send(settings.topics.uploads, b"upload", partition=0).get(10)
    title = f"group {settings.kafka.group_id}"
    with closing(make_consumer(settings.kafka, settings.topics.uploads, group_id=settings.kafka.group_id)) as consumer:
        while not consumer.poll(timeout_ms=100, max_records=1):
            pass
        consumer.commit()
        assert "1 members; 4 uploads wait" in examined(program(settings))[1][title]["sentence"]
    _, found = examined(program(settings))
    assert found[title]["state"] == "warn" and "0 members; 4 uploads wait" in found[title]["sentence"]
    with closing(make_admin(settings.kafka)) as admin:
        admin.delete_records({TopicPartition(settings.topics.uploads, 0): 4})
    _, found = examined(program(settings))
    assert found[title]["sentence"] == "3 uploads have left the topic before they were consumed."


def test_topics_with_settings_that_lose_something_are_found(apache_kafka, tmp_path):
    settings = kafka_settings(apache_kafka, tmp_path / "home")
    make_topics(settings)
    topics = settings.topics
    set_topic(settings, topics.gallery_changes, **{"cleanup.policy": "delete"})
    set_topic(settings, topics.uploads, **{"min.insync.replicas": "2"})
    set_topic(settings, topics.dead_letters, **{"max.message.bytes": "1000000"})
    set_topic(settings, topics.screenings, **{"retention.ms": "3600000"})
    ended = program(settings)("doctor")
    assert ended.code == 1
    for said in (
        f"fail   topic {topics.gallery_changes}: Set cleanup.policy=compact.",
        f"fail   topic {topics.uploads}: Raise the replication factor, or set min.insync.replicas=1.",
        f"warn   topic {topics.dead_letters}: Set max.message.bytes=24000000",
        f"warn   topic {topics.screenings}: Set retention.ms=2592000000",
    ):
        assert said in ended.out, said


def test_transactions_are_tried_out_only_when_asked_for(broker, tmp_path):
    settings = kafka_settings(broker, tmp_path / "home")
    make_topics(settings)
    likeness = program(settings)
    assert "transactions" not in examined(likeness)[1]
    with closing(make_admin(settings.kafka)) as admin:
        assert f"{settings.topics.screenings}-probe" not in admin.list_topics()
    works = broker.name.startswith("Apache")
    assert examined(likeness, "--deep")[1]["transactions"]["state"] == ("ok" if works else "warn")
    must = examined(likeness, "--deep", LIKENESS_KAFKA__DELIVERY="transactional")[1]["transactions"]
    assert must["state"] == ("ok" if works else "fail")


def test_the_records_are_examined_on_postgresql(postgres, tansu, tmp_path, models):
    settings = service_settings(tansu, tmp_path / "home", models, database={"url": postgres.create_database()}, **HOSTS)
    likeness = program(settings)
    _, found = examined(likeness)
    assert (found["database"]["state"], found["tables"]["state"], found["clock"]["state"]) == ("ok", "warn", "ok")
    assert "database writes" not in found
    with open_records(settings) as records:
        records.add_identity("Ada", "victim")
    _, found = examined(likeness)
    assert {found[name]["state"] for name in ("tables", "database writes", "master key", "clock")} == {"ok"}
    assert (found["gallery"]["state"], found["gallery"]["sentence"]) == ("warn", "It is empty: nobody is protected.")


def test_a_master_key_that_others_may_read_or_that_is_another_is_found(settings):
    likeness = program(settings)
    key = settings.home / "master.key"
    key.chmod(0o644)
    found = examined(likeness)[1]["master key"]
    assert (found["state"], found["mend"]) == ("warn", f"chmod 600 {key}")
    key.write_bytes(base64.b64encode(os.urandom(32)))
    found = examined(likeness)[1]["master key"]
    assert found["state"] == "fail" and "does not open the data key" in found["sentence"]
    key.unlink()
    found = examined(likeness)[1]["master key"]
    assert found["state"] == "fail" and "There is no master key" in found["sentence"]
    assert not key.exists()


def test_a_wrong_setting_is_a_finding(tmp_path):
    code, found = examined(Program(tmp_path / "home"), LIKENESS_KAFKA__DELIVERY="maybe")
    assert code == 1 and list(found) == ["settings"]
    assert "kafka.delivery" in found["settings"]["sentence"]


@pytest.fixture
def silent():
    """A server that takes connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        held = []

        def hold():
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=hold, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for one in held:
            one.close()


def test_it_ends_in_time_and_says_what_it_knows_when_all_around_is_away_or_silent(tmp_path, models, silent):
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models)
    likeness = Program(home, LIKENESS_DATABASE__URL=f"postgresql://ada@{silent}/likeness")
    for broker in (f"127.0.0.1:{free_port()}", silent):
        begun = time.monotonic()
        code, found = examined(likeness, LIKENESS_KAFKA__BOOTSTRAP_SERVERS=broker)
        assert time.monotonic() - begun < 20
        assert code == 1
        assert {found[name]["state"] for name in ("model pack opencv-zoo", "threshold", "disk")} == {"ok"}
        assert "fail" in {one["state"] for name, one in found.items() if name in ("broker", "brokers")}
        assert "fail" in {one["state"] for name, one in found.items() if name in ("database", "records")}


def test_no_secret_is_ever_printed(tmp_path, tansu):
    secrets = {
        name: f"s3cr3t-{number}-w0rd"
        for number, name in enumerate(
            ["LIKENESS_KAFKA__SASL_PASSWORD", "LIKENESS_KAFKA__SSL_PASSWORD", "LIKENESS_KEYS__MASTER_KEY"]
        )
    }
    more = {
        "LIKENESS_DATABASE__URL": "postgresql://ada:s3cr3t-8@127.0.0.1:1/likeness?sslpassword=s3cr3t-9",
        "LIKENESS_KAFKA__EXTRA": json.dumps({"sasl_oauth_token_provider": "s3cr3t-10"}),
        "LIKENESS_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "LIKENESS_KAFKA__SASL_MECHANISM": "PLAIN",
        "LIKENESS_KAFKA__SASL_USERNAME": "ada",
        "LIKENESS_KAFKA__BOOTSTRAP_SERVERS": tansu.bootstrap_servers,
    }
    for url in (more["LIKENESS_DATABASE__URL"], "postgresql://ada:s3cr3t-8@host:port/x", "nonsense:s3cr3t-8"):
        for words in ([], ["--json"]):
            ended = Program(tmp_path / "home")("doctor", *words, **secrets, **more | {"LIKENESS_DATABASE__URL": url})
            assert ended.code == 1
            assert "s3cr3t" not in ended.out + ended.err, ended
