"""What moderators decide reaches review-decisions: when it is final, once, whatever is away or dies meanwhile."""

import json
import signal
import subprocess
import sys
import threading
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jsonschema import Draft202012Validator
from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError

from consumers import decision_sender
from consumers.case_feed import new_case
from consumers.console_metrics import ConsoleMetrics
from consumers.decision_relay import DecisionRelay
from consumers.kafka import make_consumer, read_to_end
from consumers.outgoing import DeliveryFailed, send_all
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
        outbox, stop = DecisionOutbox(self.database, self.desk.audit), stop or threading.Event()
        return DecisionRelay(self.settings, self.desk.decisions, outbox, ConsoleMetrics(), stop, pytest.fail)

    def audited(self):
        """The decisions that the audit log says were sent."""
        entries = [one for one in self.desk.audit.read(limit=1000) if one.action == "decision_sent"]
        return sorted(entry.details["decision_id"] for entry in entries)


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


KILLED = """
import os, signal, sys, threading
from config import load_settings
from consumers import decision_sender
from consumers.console_metrics import ConsoleMetrics
from consumers.decision_relay import DecisionRelay
from records.casework.decision_outbox import DecisionOutbox
from records.database import open_database
from records.keys.keyring import MasterKey
from web.desk import open_desk
def after(function):
    def dies(*given):
        function(*given)
        os.kill(os.getpid(), signal.SIGKILL)
    return dies
match sys.argv[1]:
    case "numbered":
        DecisionRelay._publish = after(lambda *given: None)
    case "sent":
        decision_sender.send_all = after(decision_sender.send_all)
    case "acknowledged":
        DecisionRelay._publish = after(DecisionRelay._publish)
    case "deleted":
        DecisionOutbox._settle = after(DecisionOutbox._settle)
settings = load_settings()
database = open_database(settings.database_url)
desk = open_desk(settings, database, MasterKey.of(bytes(32)))
outbox = DecisionOutbox(database, desk.audit)
relay = DecisionRelay(settings, desk.decisions, outbox, ConsoleMetrics(), threading.Event(), print)
relay.finish()
relay.drain()
"""


@pytest.mark.parametrize("step", ["numbered", "sent", "acknowledged", "deleted"])
def test_a_relay_that_is_killed_between_two_steps_has_each_decision_told_and_audited_once(deciding, broker, step):
    made = sorted(deciding.decide()[1].decision_id for _ in range(3))
    died = subprocess.run(
        [sys.executable, "-c", KILLED, step],
        env=environment(deciding.settings),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    relay = deciding.relay()

    def drained():  # a database server takes a moment to notice that the lock's holder is gone
        relay.drain()
        return deciding.audited() == made

    eventually(drained)
    relay.close()
    told = sent(deciding.settings)
    if isinstance(broker, ApacheKafka):
        assert ids(told) == made
    else:  # without transactions what was sent is sent again, byte by byte
        assert ids(told) == sorted(made * (2 if step in ("sent", "acknowledged") else 1))
        assert len({record.value for record in told}) == len(made)


def test_a_relay_that_is_believed_dead_and_wakes_up_tells_nothing_again(apache_kafka, database_url, tmp_path):
    settings = kafka_settings(apache_kafka, tmp_path, database={"url": database_url}, console=AT_ONCE)
    make_console_topics(settings)
    with closing(open_database(database_url)) as database, closing(open_database(database_url)) as asleep:
        database.migrate()
        asleep.sole = lambda task: nullcontext(True)  # it does not know that the database has given its lock away
        deciding = Deciding(settings, database)
        first, second = (deciding.decide()[1].decision_id for _ in range(2))
        sleeper = DecisionOutbox(asleep, deciding.desk.audit)
        zombie, relay = deciding.relay(), deciding.relay()
        relay.finish()
        zombie._outbox = sleeper
        publish = zombie._publish

        def sleep(batch):
            zombie._publish = publish
            assert relay.drain() == 2
            publish(batch)

        zombie._publish = sleep
        assert zombie.drain() == 0
        third = deciding.decide()[1].decision_id
        assert (relay.finish(), relay.drain()) == (1, 1), "the zombie has fenced it off, and it comes back"
        zombie.close()
        relay.close()
        assert ids(sent(settings)) == deciding.audited() == sorted([first, second, third])


def test_an_acknowledgement_that_is_lost_has_nothing_told_again(apache_kafka, tmp_path, monkeypatch):
    settings = kafka_settings(apache_kafka, tmp_path, console=AT_ONCE)
    make_console_topics(settings)
    commit = KafkaProducer.commit_transaction

    def lose(producer):
        commit(producer)
        monkeypatch.undo()
        raise KafkaTimeoutError("no answer")

    with closing(open_database(settings.database_url)) as database:
        database.migrate()
        deciding = Deciding(settings, database)
        relay = deciding.relay()
        first = deciding.decide()[1].decision_id
        assert (relay.finish(), relay.drain()) == (1, 1)
        second = deciding.decide()[1].decision_id
        relay.finish()
        monkeypatch.setattr(KafkaProducer, "commit_transaction", lose)
        with pytest.raises(DeliveryFailed):
            relay.drain()
        assert deciding.audited() == [first]
        assert relay.drain() == 1
        relay.close()
        assert ids(sent(settings)) == deciding.audited() == sorted([first, second])


@pytest.mark.parametrize("away", [1.0, 8.0], ids=["for a moment", "for longer than a transaction may last"])
def test_a_broker_that_is_killed_amid_a_batch_is_told_it_once(tmp_path, monkeypatch, away):
    with ApacheKafka(tmp_path / "kafka") as broker:
        settings = kafka_settings(
            broker,
            tmp_path / "home",
            console=AT_ONCE,
            gallery={"retry_seconds": 1.0},
            kafka={"transaction_seconds": 6.0},
        )
        make_console_topics(settings)
        gone = threading.Event()

        def send_and_die(*given):
            send_all(*given)
            if not gone.is_set():
                broker.kill()
                gone.set()

        monkeypatch.setattr(decision_sender, "send_all", send_and_die)
        with closing(open_database(settings.database_url)) as database:
            database.migrate()
            deciding, stop = Deciding(settings, database), threading.Event()
            with running(deciding.relay(stop), stop):
                made = sorted(deciding.decide()[1].decision_id for _ in range(20))
                assert gone.wait(30)
                stop.wait(away)
                case, _ = late = deciding.decide()
                eventually(lambda: deciding.desk.cases.get(case.id).state == "closed", seconds=5)
                broker.start()
                everything = sorted([*made, late[1].decision_id])
                eventually(lambda: deciding.audited() == everything)
            assert ids(sent(settings)) == everything


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
