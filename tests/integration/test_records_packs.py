"""A gallery moves to another model pack and gets its fingerprints, on SQLite and on PostgreSQL."""

import json
from itertools import groupby

import numpy as np
import pytest

from detector.identity import Fingerprint
from records.errors import LastEmbedding, UnknownIdentity, UnknownReference
from records.gallery_changes import read_change
from records.references import ReferencePhoto
from tests.support.announced import waiting

OLD, NEW = np.eye(4, dtype=np.float32)[0], np.array([0, 0.6, 0.8], np.float32)
PRINT = Fingerprint(bytes(range(32)), 87, bytes(range(32, 64)), 1280, 960, (10.5, 20.25, 100.125, 120.0))


def photo(number=1, fingerprint=None):
    box = (0.0, 0.0, 1.0, 1.0)
    return ReferencePhoto("consent", f"{number:064x}", b"jpeg", 1, 1, box, 1.0, {"old": OLD}, fingerprint)


def moved(records):
    """Moves the whole gallery to the pack `new`; returns how many references."""
    count = 0
    for identity_id, references in groupby(records.references_without("new"), key=lambda pair: pair[0]):
        embeddings = {reference_id: ("new", NEW, None) for _, reference_id in references}
        assert records.add_embeddings(identity_id, embeddings)
        count += len(embeddings)
    return count


def test_a_photos_fingerprint_is_kept_and_travels_with_the_identity(database, records):
    ada = records.add_identity("Ada", "victim", references=[photo(1, PRINT), photo(2)])
    (row,) = waiting(database)
    announced = read_change(ada, json.loads(row.value), records.data_keys([ada])[ada])
    (read,) = records.identities("old")
    for identity in (announced, read):
        assert {one.fingerprint for one in identity.references} == {PRINT, None}
    assert {(one.photo_sha256[-1], one.fingerprinted) for one in records.show(ada).references} == {
        ("1", True),
        ("2", False),
    }


def test_a_gallery_moves_to_another_pack_and_is_announced_once_for_each_identity(database, records):
    ada = records.add_identity("Ada", "victim", references=[photo(1, PRINT), photo(2)])
    away = records.add_identity("Grace", "celebrity", references=[photo(1)], status="suspended")
    waiting(database)
    assert {identity_id for identity_id, _ in records.references_without("new")} == {ada, away}
    assert moved(records) == 3
    assert list(records.references_without("new")) == []
    rows = {row.key: row for row in waiting(database)}
    assert len(rows) == 2
    state = read_change(ada, json.loads(rows[ada].value), records.data_keys([ada])[ada])
    assert [one.embeddings.keys() for one in state.references] == [{"old", "new"}] * 2
    np.testing.assert_array_equal(state.references[0].embeddings["new"], NEW)
    assert {one.fingerprint for one in state.references} == {PRINT, None}, "a move leaves fingerprints as they are"
    assert rows[away].value is None

    assert records.remove_embeddings("old") == 3
    assert len(waiting(database)) == 2
    assert {one.packs for one in records.list_identities()} == {("new",)}
    assert records.remove_embeddings("old") == 0
    assert waiting(database) == []


def test_embeddings_can_be_added_while_a_long_list_is_read(records):
    photos = [photo(number) for number in range(700)]
    for name in ("Ada", "Grace"):
        records.add_identity(name, "victim", references=photos)
    assert moved(records) == 1400


def test_embeddings_that_are_there_already_change_nothing_and_others_replace_them(database, records):
    ada = records.add_identity("Ada", "victim", references=[photo(1, PRINT)])
    reference_id = records.show(ada).references[0].id
    waiting(database)
    assert records.add_embeddings(ada, {reference_id: ("old", OLD, PRINT)}) is False
    assert waiting(database) == []
    other = PRINT._replace(picture=bytes(32))
    assert records.add_embeddings(ada, {reference_id: ("old", -OLD, other)}) is True
    (identity,) = records.identities()
    np.testing.assert_array_equal(identity.references[0].embeddings["old"], -OLD)
    assert identity.references[0].fingerprint == other
    assert len(waiting(database)) == 1


def test_the_last_embedding_of_a_reference_is_not_taken(database, records):
    ada = records.add_identity("Ada", "victim", references=[photo(1), photo(2)])
    (first, _) = (one.id for one in records.show(ada).references)
    records.add_embeddings(ada, {first: ("new", NEW, None)})
    waiting(database)
    with pytest.raises(LastEmbedding, match="embeddings of old, 1 references would have none"):
        records.remove_embeddings("old")
    assert waiting(database) == []
    assert records.remove_embeddings("new") == 1
    assert records.find_identity(ada).packs == ("old",)


def test_what_cannot_be_added_leaves_nothing_behind(database, records):
    ada = records.add_identity("Ada", "victim", references=[photo(1)])
    grace = records.add_identity("Grace", "victim", references=[photo(1)])
    (own,), (others,) = ([one.id for one in records.show(who).references] for who in (ada, grace))
    waiting(database)
    good = ("new", NEW, None)
    for error, identity_id, embeddings in (
        (UnknownReference, ada, {own: good, others: good}),
        (UnknownReference, ada, {own: good, "ref_gone": good}),
        (UnknownIdentity, "idn_gone", {own: good}),
        (ValueError, ada, {own: ("new", NEW * 2, None)}),
        (ValueError, ada, {own: ("new", NEW, PRINT._replace(face=b"short"))}),
    ):
        with pytest.raises(error):
            records.add_embeddings(identity_id, embeddings)
    assert len(list(records.references_without("new"))) == 2
    assert waiting(database) == []


def test_reach_is_given_at_enrolment_changed_later_and_announced(database, records):
    ada = records.add_identity("Ada", "victim", references=[photo(1)], reach=1)
    assert records.set_reach(ada, 5) is True
    key = records.data_keys([ada])[ada]
    assert [read_change(ada, json.loads(row.value), key).reach for row in waiting(database)] == [1, 5]
    assert records.show(ada).reach == records.find_identity(ada).reach == 5
    assert records.set_reach(ada, 5) is False
    for wrong in (0, 6):
        with pytest.raises(ValueError, match="from 1 to 5"):
            records.set_reach(ada, wrong)
        with pytest.raises(ValueError, match="from 1 to 5"):
            records.add_identity("Grace", "victim", reach=wrong)
    with pytest.raises(UnknownIdentity):
        records.set_reach("idn_gone", 2)
    assert waiting(database) == []
    assert [one.name for one in records.list_identities()] == ["Ada"]
