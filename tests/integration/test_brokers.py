import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from config import SettingsError
from consumers.kafka import BrokerAway, make_admin, make_consumer, make_producer, wait_for_broker
from consumers.topics import ensure_topics
from demo.broker import BrokerFailed, BrokerProcess, free_port
from tests.support.kafka_broker import ApacheKafka
from tests.support.kafka_settings import kafka_settings

ORPHAN = """
import sys, time
from pathlib import Path
from demo.broker import EmbeddedBroker
with EmbeddedBroker(Path(sys.argv[1])) as broker:
    print(broker.bootstrap_servers, flush=True)
    time.sleep(60)
"""


def listens(address):
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def read_all(settings, topic, expected):
    consumer = make_consumer(settings.kafka, topic)
    values, deadline = [], time.monotonic() + 20
    while len(values) < expected and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=200).values():
            values += [record.value for record in records]
    consumer.close()
    return values


def test_a_message_travels_through_either_broker(broker, tmp_path):
    settings = kafka_settings(broker, tmp_path)
    admin = make_admin(settings.kafka)
    ensure_topics(admin, settings.topics, settings.kafka)
    admin.close()
    producer = make_producer(settings.kafka)
    producer.send(settings.topics.uploads, b"picture", b"account").get(timeout=10)
    producer.close()
    assert read_all(settings, settings.topics.uploads, 1) == [b"picture"]


def test_the_embedded_broker_dies_with_its_parent_and_writes_nothing_at_home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path / "broker")], env=environment, stdout=subprocess.PIPE, text=True
    )
    address = parent.stdout.readline().strip()
    assert listens(address)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 5
    while listens(address) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listens(address)
    assert list(home.iterdir()) == []


def test_a_broker_that_ends_at_start_is_reported_with_the_end_of_its_log(tmp_path):
    broker = BrokerProcess(tmp_path, free_port())
    with pytest.raises(BrokerFailed, match=r"ended with code 3(.|\n)*the disk is full"):
        broker.start(["/bin/sh", "-c", "echo the disk is full; exit 3"], {})


def test_apache_kafka_keeps_its_address_and_messages_over_a_restart(apache_kafka, tmp_path):
    with ApacheKafka(tmp_path / "kafka", {"log.flush.interval.messages": "1"}) as broker:
        settings = kafka_settings(broker, tmp_path)
        admin = make_admin(settings.kafka)
        ensure_topics(admin, settings.topics, settings.kafka)
        admin.close()
        producer = make_producer(settings.kafka)
        producer.send(settings.topics.uploads, b"picture", b"account").get(timeout=10)
        producer.close()
        address = broker.bootstrap_servers
        broker.restart()
        assert broker.bootstrap_servers == address
        assert read_all(settings, settings.topics.uploads, 1) == [b"picture"]


def fetched_with(path, target):
    program = "import sys; from pathlib import Path; from tests.support.kafka_broker import fetch_jars"
    command = [sys.executable, "-c", f"{program}; fetch_jars(Path(sys.argv[1]))", str(target)]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False).stderr


def test_a_machine_without_java_has_no_apache_kafka_and_is_told_why(tmp_path):
    assert "BrokerUnavailable: java is not installed" in fetched_with(tmp_path, tmp_path / "target")


def test_jars_that_maven_cannot_bring_leave_nothing_behind_and_maven_is_quoted(tmp_path):
    for name in ("java", "mvn"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho '[ERROR] no route to the repository'\nexit 1\n")
        program.chmod(0o755)
    assert "no route to the repository" in fetched_with(tmp_path, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


def test_a_broker_that_speaks_another_protocol_is_told_of_in_bounded_time(tansu, tmp_path):
    settings = kafka_settings(tansu, tmp_path, kafka={"security_protocol": "SSL"})
    stop, told = threading.Event(), []

    def give_up(why):
        told.append(why)
        stop.set()

    started = time.monotonic()
    with pytest.raises(BrokerAway, match="over SSL"):
        wait_for_broker(settings.kafka, stop, give_up)
    assert told and time.monotonic() - started < 60


def test_a_client_option_that_there_is_not_is_refused_instead_of_waited_for(tansu, tmp_path):
    settings = kafka_settings(tansu, tmp_path, kafka={"extra": {"no_such_option": 1}})
    waits = []
    with pytest.raises(SettingsError, match=r"kafka\.extra\.no_such_option"):
        wait_for_broker(settings.kafka, threading.Event(), waits.append)
    assert not waits
