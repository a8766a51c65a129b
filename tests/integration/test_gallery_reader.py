"""A large gallery is read by a second process, while this one takes it in: with the same outcome as by one alone."""

import logging
import threading
from contextlib import closing

import numpy as np
import pytest
from sqlalchemy import text

from consumers import gallery_reader
from consumers.gallery_feed import GalleryFeed
from consumers.gallery_relay import GalleryRelay
from consumers.kafka import make_producer
from consumers.metrics import Metrics
from detector.index import GalleryIndex
from likeness.workbench import open_records
from records.database import open_database
from records.outbox import Outbox
from tests.chaos.gallery import DIMENSION, PACK
from tests.chaos.gallery_truth import nobody, photo
from tests.support.running_service import make_topics, service_settings

RESULTS = ("applied", "removed", "stale", "unreadable")


@pytest.fixture
def settings(tansu, tmp_path, models):
    """A poll gives two messages, so that there is something left for the second process."""
    return service_settings(tansu, tmp_path, models, kafka={"extra": {"max_poll_records": 2}})


def publish(settings):
    """Four people, one of them changed later, one erased with the key alone, one withdrawn; and what is no change."""
    chance = np.random.default_rng(3)
    make_topics(settings)
    with open_records(settings) as records, closing(open_database(settings.database_url)) as database:
        people = [
            records.add_identity(name, "victim", references=[photo(number, nobody(chance))])
            for number, name in enumerate(("Stays", "Changes", "Erased", "Withdrawn"))
        ]
        records.add_own_account(people[1], "acct-1")
        relay = GalleryRelay(settings, Outbox(database), Metrics(), threading.Event())
        relay.drain()
        with closing(make_producer(settings.kafka)) as producer:
            for value in (
                b"{nope",
                b'{"data": {}}',
                b'{"data": {"identity_id": "idn_x", "sequence": 1, "sealed": ""}}',
            ):
                producer.send(settings.topics.gallery_changes, value, people[0].encode()).get(10)
        records.remove_identity(people[3])
        relay.drain()
        with database.write() as session:
            session.execute(text("DELETE FROM identity_keys WHERE identity_id = :id"), {"id": people[2]})
        relay.close()
    return people


def loaded(settings, *, large):
    """The index, how the changes ended, and what was told of the loading."""
    index, metrics, told = GalleryIndex(PACK, DIMENSION), Metrics(), []
    with open_records(settings) as records:
        feed = GalleryFeed(settings, records, [index], metrics, threading.Event(), large=large, on_progress=told.append)
        feed.load()
        feed.close()
    counts = {result: metrics.gallery_changes.labels(result)._value.get() for result in RESULTS}
    return index, counts, told


def people_in(index):
    (matches,), version = index.search(np.zeros((1, DIMENSION), np.float32), -1.0)
    return version, {(one.identity.id, one.identity.name, one.identity.own_accounts) for one in matches}


def test_a_gallery_read_by_a_second_process_is_the_one_that_is_read_alone(settings):
    people = publish(settings)
    alone, counts_alone, _ = loaded(settings, large=10**9)
    beside, counts_beside, told = loaded(settings, large=-1)
    assert people_in(beside) == people_in(alone)
    assert {one[0] for one in people_in(beside)[1]} == {people[0], people[1]}
    assert counts_beside == counts_alone
    assert counts_alone["unreadable"] == 3
    assert told[-1] == "Loading the gallery: 100%, 2 references."


def test_messages_opened_by_a_second_process_come_in_their_order_and_whole(settings):
    people = publish(settings)
    given = list(gallery_reader.open_beside(settings, {0: 0}, threading.Event()))
    opened = [one for batch, _ in given for one in batch]
    assert [one.offset for one in opened] == list(range(len(opened)))
    assert given[-1][1] == {0: len(opened)}
    assert [one.identity_id for one in opened if one.plain is not None] == [*people[:2], people[1]]
    assert sum(one.unreadable is not None for one in opened) == 3
    rest = [one for batch, _ in gallery_reader.open_beside(settings, {0: 5}, threading.Event()) for one in batch]
    assert rest == opened[5:]


def test_when_the_second_process_fails_the_first_reads_on_by_itself(settings, caplog):
    people = publish(settings)
    with open_records(settings) as records:
        nowhere = settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
        index = GalleryIndex(PACK, DIMENSION)
        feed = GalleryFeed(settings, records, [index], Metrics(), threading.Event(), large=-1)
        feed._settings = settings.model_copy(update={"kafka": nowhere})  # the feed has its own client already
        with caplog.at_level(logging.WARNING):
            feed.load()
        feed.close()
    assert {one[0] for one in people_in(index)[1]} == {people[0], people[1]}
    assert "beside this one has failed: BrokerAway" in caplog.text
