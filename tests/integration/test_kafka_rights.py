"""The table of access rights in docs/operations.md is enough, and no row of it is too much."""

import json
import re
import threading
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from kafka import TopicPartition
from kafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError

from consumers.case_feed import new_case
from consumers.decision_relay import DecisionRelay
from consumers.kafka import make_consumer, make_producer
from consumers.look_back.service import LookBackService
from consumers.report_feed import ReportFeed
from consumers.topics import create_missing, ensure_report_topic, ensure_topics, probe_topic
from records.casework.decision_outbox import DecisionOutbox
from tests.support.console import MASTER_KEY, RunningFeed, finding, looking, make_console_topics, review, send
from tests.support.running_service import (
    MACRON,
    ServiceThread,
    Topics,
    again,
    ask,
    enrol,
    eventually,
    make_topics,
    metric,
    service_settings,
    upload,
)
from tests.support.secured_kafka import as_client, secured
from web.desk import open_desk

__all__ = ["looking", "secured"]

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
KINDS = {"topic": "TOPIC", "group": "GROUP", "transactional": "TRANSACTIONAL_ID"}


def rights():
    """(principal, condition, kind, name, pattern, operation) for each single right of the table."""
    table = re.search(r"## Access rights\n(.*?)\n## ", GUIDE.read_text(), re.S)[1]
    found = []
    for who, what, operations in re.findall(r"^\| (?!principal|---)(.*?) \| (.*?) \| (.*?) \|$", table, re.M):
        principal, _, condition = who.partition(", ")
        kind = KINDS[re.match(r"[a-z]+?(?=s? |s?$)", what)[0]]
        pattern = "PREFIXED" if "prefix" in what else "LITERAL"
        for name in re.findall(r"`([^`]+)`", what):
            for operation in operations.split(", "):
                word = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).upper()
                found.append((principal.strip("`"), condition, kind, name, pattern, word))
    return found


def of(principal, settings, *conditions):
    """The rights of `principal` in the words of SecuredKafka.allow, under the names of `settings`."""
    topics, group = settings.topics, settings.kafka.group_id
    names = {
        "avatar-uploads": topics.uploads,
        "avatar-screenings": topics.screenings,
        "impersonation-reviews": topics.reviews,
        "avatar-dead-letters": topics.dead_letters,
        "gallery-changes": topics.gallery_changes,
        "review-decisions": topics.decisions,
        "victim-reports": topics.reports,
        "avatar-probes": topics.probes,
        "likeness-screening-reports": f"{group}-reports",
        "likeness-screening-cases": f"{group}-cases",
        "avatar-screenings-probe": f"{topics.screenings}-probe",
        "likeness-screening-decisions": f"{group}-decisions",
        "likeness-probe-likeness-screening-decisions": f"likeness-probe-{group}-decisions",
        "likeness-screening": group,
        "likeness-screening-": f"{group}-",
    }
    return [
        (kind, names.get(name, name), pattern, operation)
        for who, condition, kind, name, pattern, operation in rights()
        if who == principal and (not condition or condition in conditions)
    ]


KEPT = "with `look_back.days`"
CONSOLE = [right for right in rights() if right[0] == "likeness serve" and right[1] != KEPT]
LARGE = "for pictures too large for their review"
OURS = [right for right in rights() if right[0] == "likeness run" and not right[1].startswith(KEPT)]
ALWAYS = ("unless `at_least_once`", "with `auto`")
CREATE = "with `topics.create`"


@pytest.fixture
def inner(secured, tmp_path, models):
    """Settings of the test itself, which may do everything."""
    return service_settings(secured.broker, tmp_path, models)


@pytest.fixture
def settings(secured, inner):
    """Settings of a service that comes in as a user of its own, without any right."""
    user = inner.kafka.group_id
    secured.user(user)
    return as_client(inner, secured.over_sasl(user))


def all_topics(secured, inner):
    make_topics(inner)
    make_console_topics(inner)
    with secured.admin() as admin:
        create_missing(admin, (probe_topic(inner.topics),), True)
        ensure_report_topic(admin, inner.topics, inner.kafka)


def screens(topics, portraits):
    """Three uploads end as they should."""
    stolen, other = (upload(picture=portraits[name].read_bytes()) for name in ("person_a_2.jpg", "impostor_1.jpg"))
    topics.send(stolen)
    topics.send(other)
    place = topics.send(b"{nope")
    assert topics.screening(stolen["event_id"])["verdict"] == "review"
    assert topics.screening(other["event_id"])["verdict"] == "clear"
    assert topics.dead_letter(place)["reason"] == "not_json"


@pytest.mark.parametrize("create", [False, True])
def test_the_rights_of_the_table_are_enough_for_everything(secured, inner, settings, portraits, create, caplog):
    caplog.set_level("INFO")
    secured.allow(settings.kafka.sasl_username, of("likeness run", settings, *ALWAYS, *([CREATE] if create else [])))
    if not create:
        all_topics(secured, inner)
    with ServiceThread(again(settings, topics={"create": create})):
        topics = Topics(inner)
        enrol(settings, MACRON, portraits["person_a_1.jpg"])
        eventually(lambda: metric(settings, "likeness_gallery_references") == 1)
        screens(topics, portraits)
        assert 'delivery="transactional"' in ask(settings, "/metrics")[1]
        topics.close()
    assert not [line for line in caplog.messages if "uthoriz" in line or "could not be checked" in line]


@pytest.fixture
def console_settings(settings):
    """Settings of a console that comes in as a user of its own, without any right."""
    return again(settings, console={"grace_seconds": 0}, gallery={"retry_seconds": 0.5})


@contextmanager
def running_console(settings, looking):
    """The case feed, the report feed and the decision relay; a decision waits to be sent."""
    with RunningFeed(settings, looking) as feed:
        desk = open_desk(settings, feed.database, MASTER_KEY)
        moderator = desk.moderators.add("mo", "Mo", "moderator", "correct horse battery staple")
        new = new_case(review(findings=[finding()]))
        desk.cases.open(new, None)
        desk.claims.claim(new.id, moderator.id, "moderator")
        desk.decisions.decide(new.id, moderator.id, "moderator", "confirmed", "same_person")
        outbox = DecisionOutbox(feed.database, desk.audit)
        relay = DecisionRelay(settings, desk.decisions, outbox, feed.metrics, feed.stop, print)
        relay.start()
        topic, intake = settings.topics.reports, desk.platform_intake
        reports = ReportFeed(settings, topic, feed.database, intake, desk.sealing, feed.metrics, feed.stop, print)
        reports.start()
        try:
            yield feed
        finally:
            feed.stop.set()
            relay.close()
            reports.close()


def large_review(inner, picture):
    """A review that only says where its upload stands."""
    producer = make_producer(inner.kafka)
    value = json.dumps(upload("event-large", picture=picture)).encode()
    at = producer.send(inner.topics.uploads, value, b"acct").get(10)
    producer.close()
    return review(url=f"kafka://{at.topic}/{at.partition}/{at.offset}", event_id="event-large")


def reports_passed_over(feed):
    return feed.metrics.registry.get_sample_value("likeness_console_reports_total", {"result": "unreadable"})


def decisions_sent(feed):
    return feed.metrics.registry.get_sample_value("likeness_console_decisions_sent_total")


@pytest.mark.parametrize("create", [False, True])
def test_the_rights_of_the_table_are_enough_for_the_console(
    secured, inner, console_settings, portraits, looking, create, caplog
):
    caplog.set_level("INFO")
    conditions = (LARGE, *ALWAYS, *([CREATE] if create else []))
    secured.allow(console_settings.kafka.sasl_username, of("likeness serve", console_settings, *conditions))
    if create:
        make_topics(inner)
        with secured.admin() as admin:
            admin.delete_topics([inner.topics.reviews])
    else:
        all_topics(secured, inner)
    large = large_review(inner, portraits["person_a_2.jpg"].read_bytes())
    with running_console(again(console_settings, topics={"create": create}), looking) as feed:
        eventually(lambda: decisions_sent(feed) == 1, 30)
        with closing(make_producer(inner.kafka)) as form:
            form.send(inner.topics.reports, b"no report").get(20)
        eventually(lambda: reports_passed_over(feed) == 1, 30)
        send(inner, large)
        case = eventually(lambda: feed.case(large), 30)
        assert feed.cases.picture(case.id) is not None
    assert any("Decisions are sent exactly once" in line for line in caplog.messages)


@pytest.mark.parametrize("taken", CONSOLE, ids=lambda right: f"{right[5]} {right[3]}")
def test_without_any_one_right_the_console_says_which(
    secured, inner, console_settings, portraits, looking, taken, caplog
):
    caplog.set_level("INFO")
    create = taken[1] == CREATE
    conditions = (LARGE, *ALWAYS, *([CREATE] if create else []))
    granted = of("likeness serve", console_settings, *conditions)
    lacking = granted[[right for right in CONSOLE if right[1] in ("", *conditions)].index(taken)]
    secured.allow(console_settings.kafka.sasl_username, [right for right in granted if right != lacking])
    make_topics(inner)
    large = large_review(inner, portraits["person_a_2.jpg"].read_bytes())
    if create:
        with secured.admin() as admin:
            admin.delete_topics([inner.topics.reviews])
    else:
        all_topics(secured, inner)
        send(inner, large)
    # Kafka does not tell the name of a transactional id that it refuses.
    name = "TransactionalId" if lacking[0] == "TRANSACTIONAL_ID" else lacking[1]
    with running_console(again(console_settings, topics={"create": create}), looking):
        eventually(lambda: names_the_right(name, said(caplog)), 30)


def said(caplog):
    """Whatever an operator can read in the log."""
    # As it was written down then: what a client's record says of its connection cannot be asked once that is closed.
    details = [str(getattr(record, "detail", "")) for record in caplog.records]
    return "\n".join([caplog.text, *details])


def said_without(service, caplog):
    """Whatever an operator can read: the page, the log and the sentence at the end."""
    return "\n".join([ask(service.settings, "/readyz")[1], str(service.error), caplog.text])


@pytest.mark.parametrize("taken", OURS, ids=lambda right: f"{right[5]} {right[3]}")
def test_without_any_one_right_something_fails_and_names_it(secured, inner, settings, portraits, taken, caplog):
    caplog.set_level("INFO")
    create = taken[1] == CREATE
    conditions = (*ALWAYS, *([CREATE] if create else []))
    granted = of("likeness run", settings, *conditions)
    lacking = granted[[right for right in OURS if right[1] in ("", *conditions)].index(taken)]
    secured.allow(settings.kafka.sasl_username, [right for right in granted if right != lacking])
    if not create:
        all_topics(secured, inner)
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    service = ServiceThread(again(settings, topics={"create": create})).start()
    # Kafka does not tell the name of a transactional id that it refuses.
    name = "TransactionalId" if lacking[0] == "TRANSACTIONAL_ID" else lacking[1]
    try:
        eventually(lambda: names_the_right(name, said_without(service, caplog)), 30)
    finally:
        service._stop.set()
        service.wait()


def names_the_right(name, said):
    tells = ("AuthorizationFailed", "Authorization failed", "there is no right on", "could not be checked")
    return any(name in line and any(one in line for one in tells) for line in said.splitlines())


def test_who_looks_back_has_all_rights_that_it_needs_in_the_table(secured, inner, settings, portraits):
    kept = again(settings, look_back={"days": 1})
    with secured.admin() as admin:
        ensure_topics(admin, inner.topics, inner.kafka, 1)
        create_missing(admin, (probe_topic(inner.topics),), True)
    screening = of("likeness run", settings, *ALWAYS, KEPT)
    secured.allow(settings.kafka.sasl_username, screening)
    topics = Topics(inner)
    stolen = upload(picture=portraits["person_a_2.jpg"].read_bytes())
    with ServiceThread(kept):
        topics.send(stolen)
        assert topics.screening(stolen["event_id"])["verdict"] == "clear"
        identity_id = enrol(settings, MACRON, portraits["person_a_1.jpg"])
        eventually(lambda: metric(kept, "likeness_gallery_references") == 1)
    user = f"{inner.kafka.group_id}-lookback"
    secured.user(user)
    looks_back = as_client(inner, secured.over_sasl(user))
    secured.allow(user, of("likeness lookback", settings, KEPT))
    for days in (1, 0):
        way = again(looks_back, look_back={"days": days})
        with LookBackService(way, threading.Event(), settle=0.0) as service:
            worker, look_backs = service.open()
            asked = look_backs.ask([identity_id], "operator:test")
            worker.run(partial(all_done, look_backs, asked))
            assert [one.found for one in look_backs.find(asked)] == [1]
    topics.close()


def test_who_sends_uploads_can_do_that_and_nothing_else(secured, inner, settings):
    all_topics(secured, inner)
    secured.allow(settings.kafka.sasl_username, of("who sends uploads", settings))
    producer = make_producer(settings.kafka)
    producer.send(settings.topics.uploads, b"{}").get(10)
    with pytest.raises(TopicAuthorizationFailedError):
        producer.send(settings.topics.reviews, b"{}").get(10)
    producer.close()
    with pytest.raises(TopicAuthorizationFailedError):
        first(settings, settings.topics.uploads)


def test_who_reads_reviews_can_do_that_and_nothing_else(secured, inner, settings, caplog):
    all_topics(secured, inner)
    secured.allow(settings.kafka.sasl_username, of("who reads reviews", settings))
    sent = make_producer(inner.kafka)
    sent.send(settings.topics.reviews, b"review").get(10)
    sent.close()
    group = f"moderation-{inner.kafka.group_id}"
    # Rights take a moment to reach the broker, and a client that finds no topic looks again only after that long.
    consumer = make_consumer(settings.kafka, settings.topics.reviews, group_id=group, metadata_max_age_ms=1_000)
    (records,) = eventually(lambda: consumer.poll(timeout_ms=100)).values()
    assert records[0].value == b"review"
    consumer.commit()
    consumer.close()
    with pytest.raises(AssertionError):
        first(settings, settings.topics.dead_letters, 2)
    assert f"Topic {settings.topics.dead_letters} is not authorized for this client" in caplog.messages
    with pytest.raises(GroupAuthorizationFailedError):
        consumer = make_consumer(settings.kafka, settings.topics.reviews, group_id=inner.kafka.group_id)
        eventually(lambda: consumer.poll(timeout_ms=100))
    consumer.close()


def test_who_looks_at_dead_letters_can_read_them_and_send_uploads_again(secured, inner, settings):
    all_topics(secured, inner)
    secured.allow(settings.kafka.sasl_username, of("likeness dead-letters", settings))
    sent = make_producer(inner.kafka)
    sent.send(settings.topics.dead_letters, b"letter", partition=0).get(10)
    sent.close()
    assert first(settings, settings.topics.dead_letters) == b"letter"
    producer = make_producer(settings.kafka)
    producer.send(settings.topics.uploads, b"{}").get(10)
    producer.close()


def test_who_acts_on_decisions_can_read_them_and_nothing_else(secured, inner, settings):
    all_topics(secured, inner)
    secured.allow(settings.kafka.sasl_username, of("who acts on decisions", settings))
    sent = make_producer(inner.kafka)
    sent.send(settings.topics.decisions, b"decision").get(10)
    sent.close()
    group = f"enforcement-{inner.kafka.group_id}"
    consumer = make_consumer(settings.kafka, settings.topics.decisions, group_id=group, metadata_max_age_ms=1_000)
    (records,) = eventually(lambda: consumer.poll(timeout_ms=100)).values()
    assert records[0].value == b"decision"
    consumer.commit()
    consumer.close()
    with pytest.raises(AssertionError):
        first(settings, settings.topics.reviews, 2)


def first(settings, topic, seconds=15):
    """The first message of a topic's first partition, read outside of any group."""
    consumer = make_consumer(settings.kafka)
    try:
        consumer.assign([TopicPartition(topic, 0)])
        (records,) = eventually(lambda: consumer.poll(timeout_ms=100), seconds).values()
        return records[0].value
    finally:
        consumer.close()


def all_done(look_backs, asked):
    return all(one.state == "done" for one in look_backs.find(asked))
