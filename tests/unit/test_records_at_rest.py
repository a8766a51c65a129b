import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select

from detector.identity import Fingerprint
from records.database import open_database
from records.decisions import BurstRule, DecisionRecords
from records.errors import ChangeUnreadable, MasterKeyError
from records.gallery import GalleryRecords
from records.gallery_changes import read_change
from records.keys.keyring import DataKey, MasterKey
from records.outbox import Outbox
from records.references import ReferencePhoto
from records.schema import EmbeddingRow, FingerprintRow, IdentityKeyRow

MASTER = MasterKey.of(bytes(range(32)))
VECTOR = np.full(64, 0.125, np.float32) * np.where(np.arange(64) % 3, 1, -1).astype(np.float32)
JPEG = b"\xff\xd8\xff\xe0 a face that nobody may read \xff\xd9" * 20
BOX = (10.0, 20.0, 100.0, 120.0)
PRINT = Fingerprint(b"the hash of Ada's whole picture!", 87, b"and the hash of her aligned face", 640, 480, BOX)
PHOTO = ReferencePhoto("consent of 2026-01-01", "ab" * 32, JPEG, 640, 480, BOX, 0.9, {"p": VECTOR}, PRINT)


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
    for secret in (VECTOR.tobytes()[:32], base64.b64encode(VECTOR.tobytes())[:32], JPEG[:24], MASTER.current):
        assert secret not in raw
    for secret in (PRINT.picture, PRINT.face):
        assert secret not in raw and secret.hex().encode() not in raw
        assert not any(base64.b64encode(b"\0" * shift + secret)[4:40] in raw for shift in range(3))


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


def test_removing_an_identity_wipes_its_fingerprints_and_all_that_was_decided_about_it(database, tmp_path):
    records = GalleryRecords(database, MASTER)
    decisions = DecisionRecords(database, MASTER, BurstRule(2, 24, 1))
    kept = records.add_identity("Grace", "victim", references=[PHOTO])
    gone = records.add_identity("Ada", "victim", references=[PHOTO])
    for identity_id, whose in ((kept, "graces"), (gone, "adas")):
        for number in (1, 2):
            decisions.record(
                identity_id,
                f"{whose}-twin",
                "not_this_person",
                f"{whose}-moderator",
                f"{whose}-review-{number}",
                f"{whose}-note",
            )
        decisions.record(identity_id, f"{whose}-account", "genuine_owner", "mo")
    with database.read() as session:
        sealed = [row.sealed for row in session.scalars(select(FingerprintRow))]
    words = [f"adas-{word}".encode() for word in ("twin", "moderator", "review-1", "note", "account")]
    raw = raw_bytes(tmp_path)
    assert all(secret in raw for secret in (*words, *sealed)), "the search looks where the rows are"
    records.remove_identity(gone)
    raw = raw_bytes(tmp_path)
    assert not any(secret in raw for secret in words)
    assert all(secret.replace(b"adas", b"graces") in raw for secret in words), "the other identity's stay"
    assert sum(blob in raw for blob in sealed) == 1
    assert decisions.history(gone) == ()
    assert len(decisions.history(kept)) == 3


def test_dropping_a_packs_embeddings_wipes_them_from_the_files(database, tmp_path):
    records = GalleryRecords(database, MASTER)
    identity_id = records.add_identity("Ada", "victim", references=[PHOTO])
    records.add_embeddings(identity_id, {records.show(identity_id).references[0].id: ("other", VECTOR, None)})
    with database.read() as session:
        (sealed,) = session.scalars(select(EmbeddingRow.sealed).where(EmbeddingRow.pack == "p"))
    assert sealed in raw_bytes(tmp_path)
    assert records.remove_embeddings("p") == 1
    assert sealed not in raw_bytes(tmp_path)


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
    stranger = GalleryRecords(database, MasterKey.of(b"\1" * 32))
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


@pytest.mark.parametrize("wrong", [{"picture": b"short"}, {"face": bytes(33)}, {"picture_quality": 101}, {"width": -1}])
def test_a_fingerprint_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="fingerprint is none"):
        replace(PHOTO, fingerprint=PRINT._replace(**wrong))
