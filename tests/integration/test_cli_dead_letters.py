"""likeness dead-letters: what an operator sees of them, and that each is replayed once."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from consumers.kafka import make_admin
from tests.support.dead_letters import Letters, program
from tests.support.kafka_settings import kafka_settings
from tests.support.running_service import (
    ServiceThread,
    Topics,
    again,
    environment,
    eventually,
    make_topics,
    service_settings,
    upload,
)

NOBODY = "39498248-7c4e-5631-9dd7-4be6a912debf"
TRACED = (("trace", b"1"), ("trace", b"2"))


@pytest.fixture
def settings(broker, tmp_path):
    settings = kafka_settings(broker, tmp_path / "home")
    make_topics(settings)
    return settings


@pytest.fixture
def letters(settings):
    letters = Letters(settings)
    yield letters
    letters.close()


@pytest.fixture
def likeness(settings):
    return program(settings)


def counted(ended):
    """The rows of the last table, by their first cell."""
    rows = [[cell.strip() for cell in row.split("│")[1:-1]] for row in ended.out.splitlines() if "│" in row]
    return {row[0]: int(row[1]) for row in rows if row[1].replace(",", "").isdecimal()}


# Looking


def test_letters_are_listed_the_newest_first_and_counted_by_reason(letters, likeness):
    now = datetime.now(UTC)
    old = letters.bury(letters.upload(), "not_found", at=now - timedelta(hours=3))
    new = letters.bury(letters.upload(key=b"acct-2"), account="acct-2", at=now, times=2)
    ended = likeness("dead-letters", "list")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.index(new) < ended.out.index(old)
    assert counted(ended) == {"not_found": 1, "unreachable": 1, "all": 2}
    listed = [one["dead_letter_id"] for one in likeness("dead-letters", "list", "--json").lines]
    assert listed == [new, old]

    def ids(*words):
        return [one["dead_letter_id"] for one in likeness("dead-letters", "list", "--json", *words).lines]

    assert ids("--since", "2h") == [new]
    assert ids("--since", (now - timedelta(hours=4)).isoformat()) == [new, old]
    assert ids("--reason", "not_found") == [old]
    assert ids("--reason", "not_found", "--reason", "unreachable", "--limit", "1") == [new]
    assert ids("--account", "acct-2") == [new]
    assert counted(likeness("dead-letters", "list", "--limit", "1"))["all"] == 2


def test_what_is_no_dead_letter_is_passed_over_and_told(letters, likeness):
    buried = letters.bury(letters.upload())
    letters.send_junk()
    ended = likeness("dead-letters", "list", "--json")
    assert [one["dead_letter_id"] for one in ended.lines] == [buried]
    assert ended.err == "Messages on the topic that are no dead letters: 1.\n"


def test_a_letter_is_shown_without_its_upload_and_saved_for_its_owner_only(letters, likeness, tmp_path):
    headers = (*TRACED, ("\x1b[31mevil", b"\x1b[2J\xff"))
    record = letters.upload(b'{"image": "bytes"}', headers=headers)
    buried = letters.bury(record)
    ended = likeness("dead-letters", "show", buried.upper(), "--save", tmp_path / "upload.json")
    assert (ended.code, ended.err) == (0, "")
    for told in (buried, f"{record.topic}-{record.partition}@{record.offset}", "Nobody answers.", "acct-1", "trace: 2"):
        assert told in ended.out
    assert "image" not in ended.out and "\x1b" not in ended.out
    assert (tmp_path / "upload.json").read_bytes() == b'{"image": "bytes"}'
    assert (tmp_path / "upload.json").stat().st_mode & 0o777 == 0o600
    refused = likeness("dead-letters", "show", buried, "--save", tmp_path / "upload.json")
    assert refused.code == 2 and "File exists" in refused.sentence


def test_what_cannot_be_done_is_told_in_one_sentence(letters, likeness, settings):
    buried = letters.bury(letters.upload(None))
    for words, said in {
        ("show", NOBODY): f"There is no dead letter {NOBODY}.",
        ("show", "letter-1"): "'letter-1' is no dead_letter_id",
        ("show", buried, "--save", settings.home / "x"): "has no value",
        ("list", "--since", "yesterday"): "'yesterday' is no time",
        ("replay",): "Say which",
        ("replay", buried, "--all"): "Say which",
        ("replay", buried, "--since", "2h"): "--since goes with --reason or --all",
        ("replay", buried, NOBODY): f"There is no dead letter {NOBODY}.",
        ("replay", buried, "--by", " "): "--by cannot be blank.",
        ("replay", "--all"): "nobody can be asked here, so say --yes",
    }.items():
        ended = likeness("dead-letters", *words)
        assert ended.code == 2 and said in ended.sentence, (words, ended)
    assert letters.replayed() == {}
    away = likeness("dead-letters", "list", LIKENESS_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert away.code == 2 and away.sentence.startswith("No Kafka broker answers at 127.0.0.1:1")
    other = likeness("dead-letters", "list", LIKENESS_TOPICS__DEAD_LETTERS="nowhere")
    assert other.code == 2 and "There is no topic nowhere" in other.sentence


# Replaying


def test_an_upload_is_sent_again_as_it_was_with_one_header_more_and_only_once(letters, likeness):
    record = letters.upload(b"\x00\xff", key=None, headers=(*TRACED, ("empty", b"")))
    buried = letters.bury(record, times=2)
    dry = likeness("dead-letters", "replay", buried, "--dry-run")
    assert (dry.code, counted(dry), letters.replayed()) == (0, {"unreachable": 1, "all": 1}, {})
    first = likeness("dead-letters", "replay", buried, "--by", "lee")
    assert (first.code, first.err, counted(first)) == (0, "", {"replayed": 1})
    second = likeness("dead-letters", "replay", buried, "--by", "kim")
    assert (second.code, counted(second)) == (0, {"replayed": 0, "already": 1})
    ((sent,),) = letters.replayed().values()
    assert (sent.key, sent.value) == (record.key, record.value)
    assert tuple(sent.headers) == (*record.headers, ("replayed-dead-letter", buried.encode()))
    (listed,) = likeness("dead-letters", "list", "--json").lines
    assert (listed["replay"]["state"], listed["replay"]["by"]) == ("sent", "lee")
    assert "by lee" in likeness("dead-letters", "list").out
    assert counted(likeness("dead-letters", "replay", buried, "--again")) == {"replayed": 1}
    assert len(letters.replayed()[buried]) == 2


def test_letters_are_replayed_by_reason_or_all_of_them_and_asked_for_first(letters, likeness):
    by_reason = {letters.bury(letters.upload()) for _ in range(3)}
    other = letters.bury(letters.upload(), "not_json")
    assert likeness("dead-letters", "replay", "--reason", "unreachable").code == 2
    assert letters.replayed() == {}
    ended = likeness("dead-letters", "replay", "--reason", "unreachable", "--since", "2026-01-01", "--yes")
    assert (ended.code, set(letters.replayed())) == (0, by_reason)
    ended = likeness("dead-letters", "replay", "--all", "--yes")
    assert counted(ended) | {"all": 4} == {"not_json": 1, "unreachable": 3, "all": 4, "replayed": 1, "already": 3}
    assert set(letters.replayed()) == {*by_reason, other}


def test_operators_who_replay_at_the_same_time_send_each_letter_once(letters, settings, likeness):
    buried = {letters.bury(letters.upload()) for _ in range(30)}
    likeness("dead-letters", "list")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "likeness", "dead-letters", "replay", "--all", "--yes"],
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert {one: len(records) for one, records in letters.replayed().items()} == dict.fromkeys(buried, 1)


def test_what_a_letter_leaves_out_for_its_size_is_read_where_the_upload_stands(letters, likeness, tmp_path):
    for number in range(3):
        letters.upload(f"other {number}".encode())
    record = letters.upload(b"large" * 1000, key=b"k" * 5000, headers=TRACED)
    buried = letters.bury(record, compact=True)
    shown = likeness("dead-letters", "show", buried, "--save", tmp_path / "upload")
    assert "not in the letter for its size" in shown.out
    assert (tmp_path / "upload").read_bytes() == record.value
    assert counted(likeness("dead-letters", "replay", buried)) == {"replayed": 1}
    ((sent,),) = letters.replayed().values()
    assert (sent.key, sent.value, tuple(sent.headers[:2])) == (record.key, record.value, TRACED)


def test_an_upload_that_is_held_nowhere_is_counted_as_gone(letters, likeness):
    record = letters.upload()
    never = letters.bury(record._replace(offset=record.offset + 100), compact=True)
    other = letters.bury(record._replace(timestamp=record.timestamp + 1), "made_anew", compact=True)
    held = letters.bury(letters.upload(), compact=True)
    ended = likeness("dead-letters", "replay", never, other, held)
    assert ended.code == 2 and counted(ended) == {"replayed": 1, "gone": 2}
    assert set(letters.replayed()) == {held}
    assert counted(likeness("dead-letters", "replay", never)) == {"replayed": 0, "gone": 1}
    assert "held no more by its topic" in likeness("dead-letters", "show", never).out
    assert "is gone" in likeness("dead-letters", "show", never, "--save", likeness.home / "upload").sentence


def test_an_upload_that_has_left_its_topic_is_gone(apache_kafka, tmp_path):
    settings = kafka_settings(apache_kafka, tmp_path / "home")
    make_topics(settings)
    with closing(Letters(settings)) as letters:
        left = letters.upload()
        buried = letters.bury(left, compact=True)
        with closing(make_admin(settings.kafka)) as admin:
            admin.delete_records({TopicPartition(left.topic, left.partition): left.offset + 1})
        assert counted(program(settings)("dead-letters", "replay", buried)) == {"replayed": 0, "gone": 1}


def set_uploads(settings, name, value):
    with closing(make_admin(settings.kafka)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.topics.uploads, {name: str(value)})])


def test_an_upload_that_the_topic_refuses_for_its_size_is_told_and_those_beside_it_are_sent(apache_kafka, tmp_path):
    settings = kafka_settings(apache_kafka, tmp_path / "home")
    make_topics(settings)
    with closing(Letters(settings)) as letters:
        sizes = {letters.bury(letters.upload(os.urandom(size))): size for size in (10, 20_000, 30, 30_000, 50)}
        set_uploads(settings, "max.message.bytes", 10_000)
        ended = program(settings)("dead-letters", "replay", "--all", "--yes")
        assert ended.code == 2 and counted(ended)["replayed"] == 3 and counted(ended)["refused"] == 2
        assert sorted(sizes[one] for one in letters.replayed()) == [10, 30, 50]
        set_uploads(settings, "max.message.bytes", 100_000)
        assert counted(program(settings)("dead-letters", "replay", "--all", "--yes"))["replayed"] == 2
        assert {one: len(records) for one, records in letters.replayed().items()} == dict.fromkeys(sizes, 1)


# Interruptions


def take_uploads_away(settings):
    """Nothing that is sent there is acknowledged until `make_topics`."""
    with closing(make_admin(settings.kafka)) as admin:
        admin.delete_topics([settings.topics.uploads])
        eventually(lambda: settings.topics.uploads not in admin.list_topics())


def states(settings):
    with closing(sqlite3.connect(settings.home / "likeness.db")) as database:
        return [state for (state,) in database.execute("SELECT state FROM dead_letter_replays")]


def test_a_replay_that_is_killed_before_kafka_has_acknowledged_is_completed_by_a_later_one(apache_kafka, tmp_path):
    settings = kafka_settings(apache_kafka, tmp_path / "home")
    make_topics(settings)
    likeness = program(settings)
    with closing(Letters(settings)) as letters:
        buried = letters.bury(letters.upload())
        likeness("dead-letters", "list")
        take_uploads_away(settings)
        command = [sys.executable, "-m", "likeness", "dead-letters", "replay", buried]
        with subprocess.Popen(command, env=environment(settings), stdout=subprocess.PIPE) as process:
            eventually(lambda: states(settings) == ["claimed"], 30)
            time.sleep(0.5)
            process.kill()
        make_topics(settings)
        assert letters.replayed() == {}
        soon = likeness("dead-letters", "replay", buried)
        assert (soon.code, counted(soon)) == (0, {"replayed": 0, "in hand": 1})
        with closing(sqlite3.connect(settings.home / "likeness.db")) as database, database:
            database.execute("UPDATE dead_letter_replays SET claimed_at = datetime(claimed_at, '-11 minutes')")
        assert counted(likeness("dead-letters", "replay", buried)) == {"replayed": 1}
        assert counted(likeness("dead-letters", "replay", buried)) == {"replayed": 0, "already": 1}
        assert [len(records) for records in letters.replayed().values()] == [1]


def test_a_replay_that_kafka_does_not_take_says_so_and_can_be_made_again_at_once(apache_kafka, tmp_path):
    settings = kafka_settings(apache_kafka, tmp_path / "home", kafka={"transaction_seconds": 3})
    make_topics(settings)
    likeness = program(settings)
    with closing(Letters(settings)) as letters:
        buried = letters.bury(letters.upload())
        take_uploads_away(settings)
        refused = likeness("dead-letters", "replay", buried)
        assert refused.code == 2 and refused.sentence.startswith("Kafka did not take all of them")
        make_topics(settings)
        assert counted(likeness("dead-letters", "replay", buried)) == {"replayed": 1}


# With a running service


def test_a_letter_replayed_after_the_fault_was_mended_ends_as_a_screening(broker, tmp_path, models, portraits):
    settings = service_settings(broker, tmp_path / "home", models)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "a.jpg").write_bytes(portraits["impostor_1.jpg"].read_bytes())
    sent = upload(image={"url": (pictures / "a.jpg").as_uri()})
    make_topics(settings)
    likeness, topics = program(settings), Topics(settings)
    with ServiceThread(settings):
        first = topics.dead_letter(topics.send(sent))
        assert first["reason"] == "file_root_not_set"
        # not mended: it dies once more, as another letter
        assert likeness("dead-letters", "replay", first["dead_letter_id"]).code == 0
        topics.until(lambda: len(topics.data("dead_letter")) == 2)
        second = topics.data("dead_letter")[1]
        assert second["dead_letter_id"] != first["dead_letter_id"] and second["event_id"] == sent["event_id"]
        assert [header["name"] for header in second["original"]["headers"]] == ["replayed-dead-letter"]
    with ServiceThread(again(settings, fetch={"file_root": pictures})):
        ended = likeness("dead-letters", "replay", "--reason", "file_root_not_set", "--yes")
        assert {"replayed": 1, "already": 1}.items() <= counted(ended).items()
        assert topics.screening(sent["event_id"])["verdict"] == "clear"
        assert len(topics.poll(300).data("dead_letter")) == 2
    topics.close()
