"""likeness serve: pages for moderators, and behind them reviews that become cases and decisions that are told."""

import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from consumers import console_service
from consumers.case_feed import new_case
from consumers.console_service import ConsoleService
from consumers.kafka import make_consumer
from likeness.page_server import PageServer
from records.casework.cases import CasePicture, CaseRecords
from records.database import open_database
from records.errors import UnknownCase
from tests.support.console import MASTER_KEY, open_cases, review, send
from tests.support.console_process import ConsoleProcess, console_settings
from tests.support.postgres import PostgresServer
from tests.support.running_service import ask, eventually, metric
from web.desk import open_desk


class Nowhere:
    """A broker that is not there."""

    name, bootstrap_servers = "nowhere", "127.0.0.1:9"


def page(address, path="/login", **headers):
    """The status of a page."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address + path, headers=headers), timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_review_becomes_a_case_and_a_decision_on_it_is_told(broker, tmp_path, models, portraits):
    settings = console_settings(broker, tmp_path / "home", models)
    sent = review(portraits["person_a_2.jpg"].read_bytes())
    with ConsoleProcess(settings) as console, closing(open_database(settings.database_url)) as database:
        assert page(console.address) == 200
        desk = open_desk(settings, database, MASTER_KEY)
        moderator = desk.moderators.add("mo", "Mo", "moderator", "correct horse battery staple")
        eventually(lambda: metric(settings, "likeness_console_seconds_since_reviews") < 5, 40)
        send(settings, sent)
        eventually(lambda: case_of(desk.cases, sent), 40)
        assert desk.cases.picture(str(sent.review_id)) is not None
        desk.claims.claim(str(sent.review_id), moderator.id, "moderator")
        decided = desk.decisions.decide(str(sent.review_id), moderator.id, "moderator", "confirmed", "same_person")
        (event,) = read_decisions(settings, 1)
        assert event["id"] == decided.decision_id
        eventually(lambda: metric(settings, "likeness_console_decisions_sent_total") == 1)
        assert metric(settings, 'likeness_console_reviews_total{result="opened"}') == 1
        assert console.terminate() == 0
    assert not [one for one in console.messages() if one["level"] == "ERROR"]
    assert not any("acct-1" in line or "event-" in line for line in console.log)


def case_of(cases, sent):
    try:
        return cases.get(str(sent.review_id))
    except UnknownCase:
        return None


def read_decisions(settings, count):
    with closing(make_consumer(settings.kafka, settings.topics.decisions, group_id="enforcement")) as consumer:
        found = []

        def enough():
            for records in consumer.poll(timeout_ms=100).values():
                found.extend(json.loads(record.value) for record in records)
            return len(found) >= count

        eventually(enough, 40)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_pages_work_while_kafka_is_away_and_the_process_leaves_when_asked(tmp_path, models, number):
    settings = console_settings(Nowhere, tmp_path / "home", models)
    with ConsoleProcess(settings) as console:
        assert page(console.address) == 200
        assert ask(settings, "/healthz") == (200, "ok\n")
        eventually(lambda: any("Reviews wait in Kafka" in line for line in console.log))
        asked = time.monotonic()
        console._process.send_signal(number)
        assert console.wait() == 0
        assert time.monotonic() - asked < 10


def test_a_database_that_is_away_is_waited_for(tmp_path, models):
    with PostgresServer() as server:
        settings = console_settings(Nowhere, tmp_path / "home", models, database={"url": server.create_database()})
        server.halt()
        console = ConsoleProcess(settings).start()
        try:
            eventually(lambda: "Waiting for the database" in ask(settings, "/readyz")[1], 40)
            server.resume()
            console.wait_ready()
            assert page(console.address) == 200
            server.halt()
            assert page(console.address, "/account", Cookie="__Host-likeness=expired") == 503
            assert ask(settings, "/healthz")[0] == 200
            server.resume()
            eventually(lambda: page(console.address, "/account", Cookie="__Host-likeness=expired") == 200)
        finally:
            console.stop()


def test_it_leaves_when_asked_while_it_waits_for_the_database(tmp_path, models):
    url = "postgresql+psycopg://nobody@127.0.0.1:9/likeness"
    console = ConsoleProcess(console_settings(Nowhere, tmp_path / "home", models, database={"url": url})).start()
    try:
        eventually(lambda: "Waiting for the database" in ask(console.settings, "/readyz")[1], 40)
        assert console.terminate() == 0
    finally:
        console.stop()


def test_pictures_whose_time_has_passed_are_erased(tmp_path, models):
    settings = console_settings(Nowhere, tmp_path / "home", models)
    with closing(open_database(settings.database_url)) as database:
        database.migrate()
        queues = open_cases(settings, database)._queues
        old = CaseRecords(database, MASTER_KEY, queues, keep_pictures=timedelta(0))
        for cases in (old, open_cases(settings, database)):
            cases.open(new_case(review()), CasePicture(b"jpeg", {}))
        with ConsoleProcess(settings):
            eventually(lambda: count(database, "case_pictures") == 1)
        assert count(database, "cases") == 2


def count(database, table):
    with database.read() as session:
        return session.scalar(text(f"SELECT count(*) FROM {table}"))


def test_what_must_be_mended_ends_the_start_with_a_sentence(tmp_path, models):
    def refused(settings):
        console = ConsoleProcess(settings).start()
        assert console.wait() == 2
        return console.log[-1]

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = console_settings(Nowhere, tmp_path / "a", models)
        web = settings.web.model_copy(update={"port": port})
        assert "web.port" in refused(settings.model_copy(update={"web": web}))
        assert "http.port" in refused(console_settings(Nowhere, tmp_path / "b", models, http={"port": port}))
    assert "likeness models pull" in refused(console_settings(Nowhere, tmp_path / "c", None))
    kafka = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}
    assert "sasl_username" in refused(console_settings(Nowhere, tmp_path / "d", models, kafka=kafka))


def test_pages_that_are_no_longer_answered_fail_the_probes_so_that_the_process_is_started_anew(tmp_path):
    settings = console_settings(Nowhere, tmp_path / "home", None)
    stop, pages = threading.Event(), PageServer(FastAPI(), "127.0.0.1", 0)
    with ConsoleService(settings, stop) as service:
        pages.start()
        waiting = threading.Thread(target=service.wait, args=(pages,))
        waiting.start()
        eventually(lambda: ask(settings, "/readyz") == (200, "ok\n"))
        assert metric(settings, "likeness_console_ready") == 1
        pages.close()
        for probe in ("/readyz", "/healthz"):
            assert ask(settings, probe) == (503, "The pages are no longer answered.\n")
        assert metric(settings, "likeness_console_ready") == 0
        stop.set()
        waiting.join()


def test_expiry_goes_on_after_a_defect_and_tells_since_when_it_has_failed(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(console_service, "EXPIRY_SECONDS", 0.05)
    settings, rounds, defects = console_settings(Nowhere, tmp_path / "home", None), [], ["A defect over one report."]

    def expire():
        rounds.append(time.monotonic())
        if defects:
            raise ValueError(*defects)

    with ConsoleService(settings, threading.Event()) as service:
        service.end_consents(expire)
        eventually(lambda: len(rounds) > 5)
        failed_for = metric(settings, "likeness_console_seconds_since_expiry")
        assert failed_for >= rounds[5] - rounds[0]
        defects.clear()
        eventually(lambda: metric(settings, "likeness_console_seconds_since_expiry") < failed_for)
    assert "ValueError: A defect over one report." in caplog.text
