"""The outbox under competition and sudden death, on SQLite and on PostgreSQL."""

import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from records.database import open_database
from records.errors import DuplicateReference
from records.gallery import GalleryRecords
from records.gallery_changes import read_change
from records.keys.keyring import MasterKey
from records.outbox import Outbox
from records.references import ReferencePhoto

PHOTO = ReferencePhoto(
    "consent", "ab" * 32, b"jpeg", 1, 1, (0.0, 0.0, 1.0, 1.0), 1.0, {"p": np.eye(4, dtype=np.float32)[0]}
)


def test_rows_come_in_order_and_no_more_than_asked_for(database, records):
    for number in range(5):
        records.add_identity(f"n{number}", "victim")
    rows = []
    assert [Outbox(database).drain(rows.extend, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [row.sequence for row in rows] == [1, 2, 3, 4, 5]


def test_rows_stay_when_publishing_fails(database, records):
    records.add_identity("Ada", "victim")

    def fail(rows):
        raise ConnectionError("broker away")

    with pytest.raises(ConnectionError):
        Outbox(database).drain(fail)
    rows = []
    assert Outbox(database).drain(rows.extend) == 1


def test_while_one_relay_publishes_another_knows_it_is_not_alone_and_writers_go_on(database, records, database_url):
    records.add_identity("Ada", "victim")
    publishing, go_on = threading.Event(), threading.Event()
    published = []

    def publish(rows):
        published.extend(rows)
        publishing.set()
        assert go_on.wait(20)

    other = open_database(database_url)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(Outbox(database).drain, publish)
        try:
            assert publishing.wait(20)
            assert Outbox(other).drain(published.extend) is None
            GalleryRecords(other, MasterKey.of(bytes(32))).add_identity("Grace", "victim")
        finally:
            go_on.set()
        assert first.result() == 1
    assert Outbox(other).drain(published.extend) == 1
    assert [row.sequence for row in published] == [1, 2]
    other.close()


def test_a_relay_killed_between_publishing_and_deleting_publishes_the_same_again(
    database, records, database_url, tmp_path
):
    for number in range(3):
        records.add_identity(f"n{number}", "victim")
    program = """
import os, signal, sys
from records.database import open_database
from records.errors import DuplicateReference
from records.outbox import Outbox
def publish(rows):
    print(*(row.sequence for row in rows), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
Outbox(open_database(sys.argv[1])).drain(publish)
"""
    died = subprocess.run(
        [sys.executable, "-c", program, database_url], capture_output=True, text=True, check=False, timeout=60
    )
    assert (died.returncode, died.stdout.split()) == (-signal.SIGKILL, ["1", "2", "3"])
    rows = []
    deadline = time.monotonic() + 20  # a server takes a moment to notice that the holder of its lock is gone
    while not Outbox(database).drain(rows.extend) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [row.sequence for row in rows] == [1, 2, 3]


def test_of_several_who_add_the_same_at_once_one_succeeds_and_the_others_are_told(database, records):
    identity_id = records.add_identity("Ada", "victim")

    def add(number):
        account_is_new = records.add_own_account(identity_id, "acc-1")
        try:
            records.add_reference(identity_id, PHOTO)
        except DuplicateReference:
            return account_is_new, False
        return account_is_new, True

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(add, range(16)))
    assert sum(account_is_new for account_is_new, _ in outcomes) == 1
    assert sum(added for _, added in outcomes) == 1
    assert records.latest_sequence() == 3


def test_changes_at_the_same_time_are_published_in_the_order_they_happened(database, records):
    identity_ids = [records.add_identity(name, "victim", references=[PHOTO]) for name in ("Ada", "Grace")]
    done = threading.Event()
    rows = []

    def change(number):
        assert records.add_own_account(identity_ids[number % 2], f"acc-{number}")

    def relay():
        while not done.is_set() or Outbox(database).drain(rows.extend, limit=7):
            Outbox(database).drain(rows.extend, limit=7)

    with ThreadPoolExecutor(9) as pool:
        relaying = pool.submit(relay)
        try:
            list(pool.map(change, range(60)))
        finally:
            done.set()
        relaying.result()
    assert [row.sequence for row in rows] == list(range(1, 63)), "none is skipped, doubled or out of order"
    for identity_id in identity_ids:
        key = records.data_keys([identity_id])[identity_id]
        states = [read_change(identity_id, json.loads(row.value), key) for row in rows if row.key == identity_id]
        accounts = [len(state.own_accounts) for state in states]
        assert accounts == list(range(31)), "each change builds on the one before"
