"""The gallery in Milvus answers as the one in memory does, on the same people and the same questions."""

import base64
import uuid
from contextlib import closing

import numpy as np
import pytest

from config import load_settings
from consumers.milvus.gallery import MilvusGallery
from consumers.milvus.rows import GalleryRows
from consumers.milvus.side import open_store
from consumers.milvus.store import MilvusAway, Store, sequence_of
from detector.fingerprint import hash_from
from detector.identity import Fingerprint
from detector.index import GalleryIndex
from detector.searchable import Query
from records.database import open_database
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.keys.vector_key import vector_key
from records.references import ReferencePhoto
from tests.support.milvus import MilvusLite
from tests.support.program import Program
from tests.support.protection import Protection

PACK, DIMENSION = "opencv-zoo@1", 128
PEOPLE = 120
NAMES = ("Emmanuel Macron", "Jacinda Ardern", "Anna", "Emmanuel Macron", "Zoë Świątek", "李小龙")
MASTER = MasterKey.of(bytes(32))
chance = np.random.default_rng(7)


def unit(vector):
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def somebody():
    return unit(chance.normal(size=DIMENSION))


def like(face, cosine):
    away = chance.normal(size=DIMENSION)
    away = unit(away - (away @ face) * face)
    return unit(cosine * face + (1 - cosine**2) ** 0.5 * away)


def photo(face, *, quality=90):
    pixels = Fingerprint(chance.bytes(32), quality, chance.bytes(32), 112, 112, (0, 0, 112, 112))
    digest = chance.bytes(32).hex()
    return ReferencePhoto("made up", digest, b"jpeg", 112, 112, (0, 0, 112, 112), 1.0, {PACK: face}, pixels)


def picture_of(identity, bits):
    """The fingerprint of one of the identity's photos, `bits` of it changed, in the third of eight ways."""
    found = hash_from(identity.references[0].fingerprint.picture).copy()
    found[0] ^= np.uint64((1 << bits) - 1)
    others = np.frombuffer(chance.bytes(8 * 32), "<u8").reshape(8, 4).astype(np.uint64)
    others[2] = found
    return others


@pytest.fixture(params=["HNSW", "FLAT"])
def settings(request, milvus, tmp_path):
    table = {"uri": milvus.uri, "prefix": f"t{uuid.uuid4().hex[:8]}_", "index": request.param, "ivf_nlist": 8}
    return load_settings(home=tmp_path, milvus=table)


@pytest.fixture
def in_milvus(settings, database):
    """Records, the gallery and its rows in Milvus."""
    records = GalleryRecords(database, MASTER)
    store, turning = open_store(settings, database, MASTER)
    with closing(store):
        rows = GalleryRows(store, turning, {PACK: DIMENSION})
        rows.prepare()
        gallery = MilvusGallery(PACK, DIMENSION)
        gallery.connect(store, turning, records)
        yield records, gallery, rows, store


def told(found):
    """An answer, in words that can be compared."""
    near = lambda match: (match.identity.id, match.reference_id, round(match.similarity, 4))  # noqa: E731
    faces = [[near(match) for match in face] for face in found.faces]
    pictures = [(one.identity.id, one.reference_id, one.photo.distance, one.photo.transform) for one in found.pictures]
    claims = [(one.claim, one.face, near(one.match), one.comparisons) for one in found.claims]
    return faces, sorted(pictures), sorted(claims, key=str)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_finds_the_same_faces_pictures_and_names_as_the_index_in_memory(in_milvus):
    records, gallery, rows, store = in_milvus
    for number in range(PEOPLE):
        face = somebody()
        photos = [photo(like(face, 0.7)) for _ in range(1 + number % 3)]
        if number % 10 == 0:
            photos.append(photo(face, quality=10))
        records.add_identity(NAMES[number] if number < len(NAMES) else f"Nobody {number}", "victim", references=photos)
    people = list(records.identities(PACK))
    memory = GalleryIndex(PACK, DIMENSION)
    for one in people:
        memory.apply(one)
    rows.write({one.id: one for one in people})
    queries = [
        Query(np.stack([somebody(), somebody()]), np.empty((0, 4), np.uint64), "Emmanuel  MACRON", "the_real_anna")
    ]
    for one in people[::4]:
        faces = np.stack([like(one.references[0].embeddings[PACK], 0.75), somebody()])
        queries.append(Query(faces, picture_of(one, 31), one.name, None))
        queries.append(Query(np.empty((0, DIMENSION), np.float32), picture_of(one, 32), one.name, None))
    expected, _, comparisons = memory.look_up(queries, lambda _count: 0.3)
    found, _, _ = gallery.look_up(queries, lambda _count: 0.3)
    assert [told(one) for one in found] == [told(one) for one in expected]
    assert sum(len(one.claims) for one in found) > 30 and sum(len(one.pictures) for one in found) > 25
    assert store.count(store.faces(PACK)) == comparisons
    probes = np.concatenate([query.embeddings for query in queries])
    same = [
        [(match.identity.id, round(match.similarity, 4)) for match in one] for one in gallery.search(probes, 0.3)[0]
    ]
    assert same == [[(one.identity.id, round(one.similarity, 4)) for one in of] for of in memory.search(probes, 0.3)[0]]
    assert np.allclose(gallery.embeddings(people[1].id), memory.embeddings(people[1].id), atol=1e-6)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("settings", ["FLAT"], indirect=True)
def test_all_who_are_near_are_found_however_many_rows_one_of_them_has(in_milvus):
    records, gallery, rows, _ = in_milvus
    face = somebody()
    crowd = records.add_identity("Many Photos", "celebrity", references=[photo(like(face, 0.95)) for _ in range(60)])
    twin = records.add_identity("A Twin", "victim", references=[photo(like(face, 0.6))])
    rows.write({one.id: one for one in records.identities(PACK)})
    (matches,), _ = gallery.search(face[None], 0.5)
    assert [match.identity.id for match in matches] == [crowd, twin]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("settings", ["HNSW"], indirect=True)
def test_an_older_state_never_replaces_a_newer_and_what_is_written_twice_is_there_once(in_milvus):
    records, _, rows, store = in_milvus
    first, second = somebody(), somebody()
    identity_id = records.add_identity("One", "victim", references=[photo(first)])
    (older,) = records.identities(PACK)
    records.add_reference(identity_id, photo(second))
    (newer,) = records.identities(PACK)
    for state in (older, newer, older, newer):
        rows.write({identity_id: state})
        rows.write({identity_id: state})
    faces = store.rows_of(store.faces(PACK), [identity_id])
    assert len(faces) == 3 and {sequence_of(row) for row in faces} == {newer.sequence}
    rows.write({identity_id: older.sequence})
    assert len(store.rows_of(store.faces(PACK), [identity_id])) == 3
    rows.write({identity_id: newer.sequence + 1})
    assert [store.rows_of(name, [identity_id]) for name in rows.collections] == [[], [], []]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("settings", ["HNSW"], indirect=True)
def test_who_was_erased_or_suspended_is_found_by_nobody_though_milvus_still_has_their_rows(in_milvus):
    records, gallery, rows, store = in_milvus
    faces = [somebody() for _ in range(3)]
    ids = [
        records.add_identity(f"No {number}", "victim", references=[photo(face)]) for number, face in enumerate(faces)
    ]
    rows.write({one.id: one for one in records.identities(PACK)})
    records.remove_identity(ids[0])
    records.set_suspended(ids[1], True)
    found, _ = gallery.search(np.stack(faces), 0.9)
    assert [[match.identity.id for match in matches] for matches in found] == [[], [], [ids[2]]]
    assert store.count(store.faces(PACK)) == 3


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("settings", ["HNSW"], indirect=True)
def test_a_collection_that_is_gone_is_made_anew_and_all_is_to_be_written_again(in_milvus):
    _, _, rows, store = in_milvus
    assert not rows.prepare()
    store.drop_collection(store.names)
    assert rows.prepare()
    assert not rows.prepare()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_milvus_knows_neither_faces_nor_fingerprints_nor_names_and_its_files_are_rid_of_the_erased(database, tmp_path):
    """On the raw files of a Milvus of its own: what was turned is there, and is not after compaction. The id may stay
    in the list of what was deleted: it names nobody any more."""
    records, face = GalleryRecords(database, MASTER), somebody()
    taken = photo(face)
    erased = records.add_identity("Emmanuel Macron", "victim", references=[taken])
    kept = records.add_identity("Somebody Else", "victim", references=[photo(somebody())])
    with MilvusLite(tmp_path / "lite") as milvus:
        settings = load_settings(home=tmp_path, milvus={"uri": milvus.uri})
        store, turning = open_store(settings, database, MASTER)
        rows = GalleryRows(store, turning, {PACK: DIMENSION})
        rows.prepare()
        rows.write({one.id: one for one in records.identities(PACK)})
        (turned,) = turning.vectors(face[None])
        (pictured,) = turning.pictures(hash_from(taken.fingerprint.picture)[None])
        assert raw(milvus, turned.tobytes()) and raw(milvus, pictured.tobytes())
        hidden = [face.tobytes(), face.astype("<f8").tobytes(), taken.fingerprint.picture, b"Macron", b"macron"]
        assert not [one for one in hidden if raw(milvus, one)]
        records.remove_identity(erased)
        rows.write({erased: 99})
        store.compact(rows.collections)
        assert not raw(milvus, turned.tobytes()) and not raw(milvus, pictured.tobytes())
        assert store.rows_of(store.faces(PACK), [kept])
        store.close()


def test_the_key_that_turns_faces_stays_the_same_and_rests_wrapped(database):
    key = vector_key(database, MASTER)
    assert vector_key(database, MASTER) == key and len(key) == 32


def test_a_milvus_that_does_not_answer_is_told_in_one_sentence(tmp_path):
    settings = load_settings(home=tmp_path, milvus={"uri": "http://127.0.0.1:9", "seconds": 0.5})
    with pytest.raises(MilvusAway, match=r"^Milvus at http://127.0.0.1:9 does not answer"):
        Store(settings.milvus, "x")


def raw(milvus, needle):
    return [path for path in milvus.folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


def test_erasure_verify_names_milvus_while_a_row_bears_the_id_and_doctor_compares_its_faces_with_the_records(
    milvus, tmp_path
):
    home, prefix = tmp_path / "home", f"t{uuid.uuid4().hex[:8]}_"
    home.mkdir()
    key = base64.b64encode(bytes(32)).decode()
    likeness = Program(
        home, LIKENESS_KEYS__MASTER_KEY=key, LIKENESS_MILVUS__URI=milvus.uri, LIKENESS_MILVUS__PREFIX=prefix
    )
    settings = load_settings(home=home, milvus={"uri": milvus.uri, "prefix": prefix})
    with closing(open_database(settings.database_url)) as database:
        database.migrate()
        people = Protection(database)
        taken, identity_id = people.protect()
        records = GalleryRecords(database, MASTER)
        records.add_identity("Somebody Else", "victim", references=[photo(somebody())])
        store, turning = open_store(settings, database, MASTER)
        with closing(store):
            rows = GalleryRows(store, turning, {PACK: DIMENSION})
            rows.prepare()
            assert "0 faces and templates there, 2 in the records" in doctor_says(likeness)
            rows.write({one.id: one for one in records.identities()})
            people.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
            left = likeness("erasure", "verify", taken.number, "--no-topic")
            assert left.code == 1 and "rows bear the id" in left.out
            rows.write({identity_id: 99})
            ended = likeness("erasure", "verify", taken.number, "--no-topic")
            assert (ended.code, ended.err) == (0, "") and "no row bears the id" in ended.out
            assert "1 faces and templates there, 1 in the records" in doctor_says(likeness)


def doctor_says(likeness):
    return next(one["sentence"] for one in likeness("doctor", "--json").lines if one["name"] == "milvus")
