"""Processes that end in mid-stream, a share of dead letters that is too high, messages that a topic does not take."""

import base64
import os
import time
from collections import Counter

import pytest
from kafka import TopicPartition

from consumers.dead_letter_limit import TooManyDeadLetters
from consumers.kafka import make_admin, make_consumer
from consumers.progress import done_beyond
from consumers.topics import TopicSettings, create_missing
from tests.support.running_service import (
    MACRON,
    ServiceProcess,
    ServiceThread,
    Topics,
    again,
    ask,
    enrol,
    eventually,
    expected_outcomes,
    ids,
    make_topics,
    mixed_uploads,
    outcomes,
    service_settings,
    upload,
)


@pytest.fixture
def settings(broker, tmp_path, models):
    return service_settings(broker, tmp_path, models)


def committed(settings):
    """How many uploads the group has committed: those before the committed offsets, and those beyond that are done."""
    reader = make_consumer(settings.kafka, group_id=settings.kafka.group_id)
    places = [TopicPartition(settings.topics.uploads, number) for number in range(settings.topics.partitions)]
    try:
        stands = [reader.committed(place, metadata=True) for place in places]
    finally:
        reader.close()
    return sum(stand.offset + len(done_beyond(stand)) for stand in stands if stand is not None)


# Processes that end


def test_killed_three_times_in_mid_stream_every_outcome_is_there_and_on_apache_kafka_exactly_once(
    settings, portraits, broker
):
    settings = again(settings, screening={"batch_size": 4})
    exactly_once = "Apache" in broker.name
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    make_topics(settings)
    topics = Topics(settings)
    count = 150
    topics.send_all(mixed_uploads(portraits, count))
    wanted = expected_outcomes(count)
    for kill_at in (25, 60, 95) if exactly_once else (40,):
        service = ServiceProcess(settings).start()
        topics.until(lambda enough=kill_at: len(outcomes(topics)) >= enough, 30)
        service.kill()
        if exactly_once:
            eventually(lambda: topics.poll() and _done(topics) == committed(settings))
    with ServiceProcess(settings) as service:
        topics.until(lambda: set(outcomes(topics)) == wanted, 40)
        topics.poll(300)
        assert service._process.poll() is None
    assert {len(own) for own in ids(topics).values()} == {1}
    log = [line["message"] for line in service.messages()]
    if exactly_once:
        assert outcomes(topics) == Counter(wanted)
        assert committed(settings) == count
        assert "Delivery is transactional: the broker shows committed messages and hides aborted ones." in log
    else:
        assert any(line.startswith("Delivery is at least once: ") for line in log)
    topics.close()


def _done(topics):
    """Uploads that ended, as a reader of committed messages sees it; with all their reviews."""
    found = outcomes(topics)
    suspicions = {one["event_id"] for one in topics.data("screening") if one["verdict"] == "review"}
    if suspicions != {event_id for kind, event_id in found if kind == "review"}:
        return -1
    return sum(kind != "review" for kind, _ in found)


def test_sigterm_delivers_what_has_ended_and_the_next_consumer_goes_on_without_gap_or_double(
    settings, portraits, broker
):
    settings = again(settings, screening={"batch_size": 4})
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    make_topics(settings)
    topics = Topics(settings)
    topics.send_all(mixed_uploads(portraits, 80))
    service = ServiceProcess(settings).start()
    topics.until(lambda: len(outcomes(topics)) >= 20, 30)
    asked = time.monotonic()
    assert service.terminate() == 0
    assert time.monotonic() - asked < 5
    assert service.messages()[-1]["message"] == "Stopped."
    with ServiceThread(settings):
        topics.until(lambda: set(outcomes(topics)) == expected_outcomes(80), 40)
        topics.poll(300)
    if "Apache" in broker.name:
        assert outcomes(topics) == Counter(expected_outcomes(80))
    assert {len(own) for own in ids(topics).values()} == {1}
    topics.close()


def test_too_many_dead_letters_stop_the_consumer_before_the_batch_and_nothing_is_lost(
    apache_kafka, tmp_path, models, portraits
):
    strict = {"dead_letter_share": 0.5, "dead_letter_window": 40, "dead_letter_minimum": 20, "batch_size": 8}
    settings = service_settings(apache_kafka, tmp_path, models, screening=strict)
    make_topics(settings)
    topics = Topics(settings)
    picture = portraits["impostor_1.jpg"].read_bytes()
    good = [upload(picture=picture) for _ in range(8)]
    for one in good:
        topics.send(one)
    bad = [topics.send(b"{nope") for _ in range(40)]
    service = ServiceProcess(settings).start()
    assert service.wait() == 3, service.log
    sentence = service.log[-1]
    assert sentence.startswith("likeness: ") and "not_json" in sentence and "dead_letter_share" in sentence
    assert "Traceback" not in "".join(service.log)
    topics.poll(300).poll(300)
    delivered = len(topics.data("dead_letter"))
    assert delivered <= 20
    assert committed(settings) == len(topics.data("screening")) + delivered
    with ServiceThread(again(settings, screening={"dead_letter_share": 1.0})):
        for place in bad:
            topics.dead_letter(place)
    assert len(topics.data("screening")) == len(good)
    assert len(topics.data("dead_letter")) == len(bad)
    topics.close()


def test_a_consumer_that_stops_for_too_many_dead_letters_does_so_at_once(tansu, tmp_path, models):
    strict = {"dead_letter_share": 0.5, "dead_letter_window": 10, "dead_letter_minimum": 5}
    settings = service_settings(tansu, tmp_path, models, screening=strict)
    service = ServiceThread(settings).start().wait_ready()
    topics = Topics(settings)
    for _ in range(20):
        topics.send(None)
    sent = time.monotonic()
    service.wait()
    assert time.monotonic() - sent < 4
    assert isinstance(service.error, TooManyDeadLetters)
    topics.close()


@pytest.mark.parametrize(
    ("leg", "forced", "said"),
    [
        ("tansu", "transactional", "Delivery is transactional: kafka.delivery says so."),
        ("apache_kafka", "at_least_once", "Delivery is at least once: kafka.delivery says so."),
    ],
)
def test_a_setting_forces_the_delivery(request, tmp_path, models, caplog, portraits, leg, forced, said):
    broker = request.getfixturevalue(leg)
    caplog.set_level("INFO")
    settings = service_settings(broker, tmp_path, models, kafka={"delivery": forced})
    with ServiceThread(settings):
        topics = Topics(settings)
        sent = upload(picture=portraits["impostor_1.jpg"].read_bytes())
        topics.send(sent)
        assert topics.screening(sent["event_id"])["verdict"] == "clear"
        assert f'delivery="{forced}"' in ask(settings, "/metrics")[1]
        topics.close()
    assert said in caplog.messages


# Messages that a topic does not take


def test_a_review_and_a_dead_letter_too_large_for_their_topics_go_out_without_the_uploads_bytes(
    apache_kafka, tmp_path, models, portraits
):
    settings = service_settings(apache_kafka, tmp_path, models)
    admin = make_admin(settings.kafka)
    small = (("max.message.bytes", "20000"),)
    names = (settings.topics.reviews, settings.topics.dead_letters)
    create_missing(admin, tuple(TopicSettings(name, 1, 1, small) for name in names), True)
    admin.close()
    make_topics(settings)
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    picture, other = portraits["person_a_2.jpg"].read_bytes(), portraits["impostor_1.jpg"].read_bytes()
    topics = Topics(settings)
    stolen = upload(picture=picture)
    small_one = upload(picture=portraits["person_a_1.jpg"].read_bytes()[:14_000])
    damaged = topics.send(upload(picture=other[: len(other) // 2]), headers=[("trace", b"1")])
    place = topics.send(stolen)
    topics.send(small_one)
    heavy = topics.send(b"{nope", key=os.urandom(30_000), headers=[("h", os.urandom(40_000))])
    clear = upload(picture=other)
    topics.send(clear)
    with ServiceThread(settings):
        assert topics.screening(stolen["event_id"])["verdict"] == "review"
        (review,) = topics.of(stolen["event_id"], "review")
        assert review["image"] == {"url": f"kafka://{settings.topics.uploads}/{place[0]}/{place[1]}", "base64": None}
        assert review["findings"][0]["identity_name"] == MACRON
        letter = topics.dead_letter(damaged)
        assert (letter["reason"], letter["original"]["omitted"]) == ("truncated_or_damaged", True)
        assert letter["original"]["value_base64"] is None and letter["original"]["size"] > 70_000
        assert letter["original"]["headers"] == [{"name": "trace", "value_base64": base64.b64encode(b"1").decode()}]
        assert topics.dead_letter(heavy)["original"]["omitted"] is True
        assert topics.screening(clear["event_id"])["verdict"] == "clear"
        topics.poll(300)
        assert Counter(one["event_id"] for one in topics.data("screening")).most_common(1)[0][1] == 1
    topics.close()
