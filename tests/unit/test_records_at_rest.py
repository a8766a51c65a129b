import base64
import json
import re

import numpy as np
import pytest
from sqlalchemy import select

from records.database import open_database
from records.errors import ChangeUnreadable, MasterKeyError
from records.gallery import GalleryRecords
from records.gallery_changes import read_change
from records.keys import DataKey
from records.outbox import Outbox
from records.references import ReferencePhoto
from records.schema import EmbeddingRow, IdentityKeyRow

MASTER = bytes(range(32))
VECTOR = np.full(64, 0.125, np.float32) * np.where(np.arange(64) % 3, 1, -1).astype(np.float32)
JPEG = b"\xff\xd8\xff\xe0 a face that nobody may read \xff\xd9" * 20
PHOTO = ReferencePhoto(
    "consent of 2026-01-01", "ab" * 32, JPEG, 640, 480, (10.0, 20.0, 100.0, 120.0), 0.9, {"p": VECTOR}
)


@pytest.fixture
def database(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    yield database
    database.close()


def raw_bytes(tmp_path):
    return b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))


def waiting(database):
    rows = []
    Outbox(database).drain(rows.extend)
    return rows


def test_neither_the_face_nor_the_photo_can_be_read_from_the_files(database, tmp_path):
    GalleryRecords(database, MASTER).add_identity("Ada", "victim", ["acc-1"], references=[PHOTO])
    raw = raw_bytes(tmp_path)
    assert (tmp_path / "likeness.db-wal").stat().st_size > 0
    assert b"Ada" in raw, "the search looks where the rows are"
    for secret in (VECTOR.tobytes()[:32], base64.b64encode(VECTOR.tobytes())[:32], JPEG[:24], MASTER):
        assert secret not in raw


def test_removing_an_identity_wipes_its_key_and_name_from_the_files(database, tmp_path):
    records = GalleryRecords(database, MASTER)
    kept = records.add_identity("Grace", "victim", references=[PHOTO])
    identity_id = records.add_identity("Lovelace", "victim", ["acc-of-ada"], references=[PHOTO])
    with database.read() as session:
        wrapped = session.scalar(select(IdentityKeyRow.wrapped).where(IdentityKeyRow.identity_id == identity_id))
        sealed = [row.sealed for row in session.scalars(select(EmbeddingRow))]
    assert wrapped in raw_bytes(tmp_path)
    records.remove_identity(identity_id)
    raw = raw_bytes(tmp_path)
    for secret in (wrapped, b"Lovelace", b"acc-of-ada"):
        assert secret not in raw
    assert sum(blob in raw for blob in sealed) == 1, "the other identity's embedding stays"
    assert [identity.id for identity in records.identities()] == [kept]


def test_a_change_published_before_the_erasure_cannot_be_opened_after_it(database):
    records = GalleryRecords(database, MASTER)
    identity_id = records.add_identity("Ada", "victim", references=[PHOTO])
    (change,) = waiting(database)
    assert read_change(identity_id, json.loads(change.value), records.data_keys([identity_id])[identity_id])
    records.remove_identity(identity_id)
    assert records.data_keys([identity_id]) == {}
    with pytest.raises(ChangeUnreadable):
        read_change(identity_id, json.loads(change.value), DataKey.new(identity_id))


def test_another_master_key_neither_reads_nor_adds_but_can_still_erase(database):
    identity_id = GalleryRecords(database, MASTER).add_identity("Ada", "victim", references=[PHOTO])
    stranger = GalleryRecords(database, b"\1" * 32)
    for attempt in (
        lambda: list(stranger.identities()),
        lambda: stranger.data_keys([identity_id]),
        lambda: stranger.reference_photo(stranger.show(identity_id).references[0].id),
        lambda: stranger.add_own_account(identity_id, "acc-2"),
        lambda: stranger.add_identity("Grace", "celebrity"),
    ):
        with pytest.raises(MasterKeyError, match="made with"):
            attempt()
    assert stranger.latest_sequence() == 1, "a refusal leaves nothing behind"
    stranger.remove_identity(identity_id)
    assert stranger.list_identities() == []


def test_ids_tell_nothing_about_the_person(database):
    identity_id = GalleryRecords(database, MASTER).add_identity("Ada", "victim")
    assert re.fullmatch(r"idn_[0-9a-f]{32}", identity_id)


@pytest.mark.parametrize("vector", [VECTOR * 2, VECTOR.astype(np.float64), VECTOR.reshape(8, 8), VECTOR * np.nan])
def test_an_embedding_that_is_no_unit_vector_is_refused(vector):
    with pytest.raises(ValueError, match="no unit vector"):
        ReferencePhoto("consent", "ab" * 32, JPEG, 1, 1, (0, 0, 1, 1), 1.0, {"p": vector})
