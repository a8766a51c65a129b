"""What moderators decide reaches review-decisions: when it is final, once, whatever is away or dies meanwhile."""

import json
import signal
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jsonschema import Draft202012Validator
from kafka import TopicPartition

from consumers.case_feed import new_case
from consumers.console_metrics import ConsoleMetrics
from consumers.decision_relay import DecisionRelay
from consumers.kafka import make_consumer, read_to_end
from records.casework.decision_outbox import DecisionOutbox
from records.database import open_database
from tests.support import running_service
from tests.support.console import MASTER_KEY, finding, make_console_topics, review
from tests.support.kafka_broker import ApacheKafka
from tests.support.kafka_settings import kafka_settings
from tests.support.running_service import environment, schema
from web.desk import open_desk

eventually = partial(running_service.eventually, seconds=40)
AT_ONCE = {"grace_seconds": 0}


class Deciding:
    """A desk with one moderator at it."""

    def __init__(self, settings, database):
        self.settings = settings
        self.desk = open_desk(settings, database, MASTER_KEY)
        self.database = database
        self.moderator = self.desk.moderators.add("mo", "Mo Derator", "moderator", "correct horse battery")

    def decide(self, decision="not_this_person", reason="look_alike", **about):
        """The case of a review, and what was decided on it."""
        new = new_case(review(findings=[finding(**about)]))
        self.desk.cases.open(new, None)
        self.desk.claims.claim(new.id, self.moderator.id, "moderator")
        return new, self.desk.decisions.decide(new.id, self.moderator.id, "moderator", decision, reason, "a note")

    def relay(self, stop=None):
        outbox, stop = DecisionOutbox(self.database), stop or threading.Event()
        return DecisionRelay(
            self.settings, self.desk.decisions, outbox, self.desk.audit, ConsoleMetrics(), stop, pytest.fail
        )


@contextmanager
def running(relay, stop):
    relay.start()
    try:
        yield
    finally:
        stop.set()
        relay.close()


@pytest.fixture
def deciding(broker, database_url, tmp_path):
    """On each kind of broker and of database; decisions are final at once."""
    settings = kafka_settings(broker, tmp_path, database={"url": database_url}, console=AT_ONCE)
    make_console_topics(settings)
    with closing(open_database(database_url)) as database:
        database.migrate()
        yield Deciding(settings, database)


def sent(settings):
    """The messages on the topic of decisions, from its beginning to its end."""
    with closing(make_consumer(settings.kafka)) as consumer:
        topic = settings.topics.decisions
        consumer.assign([TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)])
        return [record for records in read_to_end(consumer, threading.Event()) for record in records]


def ids(records):
    return sorted(json.loads(record.value)["id"] for record in records)


def test_a_decision_is_told_once_with_all_that_a_platform_needs_and_no_name(deciding):
    case, decided = deciding.decide()
    relay = deciding.relay()
    assert (relay.finish(), relay.drain()) == (1, 1)
    assert (relay.finish(), relay.drain()) == (0, 0)
    relay.close()
    (record,) = sent(deciding.settings)
    event = JSONFormat().read(CloudEvent, record.value)
    data = event.get_data()
    assert (event.get_id(), event.get_type()) == (decided.decision_id, "likeness.review.decided.v1")
    assert (event.get_source(), record.key) == ("likeness/console", case.account_id.encode())
    assert ("content-type", b"application/cloudevents+json; charset=UTF-8") in record.headers
    Draft202012Validator(schema("review-decisions")).validate(data)
    assert (data["review_id"], data["event_id"], data["account_id"]) == (case.id, case.event_id, case.account_id)
    assert (data["decision"], data["reason"], data["stage"]) == ("not_this_person", "look_alike", "first")
    assert (data["identity_id"], data["decided_by"]) == ("idn_1", deciding.moderator.id)
    assert not any(name in record.value.decode() for name in ("Ana", "Mo Derator", "a note"))
    assert deciding.desk.cases.get(case.id).state == "closed"
    (entry,) = (one for one in deciding.desk.audit.read(subject=case.id) if one.action == "decision_sent")
    assert (entry.actor, entry.details) == ("system", {"decision_id": decided.decision_id})


def test_a_review_that_names_nobody_can_be_decided_and_told(deciding):
    nobody = {"identity_id": None, "identity_name": None, "identity_kind": None, "runner_up": None}
    deciding.decide("confirmed", "other", kind="foreign_watermark", **nobody)
    relay = deciding.relay()
    assert (relay.finish(), relay.drain()) == (1, 1)
    relay.close()
    assert json.loads(sent(deciding.settings)[0].value)["data"]["identity_id"] is None


def test_nothing_is_told_that_is_undone_in_time(apache_kafka, tmp_path):
    settings = kafka_settings(apache_kafka, tmp_path, console={"grace_seconds": 3600})
    make_console_topics(settings)
    with closing(open_database(settings.database_url)) as database:
        database.migrate()
        deciding, stop = Deciding(settings, database), threading.Event()
        with running(deciding.relay(stop), stop):
            case, decided = deciding.decide()
            threading.Event().wait(2.5)
            assert deciding.desk.decisions.undo(decided.decision_id, deciding.moderator.id).id == case.id
    assert sent(settings) == []


def test_several_relays_at_once_tell_each_decision_once(deciding):
    stop = threading.Event()
    with running(deciding.relay(stop), stop), running(deciding.relay(stop), stop):
        made = [deciding.decide()[1].decision_id for _ in range(20)]
        eventually(lambda: len(sent(deciding.settings)) >= 20)
        threading.Event().wait(2.0)
    assert ids(sent(deciding.settings)) == sorted(made)


def test_what_a_killed_relay_may_have_told_is_told_again_byte_by_byte(deciding):
    made = sorted(deciding.decide()[1].decision_id for _ in range(3))
    program = """
import os, signal, threading
from config import load_settings
from consumers.console_metrics import ConsoleMetrics
from consumers.decision_relay import DecisionRelay
from records.database import open_database
from records.casework.decision_outbox import DecisionOutbox
from web.desk import open_desk
class Killed(DecisionRelay):
    def _publish(self, rows):
        super()._publish(rows)
        os.kill(os.getpid(), signal.SIGKILL)
settings = load_settings()
database = open_database(settings.database_url)
desk, outbox = open_desk(settings, database, bytes(32)), DecisionOutbox(database)
relay = Killed(settings, desk.decisions, outbox, desk.audit, ConsoleMetrics(), threading.Event(), print)
relay.finish()
relay.drain()
"""
    died = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(deciding.settings),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    first = sent(deciding.settings)
    assert ids(first) == made
    relay = deciding.relay()
    eventually(relay.drain)  # a database server takes a moment to notice that the lock's holder is gone
    relay.close()
    repeats = sent(deciding.settings)
    assert ids(repeats) == sorted(made * 2)
    assert {record.value for record in repeats} == {record.value for record in first}


def test_while_kafka_is_away_cases_are_closed_and_what_was_decided_follows_later(tmp_path, caplog):
    with ApacheKafka(tmp_path / "kafka") as broker:
        settings = kafka_settings(broker, tmp_path / "home", console=AT_ONCE, gallery={"retry_seconds": 1.0})
        make_console_topics(settings)
        with closing(open_database(settings.database_url)) as database:
            database.migrate()
            deciding, stop = Deciding(settings, database), threading.Event()
            with running(deciding.relay(stop), stop):
                broker.kill()
                case, decided = deciding.decide()
                eventually(lambda: deciding.desk.cases.get(case.id).state == "closed")
                eventually(lambda: any("Decisions wait in the database" in line for line in caplog.messages))
                broker.start()
                eventually(lambda: ids(sent(settings)) == [decided.decision_id])
