"""Exact search in a gallery that changes."""

import threading

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.fingerprint import hashes_to_search, pdq
from detector.identity import Fingerprint, Identity, Reference
from detector.index import GalleryIndex
from detector.searchable import GalleryOfAnotherPack, Query
from detector.template import template

PACK, DIMENSION = "test@1", 6
BLOCK = 500


def unit(vector):
    vector = np.asarray(vector, np.float32)
    return vector / np.linalg.norm(vector)


def axis(number):
    return np.eye(DIMENSION, dtype=np.float32)[number]


def identity(name, sequence, embeddings, pack=PACK):
    references = tuple(Reference(f"{name}-{sequence}-{n}", {pack: each}) for n, each in enumerate(embeddings))
    return Identity(name, name.title(), "victim", sequence, frozenset(), references)


def found(index, probe, threshold=0.5):
    (matches,), _ = index.search(probe[None], threshold)
    return [(match.identity.id, match.reference_id) for match in matches]


changes = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.integers(0, 4),  # references; 0 stands for removal
        st.integers(-2, 3),  # sequence, relative to the change's number: some come late
        st.integers(0, 2**32 - 1),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(changes=changes, seed=st.integers(0, 2**32 - 1), threshold=st.floats(-0.9, 0.9))
def test_search_equals_brute_force_over_the_newest_states(changes, seed, threshold):
    index, newest, state = GalleryIndex(PACK, DIMENSION), {}, {}
    for number, (name, count, offset, random) in enumerate(changes, start=1):
        sequence = max(1, number + offset)
        vectors = np.random.default_rng(random).normal(size=(count, DIMENSION))
        wanted = identity(name, sequence, [unit(vector) for vector in vectors])
        taken = index.apply(wanted) if count else index.remove(name, sequence)
        assert taken == (sequence > newest.get(name, 0))
        if taken:
            newest[name] = sequence
            state.pop(name, None)
            if count:
                state[name] = wanted
    probes = np.stack([unit(vector) for vector in np.random.default_rng(seed).normal(size=(3, DIMENSION))])
    results, version = index.search(probes, threshold)
    assert version == index.version == max(newest.values(), default=0)
    assert index.identities == len(state)
    assert index.references == sum(len(each.references) for each in state.values())
    for probe, matches in zip(probes, results, strict=True):
        expected = {}
        for each in state.values():
            nearest = max(each.references, key=lambda reference: float(reference.embeddings[PACK] @ probe))
            rows = [reference.embeddings[PACK] for reference in each.references]
            rows += [template(np.stack(rows))] if len(rows) > 1 else []
            similarity = max(float(row @ probe) for row in rows)
            if similarity >= threshold:
                expected[each.id] = (nearest.id, pytest.approx(similarity, abs=1e-5))
        assert {match.identity.id: (match.reference_id, match.similarity) for match in matches} == expected
        similarities = [match.similarity for match in matches]
        assert similarities == sorted(similarities, reverse=True)


def test_several_references_find_by_their_middle_what_none_of_them_finds_alone():
    index = GalleryIndex(PACK, DIMENSION)
    one, other = unit([1, 1, 0, 0, 0, 0]), unit([1, 0, 0.9, 0, 0, 0])
    index.apply(identity("ada", 1, [one, other]))
    assert (index.references, index.comparisons) == (2, 3)
    assert float(axis(0) @ one) < 0.8 and float(axis(0) @ other) < 0.8
    assert found(index, axis(0), 0.8) == [("ada", "ada-1-1")], "the nearest reference is named"
    assert len(index.embeddings("ada")) == 2
    index.remove("ada", 2)
    assert (index.references, index.comparisons) == (0, 0)


def fingerprint(seed):
    pixels = cv2.resize(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8), (128, 128))
    picture, quality = pdq(pixels)
    assert quality >= 50
    return pixels, Fingerprint(picture.tobytes(), quality, bytes(32), 128, 128, (0.0, 0.0, 10.0, 10.0))


def with_photo(name, sequence, seed):
    reference = Reference(f"{name}-photo", {PACK: axis(seed % DIMENSION)}, fingerprint(seed)[1])
    return Identity(name, name.title(), "victim", sequence, frozenset(), (reference,))


def test_one_look_tells_of_faces_pictures_and_names_with_one_version():
    index = GalleryIndex(PACK, DIMENSION)
    index.apply(with_photo("ada lovelace", 3, 1))
    index.apply(with_photo("bea", 7, 2))
    pixels, _ = fingerprint(2)
    query = Query(axis(1)[None], hashes_to_search(pixels[:, ::-1]), "Lovelace Ada", "xyz")
    asked = []
    (answer,), version, comparisons = index.look_up([query], lambda count: asked.append(count) or 0.5)
    assert (version, comparisons, asked) == (7, 2, [2])
    assert [[match.identity.id for match in matches] for matches in answer.faces] == [["ada lovelace"]]
    (picture,) = answer.pictures
    assert (picture.identity.id, picture.reference_id, picture.photo.transform) == ("bea", "bea-photo", "mirrored")
    (claim,) = answer.claims
    assert (claim.claim.field, claim.match.identity.id, claim.face) == ("display_name", "ada lovelace", 0)
    assert claim.match.similarity == pytest.approx(1.0)
    assert claim.comparisons == 1


def test_a_removed_identity_is_found_neither_by_picture_nor_by_name():
    index = GalleryIndex(PACK, DIMENSION)
    index.apply(with_photo("ada lovelace", 1, 1))
    index.remove("ada lovelace", 2)
    index.apply(identity("bea", 3, [axis(5)]))
    query = Query(axis(1)[None], hashes_to_search(fingerprint(1)[0]), "Ada Lovelace", None)
    (answer,), _, _ = index.look_up([query], lambda count: 0.5)
    assert (answer.faces, answer.pictures, answer.claims) == ([[]], [], [])


def test_an_identity_is_found_by_its_best_reference():
    index = GalleryIndex(PACK, DIMENSION)
    index.apply(identity("ada", 1, [unit([1, 1, 0, 0, 0, 0]), axis(0), unit([1, 0, 1, 0, 0, 0])]))
    (matches,), _ = index.search(axis(0)[None], 0.5)
    assert [(match.reference_id, match.similarity) for match in matches] == [("ada-1-1", pytest.approx(1.0))]


def test_a_similarity_at_the_threshold_matches_and_one_below_does_not():
    index = GalleryIndex(PACK, DIMENSION)
    index.apply(identity("ada", 1, [axis(0)]))
    probe = np.zeros(DIMENSION, np.float32)
    probe[0] = 0.5
    assert found(index, probe, 0.5) == [("ada", "ada-1-0")]
    assert found(index, probe, 0.50001) == []


def test_an_older_change_that_comes_late_is_ignored_even_after_removal():
    index = GalleryIndex(PACK, DIMENSION)
    assert index.apply(identity("ada", 5, [axis(0)]))
    assert not index.apply(identity("ada", 4, [axis(1)]))
    assert not index.apply(identity("ada", 5, [axis(1)]))
    assert found(index, axis(0)) == [("ada", "ada-5-0")]
    assert index.remove("ada", 7)
    assert not index.apply(identity("ada", 6, [axis(0)]))
    assert found(index, axis(0)) == []
    assert (index.version, index.identities, index.references) == (7, 0, 0)


def test_a_removed_identity_is_not_found_even_below_zero():
    index = GalleryIndex(PACK, DIMENSION)
    index.apply(identity("ada", 1, [axis(0)]))
    index.apply(identity("bea", 2, [axis(1)]))
    index.remove("ada", 3)
    assert found(index, axis(0), threshold=-1.0) == [("bea", "bea-2-0")]


def test_rows_of_removed_references_are_used_again_so_that_changes_do_not_grow_memory():
    index = GalleryIndex(PACK, DIMENSION)
    for sequence in range(1, 5000):
        index.apply(identity("ada", sequence, [axis(sequence % DIMENSION)] * 3))
    assert index.references == 3
    assert len(index._faces.vectors) == len(index._faces.rows.owners) == index.comparisons == 4


def test_the_gallery_may_outgrow_its_first_block(monkeypatch):
    monkeypatch.setattr("detector.vectors.BLOCK", BLOCK)
    index = GalleryIndex(PACK, DIMENSION)
    vectors = np.random.default_rng(5).normal(size=(2 * BLOCK + 10, DIMENSION))
    people = [identity(f"person-{number}", number, [unit(vector)]) for number, vector in enumerate(vectors, start=1)]
    index.apply_all(people)
    assert index.references == len(vectors)
    for number in (1, BLOCK, BLOCK + 1, len(vectors)):
        assert found(index, unit(vectors[number - 1]))[0] == (f"person-{number}", f"person-{number}-{number}-0")


def test_references_without_an_embedding_of_this_pack_are_counted_and_refused():
    index = GalleryIndex(PACK, DIMENSION)
    index.apply(identity("ada", 1, [axis(0)]))
    index.require_searchable()
    index.apply(identity("bea", 2, [axis(0), axis(1)], pack="other@1"))
    assert (index.without_embedding, index.references, index.identities) == (2, 1, 2)
    with pytest.raises(GalleryOfAnotherPack, match=r"2 references .* model pack test@1"):
        index.require_searchable()
    index.remove("bea", 3)
    index.require_searchable()


@pytest.mark.parametrize("wrong", [np.ones(DIMENSION + 1), np.ones(1), np.full(DIMENSION, np.nan)])
def test_a_change_that_cannot_be_taken_in_leaves_the_identity_as_it_was(wrong):
    index = GalleryIndex(PACK, DIMENSION)
    index.apply(identity("ada", 1, [axis(0), axis(1)]))
    with pytest.raises(ValueError, match="finite numbers"):
        index.apply(identity("ada", 2, [wrong.astype(np.float32)]))
    assert found(index, axis(0)) == [("ada", "ada-1-0")]
    assert (index.references, index.comparisons, index.version) == (2, 3, 1)
    assert index.apply(identity("ada", 2, [axis(2)])), "the change can come again, mended"


def test_an_empty_gallery_and_a_picture_without_faces_give_no_matches():
    index = GalleryIndex(PACK, DIMENSION)
    assert index.search(np.stack([axis(0), axis(1)]), 0.1) == ([[], []], 0)
    index.apply(identity("ada", 4, [axis(0)]))
    assert index.search(np.empty((0, DIMENSION), np.float32), 0.1) == ([], 4)


def test_a_search_during_changes_sees_each_identity_wholly_old_or_wholly_new():
    """Ada's references all lie on one of two axes: a search of both axes must always find exactly one of them."""
    index = GalleryIndex(PACK, DIMENSION)
    index.apply(identity("ada", 1, [axis(0)] * 40))
    ended, wrong = threading.Event(), []

    def searching():
        while not ended.is_set():
            results, version = index.search(np.stack([axis(0), axis(1)]), 0.9)
            hits = [(place, match) for place, matches in enumerate(results) for match in matches]
            if len(hits) != 1:
                wrong.append(f"{len(hits)} matches")
                continue
            place, match = hits[0]
            if (match.identity.sequence + 1) % 2 != place or match.identity.sequence != version:
                wrong.append(f"axis {place}, sequence {match.identity.sequence}, version {version}")

    threads = [threading.Thread(target=searching) for _ in range(3)]
    for thread in threads:
        thread.start()
    for sequence in range(2, 1500):
        index.apply(identity("ada", sequence, [axis((sequence + 1) % 2)] * (40 + sequence % 7)))
    ended.set()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:5]


def test_more_probes_than_one_product_takes_are_all_answered():
    index = GalleryIndex("p", 16)
    vectors = np.eye(16, dtype=np.float32)
    for number, vector in enumerate(vectors):
        index.apply(Identity(f"idn_{number}", "n", "victim", number + 1, frozenset(), (Reference("r", {"p": vector}),)))
    matches, version = index.search(np.tile(vectors, (13, 1)), 0.5)
    assert [[match.identity.id for match in found] for found in matches] == [[f"idn_{n % 16}"] for n in range(13 * 16)]
    assert version == 16


def test_a_search_during_several_changes_made_at_once_sees_all_of_them_or_none():
    """Ada lies on one axis and Bea on the other, and by each change that is made at once they change places: taken one
    by one, both would lie on the same axis in between."""
    index = GalleryIndex(PACK, DIMENSION)
    index.apply(identity("ada", 1, [axis(0)]))
    index.apply(identity("bea", 2, [axis(1)]))
    ended, wrong = threading.Event(), []

    def searching():
        while not ended.is_set():
            results, version = index.search(np.stack([axis(0), axis(1)]), 0.9)
            found = ["".join(match.identity.id for match in matches) for matches in results]
            if found != (["ada", "bea"] if version % 4 == 2 else ["bea", "ada"]):
                wrong.append((found, version))

    threads = [threading.Thread(target=searching) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(1, 750):
        with index.at_once():
            index.apply(identity("ada", 2 * turn + 1, [axis(turn % 2)]))
            index.apply(identity("bea", 2 * turn + 2, [axis((turn + 1) % 2)]))
    ended.set()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:5]


def test_many_changes_taken_together_equal_the_same_changes_one_by_one():
    drawn = np.random.default_rng(8)
    people = [
        identity(f"p{number % 11}", sequence, [unit(drawn.normal(size=DIMENSION)) for _ in range(number % 4)])
        for number, sequence in enumerate(drawn.permutation(np.arange(1, 101)).tolist())
    ]
    one_by_one, together = GalleryIndex(PACK, DIMENSION), GalleryIndex(PACK, DIMENSION)
    for person in people:
        one_by_one.apply(person)
    for start in range(0, 100, 30):
        together.apply_all(people[start : start + 30])
    for of in ("version", "identities", "references", "comparisons"):
        assert getattr(one_by_one, of) == getattr(together, of)
    for probe in np.eye(DIMENSION, dtype=np.float32):
        assert sorted(found(one_by_one, probe, 0.1)) == sorted(found(together, probe, 0.1))


def test_of_many_changes_with_one_that_cannot_be_taken_in_none_is():
    index = GalleryIndex(PACK, DIMENSION)
    with pytest.raises(ValueError, match="finite numbers"):
        index.apply_all([identity("ada", 1, [axis(0)]), identity("bea", 2, [np.ones(3, np.float32)])])
    assert (index.identities, index.version) == (0, 0)


def test_who_is_found_is_told_whole_but_for_the_embeddings():
    index = GalleryIndex(PACK, DIMENSION)
    reference = Reference("photo", {PACK: axis(0)}, fingerprint(1)[1])
    wanted = Identity("ada", "Ada", "celebrity", 9, frozenset("xy"), (reference,), frozenset("z"), 5, True)
    index.apply(wanted)
    ((match,),), _ = index.search(axis(0)[None], 0.5)
    assert told(match.identity) == told(wanted)
    assert match.identity.references[0].embeddings == {}
    np.testing.assert_array_equal(index.embeddings("ada"), [axis(0)])


def told(one):
    references = [(reference.id, reference.fingerprint) for reference in one.references]
    facts = (one.id, one.name, one.kind, one.sequence, one.own_accounts, one.negative_accounts)
    return (*facts, one.reach, one.quarantined, references)


def test_a_removal_during_a_sweep_leaves_no_ghost_and_an_addition_is_found(monkeypatch):
    """Changes are made just after the sweep has read every row, and before its rows are compared."""
    index = GalleryIndex(PACK, DIMENSION)
    index.apply(identity("ada", 1, [axis(0)]))
    sweep = index._faces.near

    def sweep_then_change(probes, threshold):
        rows = sweep(probes, threshold)
        if index.version == 1:
            index.remove("ada", 2)
            index.apply(identity("bea", 3, [axis(1), axis(0)]))
        return rows

    monkeypatch.setattr(index._faces, "near", sweep_then_change)
    results, version = index.search(np.stack([axis(0), axis(1)]), 0.9)
    assert [[match.identity.id for match in matches] for matches in results] == [["bea"], ["bea"]]
    assert version == 3
    assert not index._searches


def test_people_without_fingerprints_may_come_by_the_thousand_while_a_picture_is_looked_up():
    index, picture = GalleryIndex(PACK, DIMENSION), np.arange(32, dtype=np.uint64).reshape(8, 4)
    index.apply(identity("known", 1, [axis(0)]))

    def meanwhile(comparisons):
        index.apply_all([identity(f"new{number}", number + 2, [axis(1)]) for number in range(3000)])
        return 0.9

    (found,), version, _ = index.look_up([Query(axis(0)[None], picture)], meanwhile)
    assert [match.identity.id for match in found.faces[0]] == ["known"]
    assert (found.pictures, version) == ([], 3001)
