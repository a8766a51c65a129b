"""What goes wrong around a running service: brokers and databases go away, the loop hangs, settings are wrong."""

import shutil
import socket
import time
from collections import Counter

import numpy as np
import psycopg
import pytest

from consumers import gallery_feed, kafka
from consumers import service as consumer_service
from consumers.kafka import BrokerAway
from demo.broker import EmbeddedBroker, free_port
from likeness.workbench import open_records
from records.references import ReferencePhoto
from tests.support.kafka_broker import ApacheKafka
from tests.support.running_service import (
    MACRON,
    ServiceProcess,
    ServiceThread,
    Topics,
    ask,
    enrol,
    eventually,
    expected_outcomes,
    metric,
    mixed_uploads,
    outcomes,
    service_settings,
    upload,
)
from tests.support.web_site import WebSite, answer, drip

# Brokers and databases that are away


def test_a_service_whose_broker_is_away_says_so_and_starts_when_it_comes(tmp_path, models, portraits):
    broker = EmbeddedBroker(tmp_path / "broker")
    settings = service_settings(broker, tmp_path / "home", models)
    service = ServiceThread(settings).start()
    try:
        eventually(lambda: broker.bootstrap_servers in ask(settings, "/readyz")[1])
        status, why = ask(settings, "/readyz")
        assert status == 503 and why.startswith("No Kafka broker answers at ")
        assert ask(settings, "/healthz") == (200, "ok\n")
        assert metric(settings, "likeness_ready") == 0
        with broker:
            service.wait_ready()
            topics = Topics(settings)
            sent = upload(picture=portraits["impostor_1.jpg"].read_bytes())
            topics.send(sent)
            assert topics.screening(sent["event_id"])["verdict"] == "clear"
            topics.close()
            service.stop()
    finally:
        service.stop()


@pytest.mark.parametrize("where", [consumer_service, gallery_feed], ids=["to join", "to load the gallery"])
def test_a_broker_that_goes_away_amid_the_start_is_waited_for(tansu, tmp_path, models, monkeypatch, where):
    made, away = [], iter([True, True])

    def make_consumer(*given, **options):
        if next(away, False):
            raise BrokerAway("No Kafka broker answers.")
        made.append(kafka.make_consumer(*given, **options))
        return made[-1]

    monkeypatch.setattr(where, "make_consumer", make_consumer)
    with ServiceThread(service_settings(tansu, tmp_path / "home", models)):
        assert made


def test_sigterm_while_the_broker_is_away_ends_the_process_in_order(tmp_path, models):
    class Nowhere:
        name, bootstrap_servers = "nowhere", f"127.0.0.1:{free_port()}"

    settings = service_settings(Nowhere, tmp_path, models)
    service = ServiceProcess(settings).start()
    eventually(lambda: "No Kafka broker" in ask(settings, "/readyz")[1], 30)
    assert service.terminate() == 0
    assert "Traceback" not in "".join(service.log)


class Door:
    """Shuts a database of PostgreSQL for everybody, and opens it again."""

    def __init__(self, server):
        self._admin = psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True)
        self.url = server.create_database()
        self._name = self.url.rpartition("/")[2]

    def shut(self):
        self._admin.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
        self._admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [self._name])

    def open(self):
        self._admin.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")

    def close(self):
        self._admin.close()


def test_a_database_that_goes_away_delays_the_start_and_gallery_changes_but_no_screening(
    tansu, tmp_path, models, portraits, postgres
):
    door = Door(postgres)
    settings = service_settings(tansu, tmp_path, models, database={"url": door.url})
    door.shut()
    stopped = ServiceThread(settings).start()
    eventually(lambda: "Waiting for the database" in ask(settings, "/readyz")[1])
    stopped.stop()
    service = ServiceThread(settings).start()
    eventually(lambda: "Waiting for the database" in ask(settings, "/readyz")[1])
    assert ask(settings, "/readyz")[0] == 503 and ask(settings, "/healthz")[0] == 200
    door.open()
    service.wait_ready()
    topics = Topics(settings)
    picture = portraits["person_a_2.jpg"].read_bytes()

    def verdict():
        sent = upload(picture=picture)
        topics.send(sent)
        return topics.screening(sent["event_id"])["verdict"]

    door.shut()
    assert verdict() == "clear"
    time.sleep(0.6)
    assert ask(settings, "/readyz")[0] == 200
    door.open()
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    eventually(lambda: verdict() == "review")
    service.stop()
    topics.close()
    door.close()


def test_a_broker_that_goes_away_and_comes_back_costs_no_outcome_and_doubles_none(tmp_path, models, portraits):
    with ApacheKafka(tmp_path / "kafka") as broker:
        settings = service_settings(
            broker, tmp_path / "home", models, screening={"batch_size": 4, "dead_letter_share": 1.0}
        )
        enrol(settings, MACRON, portraits["person_a_1.jpg"])
        with ServiceThread(settings):
            topics = Topics(settings)
            topics.send_all(mixed_uploads(portraits, 60))
            topics.until(lambda: len(outcomes(topics)) >= 12)
            broker.restart()
            topics.until(lambda: set(outcomes(topics)) == expected_outcomes(60), 60)
            topics.poll(300)
            assert outcomes(topics) == Counter(expected_outcomes(60))
            topics.close()


def test_healthz_fails_while_the_loop_hangs_and_the_uploads_are_screened_after_all(tmp_path, models, portraits):
    with ApacheKafka(tmp_path / "kafka") as broker:
        settings = service_settings(
            broker, tmp_path / "home", models, kafka={"max_poll_interval_ms": 1_000, "session_timeout_ms": 10_000}
        )
        enrol(settings, MACRON, portraits["person_a_1.jpg"])
        with ServiceThread(settings):
            topics = Topics(settings)
            topics.send_all(mixed_uploads(portraits, 60))
            topics.until(lambda: len(outcomes(topics)) >= 6)
            broker.pause()
            eventually(lambda: ask(settings, "/healthz")[0] == 503)
            assert "has not polled for" in ask(settings, "/healthz")[1]
            assert ask(settings, "/readyz")[0] == 503
            broker.resume()
            eventually(lambda: ask(settings, "/healthz")[0] == 200, 30)
            topics.until(lambda: set(outcomes(topics)) == expected_outcomes(60), 30)
            assert outcomes(topics) == Counter(expected_outcomes(60))
            topics.close()


def test_an_image_host_that_hangs_holds_up_no_other_upload(tansu, tmp_path, models, portraits):
    picture = portraits["impostor_1.jpg"].read_bytes()
    with WebSite({"/slow.jpg": [drip(answer(length=10**6), b"x")] * 40}).running() as site:
        settings = service_settings(
            tansu,
            tmp_path,
            models,
            fetch={
                "allowed_hosts": ["127.0.0.1"],
                "private_hosts": [f"127.0.0.1:{site.port}"],
                "total_seconds": 6.0,
                "attempts": 1,
            },
        )
        with ServiceThread(settings):
            topics = Topics(settings)
            slow = [topics.send(upload(image={"url": site.url("/slow.jpg")})) for _ in range(20)]
            sent = time.monotonic()
            inline = [upload(picture=picture) for _ in range(20)]
            for one in inline:
                topics.send(one)
            topics.until(lambda: all(topics.of(one["event_id"], "screening") for one in inline))
            assert time.monotonic() - sent < 4
            assert not topics.data("dead_letter")
            assert {topics.dead_letter(place)["reason"] for place in slow} <= {"fetch_timeout", "host_down"}
            topics.close()


# Settings and files that are wrong


@pytest.fixture(scope="module")
def refused(tmp_path_factory, models, tansu, portraits):
    """Processes that must refuse to start, all started together: exit code and log by what is wrong."""
    homes = tmp_path_factory.mktemp("refused")

    def settings_of(name, broker=tansu, **tables):
        return service_settings(broker, homes / name, models, **tables)

    wrong_hash = settings_of("wrong hash")
    (homes / "wrong hash" / "models").unlink()
    shutil.copytree(models / "opencv-zoo", homes / "wrong hash" / "models" / "opencv-zoo")
    damaged = next((homes / "wrong hash" / "models" / "opencv-zoo").glob("*sface*"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\0")

    wrong_key = settings_of("wrong master key")
    enrol(wrong_key, MACRON, portraits["person_a_1.jpg"])
    (homes / "wrong master key" / "master.key").unlink()

    another_pack = settings_of("another pack")
    _enrol_with_another_pack(another_pack)

    taken = socket.create_server(("127.0.0.1", 0))
    port_taken = settings_of("port taken", http={"port": taken.getsockname()[1]})
    processes = {
        "wrong hash": ServiceProcess(wrong_hash),
        "wrong master key": ServiceProcess(wrong_key),
        "another pack": ServiceProcess(another_pack),
        "port taken": ServiceProcess(port_taken),
        "unknown setting": ServiceProcess(settings_of("unknown"), LIKENESS_KAFKA__BOOTSTRAP_SERVER="typo:9092"),
    }
    for process in processes.values():
        process.start()
    yield {name: (process.wait(60), process.log) for name, process in processes.items()}
    taken.close()


def _enrol_with_another_pack(settings):
    photo = ReferencePhoto(
        provenance="test",
        photo_sha256="0" * 64,
        photo_jpeg=b"jpeg",
        width=100,
        height=100,
        face_box=(0.0, 0.0, 50.0, 50.0),
        quality=1.0,
        embeddings={"another-pack": np.eye(1, 512, dtype=np.float32)[0]},
    )
    with open_records(settings) as records:
        records.add_identity("Somebody", "celebrity", references=[photo])


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("wrong hash", ["SHA-256"]),
        ("wrong master key", ["master key"]),
        ("another pack", ["1 references", "models.pack"]),
        ("port taken", ["http.port", "in use"]),
        ("unknown setting", ["kafka.bootstrap_server:", "no such setting"]),
    ],
)
def test_what_must_be_mended_ends_the_start_with_code_2_and_one_sentence(refused, what, words):
    code, log = refused[what]
    assert code == 2, log
    assert log[-1].startswith("likeness: ") and log[-1].count("\n") == 1
    assert all(word.lower() in log[-1].lower() for word in words), log[-1]
    assert "Traceback" not in "".join(log)
