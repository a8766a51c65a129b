"""What the doctor makes of what it is told."""

import json
import time

import pytest

from config import load_settings
from consumers.topics import topic_table
from likeness.doctor.discretion import masked
from likeness.doctor.examination import examine
from likeness.doctor.finding import Finding
from likeness.doctor.kafka_checks import lagging
from likeness.doctor.machine_checks import disk, pictures, sources
from likeness.doctor.records_checks import clock, tables
from likeness.doctor.topic_checks import Partition, Topic, fit, keeping, layout, missing
from records.soundness import Revision

SETTINGS = load_settings()
UPLOADS, *_, GALLERY = topic_table(SETTINGS.topics, SETTINGS.kafka)


def topic(*, copies=3, in_sync=3, led=True, partitions=1, least=2, **configs):
    told = {"min.insync.replicas": str(least)} | {name.replace("_", "."): value for name, value in configs.items()}
    return Topic((Partition(copies, in_sync, led),) * partitions, told)


@pytest.mark.parametrize(
    ("wanted", "told", "states"),
    [
        (UPLOADS, topic(partitions=6), []),
        (UPLOADS, topic(copies=1, in_sync=1, least=1), ["warn"]),
        (UPLOADS, topic(copies=1, in_sync=1, least=2), ["fail"]),
        (UPLOADS, topic(in_sync=1), ["fail"]),
        (UPLOADS, topic(copies=2, in_sync=2), ["warn"]),
        (UPLOADS, topic(least=1), ["warn"]),
        (UPLOADS, topic(led=False), ["fail"]),
        (GALLERY, topic(partitions=2), ["warn"]),
    ],
)
def test_copies_that_do_not_keep_what_they_should_are_found(wanted, told, states):
    assert [finding.state for finding in layout(wanted, told)] == states
    assert all(finding.mend for finding in layout(wanted, told))


@pytest.mark.parametrize(
    ("wanted", "told", "states"),
    [
        (UPLOADS, topic(), []),
        (UPLOADS, topic(**dict(UPLOADS.configs)), []),
        (UPLOADS, topic(retention_ms="-1"), []),
        (UPLOADS, topic(retention_ms="3600000"), ["warn"]),
        (UPLOADS, topic(cleanup_policy="compact"), ["fail"]),
        (UPLOADS, topic(max_message_bytes="1048588"), ["warn"]),
        (GALLERY, topic(**dict(GALLERY.configs)), []),
        (GALLERY, topic(cleanup_policy="delete"), ["fail"]),
        (GALLERY, topic(cleanup_policy="compact,delete"), ["fail"]),
        (GALLERY, topic(segment_ms="604800000", delete_retention_ms="1"), ["warn"]),
    ],
)
def test_settings_of_a_topic_that_lose_something_are_found(wanted, told, states):
    assert [finding.state for finding in keeping(wanted, told)] == states


def test_a_topic_is_told_in_words():
    told = topic(partitions=6, retention_ms="604800000")
    assert fit(UPLOADS, told).sentence == "6 partitions, 3 copies, kept for 7 days."
    assert fit(GALLERY, topic()).sentence.endswith("kept the newest of each key.")
    assert missing(UPLOADS, True).state == "warn"
    made = missing(UPLOADS, False)
    assert made.state == "fail" and "--topic avatar-uploads --partitions 6" in made.mend


@pytest.mark.parametrize(
    ("ahead", "state"), [(None, "unknown"), (-1.9, "ok"), (2.1, "warn"), (-59, "warn"), (61, "fail"), (-61, "fail")]
)
def test_clocks_may_differ_by_two_seconds(ahead, state):
    assert clock(ahead).state == state


@pytest.mark.parametrize(("free", "state"), [(10**9, "ok"), (10**9 - 1, "warn"), (10**8, "warn"), (10**8 - 1, "fail")])
def test_the_disk_needs_room(tmp_path, free, state):
    assert disk(tmp_path / "home", free).state == state


def test_older_tables_are_migrated_by_the_next_start_and_newer_ones_are_left_alone():
    assert [tables(Revision(found, "0003", found != "9999")).state for found in ("0003", "0002", None, "9999")] == [
        "ok",
        "warn",
        "warn",
        "fail",
    ]


def test_a_group_without_members_screens_nothing():
    assert [lagging("group", members, 7).state for members in (1, 0, None)] == ["ok", "warn", "ok"]


def with_fetch(**fetch):
    return SETTINGS.model_copy(update={"fetch": SETTINGS.fetch.model_copy(update=fetch)})


def test_where_pictures_may_come_from_is_judged(tmp_path):
    home = with_fetch(file_root=tmp_path).model_copy(update={"home": tmp_path / "home"})
    assert pictures(home).state == "warn"
    assert pictures(with_fetch(file_root=tmp_path)).state == "ok"
    assert pictures(with_fetch(file_root=tmp_path / "nowhere")).state == "fail"
    assert pictures(with_fetch(allowed_hosts=("img.example.com",))).state == "ok"
    assert pictures(with_fetch(allowed_hosts=("https://img.example.com/",))).state == "fail"
    assert pictures(with_fetch()).state == "warn"


def test_variables_are_told_by_name_only():
    said = sources({"LIKENESS_KAFKA__SASL_PASSWORD": "sesame", "LIKENESS_CONFIG": "/etc/likeness.toml", "PATH": "x"})
    assert "LIKENESS_KAFKA__SASL_PASSWORD" in said.sentence and "/etc/likeness.toml" in said.sentence
    assert "sesame" not in said.sentence


def test_secrets_are_masked_wherever_they_stand():
    settings = load_settings(
        kafka={"sasl_password": "sesame-1", "ssl_password": "sesame-2", "extra": {"some_token": "sesame-3"}},
        keys={"master_key": "sesame-4"},
        database={"url": "postgresql://ada:sesame%205@host/x?sslpassword=sesame-6"},
    )
    text = "sesame-1 sesame-2, sesame-3; sesame-4 sesame 5 sesame-6 sesame%205"
    assert "sesame" not in masked(text, settings)
    assert masked("nothing to hide", settings) == "nothing to hide"


def test_what_hangs_or_breaks_is_told_and_holds_up_nothing_else():
    def hangs():
        yield Finding("first", "ok", "Well.")
        time.sleep(30)

    def breaks():
        raise RuntimeError("a defect\nof ours")
        yield

    begun = time.monotonic()
    found = examine({"hangs": hangs, "breaks": breaks, "works": lambda: [Finding("works", "ok", "Well.")]}, 0.3)
    assert time.monotonic() - begun < 5
    assert [(one.name, one.state) for one in found] == [
        ("first", "ok"),
        ("hangs", "fail"),
        ("breaks", "fail"),
        ("works", "ok"),
    ]
    assert found[2].sentence == "The check itself failed: RuntimeError: a defect of ours."
    assert json.dumps([one.state for one in found])
