"""The gallery changes while consumers run, before they start and while nobody looks: every index follows."""

import re
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest
from sqlalchemy import text

from consumers.gallery_feed import GalleryFeed
from consumers.gallery_relay import GalleryRelay
from consumers.kafka import make_producer
from consumers.metrics import Metrics
from demo.broker import free_port
from detector.index import GalleryIndex
from likeness.workbench import open_records
from records.database import open_database
from records.outbox import Outbox
from tests.chaos.gallery import DIMENSION, PACK
from tests.chaos.gallery_truth import nobody, photo
from tests.support.running_service import (
    ARDERN,
    MACRON,
    ServiceThread,
    Topics,
    again,
    ask,
    enrol,
    environment,
    eventually,
    make_topics,
    metric,
    remove,
    service_settings,
    upload,
)

FOLLOW_SECONDS = 2.0
UNREAD = {"read": "never"}
"""How soon the gallery is followed is measured here, not how long text in pictures takes to read."""


@pytest.fixture
def settings(broker, tmp_path, models):
    """On both brokers."""
    return service_settings(broker, tmp_path, models, watermark=UNREAD)


@pytest.fixture
def on_tansu(tansu, tmp_path, models):
    return service_settings(tansu, tmp_path, models, watermark=UNREAD)


@pytest.fixture
def on_kafka(apache_kafka, tmp_path, models):
    return service_settings(apache_kafka, tmp_path, models, watermark=UNREAD)


def verdict(topics, picture):
    """The verdict on a stranger's upload that is sent now."""
    sent = upload(picture=picture)
    topics.send(sent, sent["event_id"].encode())
    return topics.screening(sent["event_id"])["verdict"]


def follows(topics, picture, wanted):
    """The seconds until an upload of `picture` ends as `wanted`."""
    started = time.monotonic()
    while verdict(topics, picture) != wanted:
        assert time.monotonic() - started < 3 * FOLLOW_SECONDS, f"still not {wanted}"
    return time.monotonic() - started


def test_an_identity_enrolled_while_the_consumer_runs_is_found_and_a_removed_one_is_not_within_two_seconds(
    settings, portraits, capsys
):
    picture = portraits["person_a_2.jpg"].read_bytes()
    with ServiceThread(settings):
        topics = Topics(settings)
        assert verdict(topics, picture) == "clear"
        identity_id = enrol(settings, MACRON, portraits["person_a_1.jpg"])
        enrolled = follows(topics, picture, "review")
        remove(settings, identity_id)
        removed = follows(topics, picture, "clear")
    with capsys.disabled():
        print(f"\n  found {enrolled:.2f} s after enrolment, clear {removed:.2f} s after removal", end=" ")
    assert enrolled < FOLLOW_SECONDS and removed < FOLLOW_SECONDS
    enrol(settings, MACRON, portraits["person_a_1.jpg"])
    with ServiceThread(settings):
        assert verdict(topics, picture) == "review"
        topics.close()


def test_two_consumers_follow_every_change_and_share_the_uploads(on_kafka, portraits):
    settings, second = on_kafka, again(on_kafka, http={"port": free_port()})
    both = (settings, second)
    people = ((MACRON, "person_a_1.jpg"), (ARDERN, "person_b_1.jpg"))
    with ServiceThread(settings), ServiceThread(second):
        topics = Topics(settings)
        for count, (name, photo) in enumerate(people, start=1):
            enrol(settings, name, portraits[photo])
            eventually(lambda n=count: [metric(one, "likeness_gallery_references") for one in both] == [n, n], 2.0)
        assert [metric(one, "likeness_gallery_version") for one in both] == [2, 2]
        assert sum(metric(one, "likeness_outbox_published_total") for one in both) == 2
        eventually(lambda: [_partitions(one) for one in both] in ([{"0"}, {"1"}], [{"1"}, {"0"}]))
        sent = [upload(picture=portraits["person_a_2.jpg"].read_bytes()) for _ in range(12)]
        for one in sent:
            topics.send(one, one["event_id"].encode())
        assert {topics.screening(one["event_id"])["verdict"] for one in sent} == {"review"}
        found = 'likeness_events_total{outcome="review"}'
        eventually(lambda: sum(metric(one, found) for one in both) == len(sent))
        assert all(metric(one, found) > 0 for one in both)
        topics.close()


def _partitions(settings):
    """The partitions whose lag a consumer reports."""
    return set(re.findall(r'likeness_consumer_lag\{partition="(\d+)"\}', ask(settings, "/metrics")[1]))


def test_a_starting_consumer_has_read_the_gallery_to_its_end_before_the_first_upload(settings, portraits):
    make_topics(settings)
    topics = Topics(settings)
    waiting = [upload(picture=portraits["person_a_2.jpg"].read_bytes()) for _ in range(4)]
    topics.send_all(waiting)
    enrol(settings, ARDERN, portraits["person_b_1.jpg"])
    identity_id = enrol(settings, MACRON, portraits["person_a_1.jpg"])
    with open_records(settings) as records:
        for number in range(300):
            records.add_own_account(identity_id, f"acct-{number}")
    with ServiceThread(settings):
        for one in waiting:
            screening = topics.screening(one["event_id"])
            assert (screening["verdict"], screening["gallery_version"]) == ("review", 302)
        topics.close()


class Watched(GalleryIndex):
    """After each change somebody else searches it, and tells the version found and how many were in it."""

    def __init__(self):
        super().__init__(PACK, DIMENSION)
        self.found, self.searches = [], []

    def apply_all(self, identities):
        return [self._apply_and_search(identity) for identity in identities]

    def _apply_and_search(self, identity):
        (taken,) = super().apply_all([identity])
        self.searches.append(threading.Thread(target=self._search_all))
        self.searches[-1].start()
        self.searches[-1].join(0.1)
        return taken

    def _search_all(self):
        (matches,), version = self.search(np.zeros((1, DIMENSION), np.float32), -1.0)
        self.found.append((version, len({match.identity.id for match in matches})))


def test_changes_that_are_taken_in_together_are_seen_together(on_tansu):
    """The first person changes again after the second came: taken in by person, the newest change comes first."""
    settings, chance, stop = on_tansu, np.random.default_rng(3), threading.Event()
    make_topics(settings)
    with open_records(settings) as records, closing(open_database(settings.database_url)) as database:
        first = records.add_identity("One", "victim", references=[photo(1, nobody(chance))])
        records.add_identity("Two", "victim", references=[photo(2, nobody(chance))])
        records.add_own_account(first, "acct-1")
        metrics = Metrics()
        GalleryRelay(settings, Outbox(database), metrics, stop).drain()
        index = Watched()
        feed = GalleryFeed(settings, records, [index], metrics, stop)
        feed.load()
        feed.close()
    for search in index.searches:
        search.join()
    assert index.found == [(3, 2), (3, 2)]


def test_changes_that_a_dead_program_left_in_the_outbox_are_published_by_the_next_consumer(on_tansu, portraits):
    settings = on_tansu
    photo = str(portraits["person_a_1.jpg"])
    command = ["gallery", "add", MACRON, photo, "--kind", "celebrity", "--provenance", "public domain"]
    added = subprocess.run(
        [sys.executable, "-m", "likeness", *command], env=environment(settings), capture_output=True, text=True
    )
    assert (added.returncode, added.stderr) == (0, "")
    with ServiceThread(settings):
        topics = Topics(settings)
        assert verdict(topics, portraits["person_a_2.jpg"].read_bytes()) == "review"
        topics.close()


def test_an_identity_whose_key_is_erased_is_gone_for_every_consumer_that_starts(on_tansu, portraits):
    settings = on_tansu
    identity_id = enrol(settings, MACRON, portraits["person_a_1.jpg"])
    enrol(settings, ARDERN, portraits["person_b_1.jpg"])
    picture = portraits["person_a_2.jpg"].read_bytes()
    with ServiceThread(settings):
        topics = Topics(settings)
        assert verdict(topics, picture) == "review"
    database = open_database(settings.database_url)
    with database.write() as session:
        session.execute(text("DELETE FROM identity_keys WHERE identity_id = :id"), {"id": identity_id})
    database.close()
    with ServiceThread(settings):
        assert verdict(topics, picture) == "clear"
        assert verdict(topics, portraits["person_b_2.jpg"].read_bytes()) == "review"
        assert metric(settings, 'likeness_gallery_changes_total{result="removed"}') == 1
        topics.close()


def test_what_is_no_gallery_change_is_passed_over_and_counted(on_tansu, portraits):
    settings = on_tansu
    make_topics(settings)
    identity_id = enrol(settings, MACRON, portraits["person_a_1.jpg"])
    garbage = [
        (b"\xff\xfe", b"{}"),
        (b"", b"no key"),
        (b"idn_x", b"{nope"),
        (b"idn_x", b"[]"),
        (b"idn_x", b'{"data": 5}'),
        (b"idn_x", b'{"data": {"identity_id": "idn_y", "sequence": "1", "sealed": 7}}'),
        (b"idn_x", None),
        (b"idn_\x00", b'{"data": {}}'),
    ]
    producer = make_producer(settings.kafka)
    for key, value in garbage:
        producer.send(settings.topics.gallery_changes, value, key).get(10)
    picture = portraits["person_a_2.jpg"].read_bytes()
    with ServiceThread(settings):
        topics = Topics(settings)
        assert verdict(topics, picture) == "review"
        for key, value in [*garbage, (identity_id.encode(), b"{nope"), (identity_id.encode(), None)]:
            producer.send(settings.topics.gallery_changes, value, key).get(10)
        eventually(lambda: metric(settings, 'likeness_gallery_changes_total{result="unreadable"}') >= 6)
        assert verdict(topics, picture) == "review"
        remove(settings, identity_id)
        follows(topics, picture, "clear")
        topics.close()
    producer.close()
