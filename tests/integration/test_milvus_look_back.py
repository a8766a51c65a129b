"""With Milvus a look-back reads of the kept faces only those that may be meant, and finds what it finds without."""

from contextlib import closing

import pytest
from sqlalchemy import text

from consumers.look_back.probe_places import KIND
from consumers.milvus.side import open_store
from demo.broker import free_port
from records.database import open_database
from records.keys.open_master_key import open_master_key
from tests.integration.test_look_back import MASTER, look_back_for, looking_back, past, protect
from tests.support.running_service import ARDERN, MACRON, again, eventually, service_settings, upload


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
        store, _ = open_store(settings, database, master_key)
        with closing(store):
            return {name: store.count(name) for name in store.collections(KIND)}
