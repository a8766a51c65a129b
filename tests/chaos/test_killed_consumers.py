"""Consumers of one group are killed at random moments, leave and come back, and the broker is restarted, under load."""

import pytest

from tests.chaos import report
from tests.chaos.ordeal import Plan, chaos_settings, endure
from tests.chaos.uploads import small_portrait
from tests.support.running_service import MACRON, enrol

EXACTLY_ONCE = Plan(10_000, {"killed": 20, "left": 4, "stopped": 1, "crashed": 1})
AT_LEAST_ONCE = EXACTLY_ONCE if report.FULL else Plan(3_000, {"killed": 8, "left": 1, "stopped": 1, "crashed": 1})
EMBEDDED = Plan(600, {"killed": 4}, members=2)


@pytest.fixture
def stolen(portraits):
    return small_portrait(portraits["person_a_2.jpg"])


@pytest.mark.timeout(900)
def test_exactly_once_every_upload_ends_once_whoever_is_killed_and_the_broker_too(
    apache_kafka, tmp_path, models, portraits, stolen
):
    settings = chaos_settings(apache_kafka, tmp_path, models)
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    found = endure(EXACTLY_ONCE, settings, apache_kafka, stolen, "exactly once")
    assert (found.lost, found.doubled, found.renamed, found.strange) == ((), (), (), ())


@pytest.mark.timeout(900)
def test_at_least_once_nothing_is_lost_and_repeats_carry_the_same_ids(
    apache_kafka, tmp_path, models, portraits, stolen
):
    settings = chaos_settings(apache_kafka, tmp_path, models, kafka={"delivery": "at_least_once"})
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    found = endure(AT_LEAST_ONCE, settings, apache_kafka, stolen, "at least once")
    assert (found.lost, found.renamed, found.strange) == ((), (), ())


def test_on_the_embedded_broker_nothing_is_lost_and_repeats_carry_the_same_ids(
    tansu, tmp_path, models, portraits, stolen
):
    settings = chaos_settings(tansu, tmp_path, models)
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    found = endure(EMBEDDED, settings, tansu, stolen, "at least once, embedded broker")
    assert (found.lost, found.renamed, found.strange) == ((), (), ())
