"""A database made by an older release becomes one of today's and back, on SQLite and on PostgreSQL."""

from datetime import UTC, datetime

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from records.database import MIGRATIONS, open_database
from records.decisions import BurstRule, DecisionRecords
from records.errors import SchemaMismatch
from records.gallery import GalleryRecords
from records.keys.keyring import DataKey, MasterKey

MASTER = MasterKey.of(bytes(range(32)))
THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VECTOR = np.array([0.6, 0.8, 0, 0], np.float32)
TABLES_OF_0001 = {
    "alembic_version", "embeddings", "gallery_references", "gallery_state", "identities", "identity_keys", "outbox",
    "own_accounts", "reference_photos",
}  # fmt: skip


@pytest.fixture
def database(empty_database_url):
    """A database as the first release left it, with one person in it."""
    database = open_database(empty_database_url)
    move(database, command.upgrade, "0001")
    enrol_under_0001(database)
    yield database
    database.close()


def move(database, direction, revision):
    with database.write() as session:
        config = Config(attributes={"connection": session.connection()})
        config.set_main_option("script_location", str(MIGRATIONS))
        direction(config, revision)


def enrol_under_0001(database):
    key = DataKey.new("idn_a")
    rows = {
        "identities": {
            "id": "idn_a",
            "name": "Ada",
            "kind": "victim",
            "status": "active",
            "sequence": 1,
            "created_at": THEN,
            "updated_at": THEN,
        },
        "identity_keys": {"identity_id": "idn_a", "wrapped": key.wrap(MASTER), "created_at": THEN},
        "gallery_references": {
            "id": "ref_1",
            "identity_id": "idn_a",
            "provenance": "consent",
            "photo_sha256": "ab" * 32,
            "photo_width": 640,
            "photo_height": 480,
            "face_x": 10.5,
            "face_y": 20.25,
            "face_width": 100.0,
            "face_height": 120.0,
            "quality": 0.75,
            "added_at": THEN,
        },
        "reference_photos": {"reference_id": "ref_1", "sealed": key.seal(b"jpeg", "photo:ref_1")},
        "embeddings": {
            "reference_id": "ref_1",
            "pack": "p",
            "dimension": 4,
            "sealed": key.seal(VECTOR.tobytes(), "embedding:ref_1:p"),
        },
        "own_accounts": {"identity_id": "idn_a", "account_id": "acc-1"},
    }
    with database.write() as session:
        for table, row in rows.items():
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            session.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
        session.execute(text("UPDATE gallery_state SET last_sequence = 1"))


def test_an_older_database_says_that_it_must_be_migrated(database):
    with pytest.raises(SchemaMismatch, match="at revision 0001 and needs 0007"):
        database.check()


def test_who_was_enrolled_by_an_older_release_is_all_there_after_the_upgrade(database):
    database.migrate()
    database.check()
    records = GalleryRecords(database, MASTER)
    (identity,) = records.identities()
    assert (identity.name, identity.own_accounts, identity.negative_accounts) == ("Ada", {"acc-1"}, frozenset())
    assert (identity.reach, identity.quarantined) == (3, False)
    (reference,) = identity.references
    np.testing.assert_array_equal(reference.embeddings["p"], VECTOR)
    assert reference.fingerprint is None
    assert records.reference_photo("ref_1") == b"jpeg"
    detail = records.show("idn_a")
    assert (detail.created_at, detail.sequence, detail.negative_pairs) == (THEN, 1, 0)
    assert (detail.quarantined_at, detail.quarantine_reason) == (None, None)
    assert detail.references[0].fingerprinted is False


def test_an_own_account_of_an_older_release_counts_as_entered_by_hand(database):
    database.migrate()
    decisions = DecisionRecords(database, MASTER, BurstRule(3, 24, 1))
    assert decisions.record("idn_a", "acc-1", "confirmed", "mo").own_account


def test_a_process_of_the_older_release_can_still_enrol_while_the_upgrade_goes_on(database):
    database.migrate()
    with database.write() as session:
        session.execute(
            text(
                "INSERT INTO identities (id, name, kind, status, sequence, created_at, updated_at) "
                "VALUES ('idn_b', 'Grace', 'victim', 'active', 2, :then, :then)"
            ),
            {"then": THEN},
        )
    assert GalleryRecords(database, MASTER).show("idn_b").reach == 3


def test_the_database_itself_refuses_a_reach_that_is_none(database):
    database.migrate()
    for wrong in ("0", "6", "NULL"):
        with pytest.raises(IntegrityError), database.write() as session:
            session.execute(text(f"UPDATE identities SET reach = {wrong}"))


def test_the_upgrade_can_be_taken_back_and_made_again_without_loss_of_what_was_there(database):
    database.migrate()
    records = GalleryRecords(database, MASTER)
    records.set_reach("idn_a", 5)
    DecisionRecords(database, MASTER, BurstRule(1, 24, 1)).record("idn_a", "acc-2", "not_this_person", "mo", "r1")
    move(database, command.downgrade, "0001")
    with database.read() as session:
        inspector = inspect(session.connection())
        assert MigrationContext.configure(session.connection()).get_current_revision() == "0001"
        assert set(inspector.get_table_names()) == TABLES_OF_0001
        columns = {column["name"] for column in inspector.get_columns("identities")}
        assert columns == {"id", "name", "kind", "status", "sequence", "created_at", "updated_at"}
    database.migrate()
    (identity,) = records.identities()
    np.testing.assert_array_equal(identity.references[0].embeddings["p"], VECTOR)
    assert (identity.reach, identity.quarantined, identity.own_accounts) == (3, False, {"acc-1"})
