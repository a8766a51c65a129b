"""Database and broker go away and come back under running consumers; consumers die while the gallery changes."""

import random
import time

import pytest

from likeness.workbench import open_records
from tests.chaos import report
from tests.chaos.gallery import GalleryChanges, published, state_of_database, state_of_index
from tests.chaos.group import Group
from tests.chaos.ledger import tally
from tests.chaos.ordeal import Plan, chaos_settings, endure
from tests.chaos.outcomes import OutcomeReader, read_outcomes
from tests.chaos.uploads import Sender, mixed_load, small_portrait, standing
from tests.support.running_service import MACRON, Topics, enrol, eventually, make_topics, metric, remove, upload

OUTAGES = 6 if report.FULL else 3
OUTAGE_SECONDS = (2.0, 6.0)
UPLOADS = 2_000 if report.FULL else 800
KILLS = 12 if report.FULL else 6
BROKER = {"stopped": 3, "crashed": 3, "frozen": 2} if report.FULL else {"stopped": 1, "crashed": 1, "frozen": 1}


@pytest.fixture
def settings(apache_kafka, postgres, tmp_path, models):
    return chaos_settings(apache_kafka, tmp_path, models, database={"url": postgres.create_database()})


@pytest.fixture
def stolen(portraits):
    return small_portrait(portraits["person_a_2.jpg"])


def indexes_follow(group, settings, seconds=30.0):
    """Every consumer's index is what the database holds; called when nothing changes any more."""
    wanted = state_of_database(settings)
    eventually(lambda: all(state_of_index(member.settings) == wanted for member in group.members), seconds)


@pytest.mark.timeout(600)
def test_a_database_that_crashes_under_load_costs_no_outcome_and_no_gallery_change_and_stops_no_screening(
    settings, postgres, portraits, stolen
):
    chance = random.Random(5)
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    make_topics(settings)
    load = mixed_load(settings.kafka.group_id, UPLOADS, stolen)
    outages, recoveries = [], []
    with OutcomeReader(settings) as reader, Group(settings, 2, chance) as group:
        sender = Sender(settings, load)
        with GalleryChanges(settings) as changes:
            for _ in range(OUTAGES):
                calm, away = chance.uniform(1.0, 3.0), chance.uniform(*OUTAGE_SECONDS)
                sender.send(UPLOADS // (OUTAGES + 1), calm + away + 2.0)
                group.tend(calm)
                began = time.time()
                postgres.halt()
                group.tend(away)
                outages.append((began, time.time()))
                postgres.resume()
                recoveries.append(seconds_until_followed(group, settings))
            assert changes.refused
        sender.finish()
        eventually(lambda: reader.ended() == UPLOADS, 60)
        indexes_follow(group, settings)
        group.leave_all()
        screened = [sum(began + 1.0 < one.created < ended for one in reader.found) for began, ended in outages]
    assert standing(settings) == dict.fromkeys(load.sent, 1)
    found, numbers = tally(load.sent, read_outcomes(settings)), published(settings)
    lost = set(range(1, int(state_of_database(settings)[0]) + 1)) - set(numbers)
    lost_and_doubled = len(found.lost) + len(lost), len(found.doubled)
    print(f"\n{found}; {len(numbers)} gallery changes; outcomes during the outages: {screened}", end=" ")
    report.add(
        report.Row("PostgreSQL killed and started", "exactly once", OUTAGES, UPLOADS, *lost_and_doubled, recoveries)
    )
    assert (found.lost, found.doubled, found.renamed, found.strange, lost) == ((), (), (), (), set())
    assert all(screened), "screening stood still while the database was away"
    assert not group.unasked


def seconds_until_followed(group, settings):
    """From now, when the database is back, until every index has a change that is made now."""
    back = time.time()
    with open_records(settings) as records:
        records.add_identity("Somebody", "victim")
        number = records.latest_sequence()
    versions = [member.settings for member in group.members]
    eventually(lambda: all(metric(one, "likeness_gallery_version") >= number for one in versions), 30)
    return time.time() - back


@pytest.mark.timeout(600)
def test_a_broker_that_is_stopped_killed_or_frozen_under_load_costs_nothing_and_doubles_nothing(
    settings, apache_kafka, portraits, stolen
):
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    plan = Plan(UPLOADS, BROKER, members=2, seed=7)
    with GalleryChanges(settings, pause=0.5) as changes:

        def gallery_is_followed(group):
            changes.__exit__()
            indexes_follow(group, settings)

        found = endure(plan, settings, apache_kafka, stolen, "exactly once", gallery_is_followed)
    assert (found.lost, found.doubled, found.renamed, found.strange) == ((), (), (), ())


@pytest.mark.timeout(600)
def test_consumers_killed_while_the_gallery_changes_leave_every_index_equal_to_the_database(
    settings, portraits, stolen
):
    chance = random.Random(11)
    make_topics(settings)
    topics = Topics(settings)
    recoveries = []
    with Group(settings, 2, chance) as group:
        with GalleryChanges(settings, pause=0.02):
            for _ in range(KILLS):
                group.tend(chance.uniform(0.5, 4.0))
                group.kill()
                killed = time.time()
                group.all_ready()
                recoveries.append(time.time() - killed)
        indexes_follow(group, settings)
        group.kill_all()
        identity_id = enrol(settings, MACRON, portraits["person_a_1.jpg"])
        group.all_ready()
        indexes_follow(group, settings)
        assert verdicts(topics, stolen) == {"review"}
        group.kill_all()
        remove(settings, identity_id)
        group.all_ready()
        indexes_follow(group, settings)
        assert verdicts(topics, stolen) <= {"clear", "no_face"}
        group.leave_all()
    topics.close()
    numbers = published(settings)
    first = list(dict.fromkeys(numbers))
    last = int(state_of_database(settings)[0])
    lost, repeated = last - len(first), len(numbers) - len(first)
    print(f"\n{last} gallery changes: lost = {lost}, published more than once = {repeated}", end=" ")
    name = "consumer and relay killed while the gallery changes"
    report.add(report.Row(name, "at least once", KILLS + 4, last, lost, repeated, recoveries))
    assert first == list(range(1, last + 1)), "changes were published out of order, or not at all"


def verdicts(topics, picture):
    """Of one upload to each partition."""
    sent = [upload(picture=picture) for _ in range(topics.settings.topics.partitions * 4)]
    for one in sent:
        topics.send(one, one["event_id"].encode())
    return {topics.screening(one["event_id"], 60)["verdict"] for one in sent}
