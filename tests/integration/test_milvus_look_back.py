"""With Milvus a look-back reads of the kept faces only those that may be meant, and finds what it finds without."""

import threading
from contextlib import closing

import pytest
from pymilvus.exceptions import MilvusException
from sqlalchemy import text

from consumers.look_back.probe_places import KIND
from consumers.milvus import store
from consumers.milvus.side import open_store
from demo.broker import free_port
from records.database import open_database
from records.keys.open_master_key import open_master_key
from tests.integration.test_look_back import MASTER, OWN, look_back_for, looking_back, past, protect
from tests.support.running_service import ARDERN, MACRON, again, enrol, eventually, metric, service_settings, upload


@pytest.fixture
def settings(tansu, milvus, tmp_path, models):
    """Settings that keep the faces of avatars for three days, also in Milvus."""
    tables = {"watermark": {"read": "never"}, "look_back": {"days": 3}, "keys": MASTER}
    where = {"uri": milvus.uri, "prefix": f"t{free_port()}_"}
    return service_settings(tansu, tmp_path, models, milvus=where, **tables)


def test_a_look_back_reads_only_what_is_alike_and_finds_the_same(settings, portraits):
    others = [
        upload(account_id=f"acct-other-{number}", picture=portraits["impostor_1.jpg"].read_bytes())
        for number in range(12)
    ]
    with past(settings, portraits, *others) as was:
        in_milvus(settings, 3 + len(others))
        macron = protect(settings, portraits, MACRON)
        (done,), _ = look_back_for(settings, macron)
        assert (done.state, done.found) == ("done", 1)
        assert done.seen == 2, "the thief's and the owner's, of fifteen"
        reviews = was.topics.until(lambda: was.topics.data("review"))
        assert [(one["account_id"], one["trigger"]) for one in reviews] == [("acct-thief", "look_back")]
        ardern = protect(settings, portraits, ARDERN, "person_b_1.jpg", ())
        (done,), _ = look_back_for(settings, ardern)
        assert (done.seen, done.found) == (0, 0)
        without = again(settings, milvus={"uri": None})
        (same,), _ = look_back_for(without, macron)
        assert (same.seen, same.found) == (15, 1)


def test_a_milvus_that_is_away_at_the_start_has_all_compared_and_is_filled_once_it_is_there(
    settings, portraits, monkeypatch
):
    connect, there = store.MilvusClient, threading.Event()

    class Late(connect):
        def __init__(self, **options):
            if not there.is_set():
                raise MilvusException(message="not yet")
            super().__init__(**options)

    with past(again(settings, milvus={"uri": None}), portraits) as was:
        macron = enrol(again(settings, milvus={"uri": None}), MACRON, portraits["person_a_1.jpg"], own_accounts=(OWN,))
        eventually(lambda: metric(settings, "likeness_gallery_references") >= 1)
        monkeypatch.setattr(store, "MilvusClient", Late)
        with looking_back(settings) as service:
            worker, look_backs = service.open()
            asked = look_backs.ask([macron], "operator:test")
            worker.run(lambda: all(one.state == "done" for one in look_backs.find(asked)))
            (done,) = look_backs.find(asked)
            assert (done.seen, done.found) == (3, 1)
            there.set()
            eventually(lambda: days_in(settings) and sum(days_in(settings).values()) >= 3, 60, 0.5)
        assert was.sent


def test_a_days_collection_is_dropped_with_its_key(settings, portraits):
    with past(settings, portraits):
        in_milvus(settings, 3)
        with closing(open_database(settings.database_url)) as database, database.write() as session:
            session.execute(text("DELETE FROM probe_keys"))
        with looking_back(settings) as service:
            service.open()
            eventually(lambda: not days_in(settings), 30)


def in_milvus(settings, count):
    """Waits until so many kept faces are there."""
    with looking_back(settings) as service:
        service.open()
        eventually(lambda: days_in(settings) and sum(days_in(settings).values()) >= count, 60, 0.5)


def days_in(settings):
    """Faces by collection."""
    with closing(open_database(settings.database_url)) as database:
        master_key = open_master_key(settings.keys, settings.master_key_file, create=False)
        opened, _ = open_store(settings, database, master_key)
        with closing(opened):
            return {name: opened.count(name) for name in opened.collections(KIND)}
