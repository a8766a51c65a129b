"""The same behaviours on SQLite and on PostgreSQL."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from records.errors import AmbiguousName, DuplicateReference, UnknownIdentity, UnknownReference
from records.gallery import GalleryRecords
from records.gallery_changes import read_change
from records.keys.keyring import MasterKey
from records.references import ReferencePhoto
from records.schema import Base
from tests.support.announced import waiting

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def records(database):
    seconds = count()
    return GalleryRecords(database, MasterKey.of(bytes(32)), clock=lambda: START + timedelta(seconds=next(seconds)))


def photo(number, *packs):
    vector = np.random.default_rng(number).standard_normal(16).astype(np.float32)
    vector /= np.linalg.norm(vector)
    return ReferencePhoto(
        provenance=f"consent {number}",
        photo_sha256=f"{number:064x}",
        photo_jpeg=b"\xff\xd8" + bytes([number]) * 30,
        width=640,
        height=480,
        face_box=(10.5, 20.25, 100.0, 120.0),
        quality=0.75,
        embeddings=dict.fromkeys(packs or ("opencv-zoo",), vector),
    )


def opened(records, row):
    value = None if row.value is None else json.loads(row.value)
    return read_change(row.key, value, records.data_keys([row.key]).get(row.key))


def test_the_migrations_leave_the_tables_that_the_code_speaks_of(database):
    database.migrate()
    database.check()
    with database.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_an_enrolled_identity_is_listed_shown_and_opened_again(records):
    identity_id = records.add_identity("Ada", "victim", ["acc-2", "acc-1", "acc-1"])
    first = records.add_reference(identity_id, photo(1))
    second = records.add_reference(identity_id, photo(2, "opencv-zoo", "other"))
    (summary,) = records.list_identities()
    assert (summary.id, summary.name, summary.kind, summary.status) == (identity_id, "Ada", "victim", "active")
    assert (summary.references, summary.own_accounts, summary.packs) == (2, 2, ("opencv-zoo", "other"))
    detail = records.show(identity_id)
    assert detail.own_accounts == ("acc-1", "acc-2")
    assert detail.created_at == START
    assert detail.updated_at > START
    assert detail.sequence == records.latest_sequence() == 3
    assert [(one.id, one.provenance, one.packs) for one in detail.references] == [
        (first, "consent 1", ("opencv-zoo",)),
        (second, "consent 2", ("opencv-zoo", "other")),
    ]
    assert detail.references[0].face_box == (10.5, 20.25, 100.0, 120.0)
    assert records.reference_photo(second) == photo(2).photo_jpeg
    (identity,) = records.identities()
    assert [one.id for one in identity.references] == [first, second]
    np.testing.assert_array_equal(identity.references[1].embeddings["other"], photo(2).embeddings["opencv-zoo"])
    (of_other,) = records.identities("other")
    assert [(one.id, set(one.embeddings)) for one in of_other.references] == [(second, {"other"})]
    assert list(records.identities("unheard of")) == []


def test_an_identity_is_found_by_id_or_name_and_a_shared_name_is_refused_with_the_ids(records):
    ada = records.add_identity("Ada", "victim")
    assert records.find_identity(ada) == records.find_identity("Ada")
    assert records.find_identity("ada") is None
    other = records.add_identity("Ada", "celebrity")
    with pytest.raises(AmbiguousName) as caught:
        records.find_identity("Ada")
    assert ada in str(caught.value)
    assert other in str(caught.value)


def test_every_change_sends_one_row_with_the_whole_state_at_that_moment(database, records):
    identity_id = records.add_identity("Ada", "victim", ["acc-1"])
    first, second = records.add_references(identity_id, [photo(1), photo(2)])
    records.add_own_account(identity_id, "acc-2")
    records.remove_own_account(identity_id, "acc-1")
    records.remove_reference(first)
    rows = waiting(database)
    assert [row.sequence for row in rows] == [1, 2, 3, 4, 5]
    assert {row.key for row in rows} == {identity_id}
    assert {row.topic_name for row in rows} == {"gallery_changes"}
    assert rows[0].value is None, "an identity without a reference is not searched for"
    states = [opened(records, row) for row in rows[1:]]
    assert [state.sequence for state in states] == [2, 3, 4, 5]
    assert [sorted(state.own_accounts) for state in states] == [["acc-1"], ["acc-1", "acc-2"], ["acc-2"], ["acc-2"]]
    assert [{one.id for one in state.references} for state in states] == [{first, second}] * 3 + [{second}]
    vectors = {one.id: one.embeddings["opencv-zoo"] for one in states[0].references}
    np.testing.assert_array_equal(vectors[first], photo(1).embeddings["opencv-zoo"])


def test_an_identity_imported_with_its_references_is_one_change(database, records):
    identity_id = records.add_identity("Ada", "victim", references=[photo(1), photo(2), photo(3)])
    (row,) = waiting(database)
    assert len(opened(records, row).references) == 3
    assert records.show(identity_id).sequence == row.sequence == 1


def test_what_changes_nothing_sends_nothing(database, records):
    identity_id = records.add_identity("Ada", "victim", ["acc-1"], references=[photo(1)])
    waiting(database)
    assert records.add_own_account(identity_id, "acc-1") is False
    assert records.remove_own_account(identity_id, "acc-9") is False
    assert records.add_references(identity_id, []) == []
    assert waiting(database) == []


def test_the_same_file_is_refused_for_one_identity_and_takes_its_whole_batch_with_it(database, records):
    ada = records.add_identity("Ada", "victim", references=[photo(1)])
    waiting(database)
    for batch in ([photo(2), photo(1)], [photo(3), photo(3)]):
        with pytest.raises(DuplicateReference, match=ada):
            records.add_references(ada, batch)
    assert len(records.show(ada).references) == 1
    assert waiting(database) == []
    records.add_identity("Grace", "victim", references=[photo(1)])


def test_removing_an_identity_leaves_nothing_of_it_but_a_tombstone(database, records):
    ada = records.add_identity("Ada", "victim", ["acc-1"], references=[photo(1)])
    (reference,) = records.show(ada).references
    records.remove_identity(ada)
    (tombstone,) = waiting(database)
    assert (tombstone.sequence, tombstone.key, tombstone.value) == (2, ada, None)
    with database.read() as session:
        left = {table.name: session.execute(table.select()).all() for table in Base.metadata.sorted_tables}
    assert left.pop("gallery_state") == [(1, 2)]
    for counter in ("audit_state", "decision_batches"):
        left.pop(counter)
    ((_, report_id, identity_id, request, counts, _),) = left.pop("erasures")
    assert (report_id, identity_id, request) == (None, ada, "operator")
    assert json.loads(counts)["references"] == 1
    assert not any(left.values()), left
    for attempt in (
        lambda: records.show(ada),
        lambda: records.add_reference(ada, photo(2)),
        lambda: records.remove_identity(ada),
    ):
        with pytest.raises(UnknownIdentity, match=ada):
            attempt()
    for attempt in (records.reference_photo, records.remove_reference):
        with pytest.raises(UnknownReference, match=reference.id):
            attempt(reference.id)


def test_a_suspended_identity_is_a_tombstone_until_it_is_active_again(database, records):
    ada = records.add_identity("Ada", "victim", references=[photo(1)])
    records.set_status(ada, "suspended")
    assert list(records.identities()) == []
    records.set_status(ada, "active")
    _, suspended, active = waiting(database)
    assert suspended.value is None
    assert opened(records, active).sequence == 3


def test_an_identity_that_loses_its_last_reference_is_a_tombstone(database, records):
    ada = records.add_identity("Ada", "victim", references=[photo(1)])
    records.remove_reference(records.show(ada).references[0].id)
    assert waiting(database)[-1].value is None
    assert list(records.identities()) == []


def test_sequence_numbers_are_never_used_again(database, records):
    ada = records.add_identity("Ada", "victim")
    records.remove_identity(ada)
    assert [row.sequence for row in waiting(database)] == [2], "what was never published is not published any more"
    records.add_identity("Grace", "victim")
    assert [row.sequence for row in waiting(database)] == [3]
    assert records.latest_sequence() == 3


def test_a_long_reading_sees_the_gallery_of_one_moment(records):
    for number in range(1100):
        records.add_identity(f"n{number}", "celebrity", references=[photo(number % 250)])
    reading = records.identities()
    seen = {next(reading).id}
    last_read = sorted(one.id for one in records.list_identities())[-3:]
    for identity_id in last_read:
        records.set_status(identity_id, "suspended")
    seen |= {identity.id for identity in reading}
    assert len(seen) == 1100
    assert len(list(records.identities())) == 1097


def test_many_data_keys_come_at_once_and_the_erased_are_missing(records):
    kept = [records.add_identity(f"n{number}", "victim") for number in range(3)]
    keys = records.data_keys([*kept, "idn_erased", *(f"idn_{number}" for number in range(25_000))])
    assert keys.keys() == set(kept)


def test_names_and_accounts_keep_every_character(records):
    name = "Zoë O'Brien %s 😀"
    identity_id = records.add_identity(name, "victim", ["acc;--'"], references=[replace(photo(1), provenance="ünï")])
    assert records.find_identity(name).id == identity_id
    assert records.show(identity_id).own_accounts == ("acc;--'",)
    (identity,) = records.identities()
    assert identity.name == name


def test_publishing_anew_sends_every_identity_newer_than_anything_sent_before(database, records):
    kept = records.add_identity("kept", "celebrity", references=[photo(1)])
    gone = records.add_identity("gone", "celebrity", references=[photo(2)])
    records.remove_identity(gone)
    before = waiting(database)
    assert records.publish_anew() == 1
    (again,) = waiting(database)
    assert again.key == kept and opened(records, again).references
    assert again.sequence > max(row.sequence for row in before)
    assert again.sequence >= START.timestamp() * 1000
