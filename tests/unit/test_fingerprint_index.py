"""The search for near hashes, against brute force."""

import time

import numpy as np
import pytest

from detector.fingerprint import hamming
from detector.fingerprint_index import FIRST_CAPACITY, ROWS_AT_ONCE, FingerprintIndex


def random_hashes(count, seed):
    return np.random.default_rng(seed).integers(0, 2**64, (count, 4), np.uint64)


def with_flipped(hash_, bits):
    """The hash with so many of its bits changed."""
    flat = np.unpackbits(hash_.view(np.uint8))
    flat[np.random.default_rng(bits).choice(256, bits, replace=False)] ^= 1
    return np.packbits(flat).view(np.uint64)


def filled(hashes):
    index = FingerprintIndex()
    index.set(list(range(len(hashes))), np.asarray(hashes))
    return index


def test_a_hash_at_the_limit_is_found_and_one_a_bit_further_is_not():
    hashes = random_hashes(50, 1)
    index = filled(hashes)
    assert index.search(with_flipped(hashes[7], 31)[None], 31) == [(7, 31, 0)]
    assert index.search(with_flipped(hashes[7], 32)[None], 31) == []


def test_the_nearest_of_the_avatars_turns_is_named():
    hashes = random_hashes(50, 2)
    turns = random_hashes(8, 3)
    turns[5] = with_flipped(hashes[20], 9)
    turns[6] = with_flipped(hashes[20], 20)
    assert filled(hashes).search(turns, 31) == [(20, 9, 5)]


@pytest.mark.parametrize("limit", [0, 100, 110, 256])
def test_search_equals_brute_force_beyond_one_block(limit):
    hashes, turns = random_hashes(ROWS_AT_ONCE + 300, 4), random_hashes(8, 5)
    turns[3] = hashes[ROWS_AT_ONCE + 100]
    distances = np.bitwise_count(turns[:, None] ^ hashes[None]).sum(axis=2)
    expected = {
        (row, int(distances[:, row].min()), int(distances[:, row].argmin()))
        for row in np.flatnonzero(distances.min(axis=0) <= limit)
    }
    found = filled(hashes).search(turns, limit)
    assert set(found) == expected and len(found) == len(expected)
    assert [hit[1] for hit in found] == sorted(hit[1] for hit in found)
    assert (ROWS_AT_ONCE + 100, 0, 3) in found


def test_a_row_without_a_hash_is_not_found_even_by_a_hash_of_zeros():
    index = FingerprintIndex()
    index.clear([0])
    index.set([3], random_hashes(1, 6))
    index.clear([3])
    assert index.search(np.zeros((8, 4), np.uint64), 256) == []
    assert len(index) == 0


def test_a_row_that_is_used_again_holds_only_its_new_hash():
    old, new = random_hashes(2, 7)
    index = filled([old])
    index.clear([0])
    index.set([0], new[None])
    assert index.search(old[None], 31) == []
    assert index.search(new[None], 31) == [(0, 0, 0)]
    assert len(index) == 1


def test_rows_beyond_the_first_capacity_may_come_in_any_order():
    rows = [5 * FIRST_CAPACITY, 2, FIRST_CAPACITY - 1, FIRST_CAPACITY]
    hashes = random_hashes(len(rows), 8)
    index = FingerprintIndex()
    index.set(rows, hashes)
    for row, hash_ in zip(rows, hashes, strict=True):
        assert index.search(hash_[None], 0) == [(row, 0, 0)]


def test_rows_beyond_all_that_ever_held_a_hash_are_none_that_are_near():
    index = filled(random_hashes(3, 5))
    beyond = np.array([2, FIRST_CAPACITY, 10 * FIRST_CAPACITY])
    assert index.compare(random_hashes(3, 5), beyond) == [(2, 0, 2)]


def test_an_avatar_too_flat_for_a_hash_and_an_empty_gallery_find_nothing():
    assert filled(random_hashes(5, 9)).search(np.empty((0, 4), np.uint64), 256) == []
    assert FingerprintIndex().search(random_hashes(8, 10), 256) == []


def test_what_is_found_lies_within_the_limit_by_the_plain_distance():
    hashes, turns = random_hashes(400, 11), random_hashes(8, 12)
    for row, distance, turn in filled(hashes).search(turns, 105):
        assert distance == hamming(turns[turn], hashes[row]) <= 105


def file_all(index):
    index._file()
    assert not index._unfiled


@pytest.mark.parametrize("limit", [0, 16, 31])
def test_rows_that_were_filed_are_found_up_to_the_limit_however_the_bits_are_spread(limit):
    hashes = random_hashes(3000, 12)
    index = filled(hashes)
    file_all(index)
    for row in range(0, 3000, 10):
        bits = np.random.default_rng(row).choice(256, limit, replace=False)
        flat = np.unpackbits(hashes[row].view(np.uint8))
        flat[bits] ^= 1
        assert index.search(np.packbits(flat).view(np.uint64)[None], limit) == [(row, limit, 0)]


def test_a_hash_whose_every_key_differs_by_nearly_two_bits_is_still_found():
    """31 bits over 16 keys: fifteen keys differ by two bits and one by one, the most that the filing must bear."""
    hashes = random_hashes(3000, 13)
    index = filled(hashes)
    file_all(index)
    for single in range(16):
        keys = hashes[42].copy().view(np.uint16)
        keys ^= np.array([1 << 9 if key == single else 0b100001 for key in range(16)], np.uint16)
        assert index.search(keys.view(np.uint64)[None], 31) == [(42, 31, 0)]


def test_changes_after_filing_are_seen_at_once():
    hashes, (new,) = random_hashes(3000, 14), random_hashes(1, 15)
    index = filled(hashes)
    file_all(index)
    index.clear([5])
    index.set([6], new[None])
    assert index.search(hashes[5:7], 31) == []
    assert index.search(new[None], 31) == [(6, 0, 0)]
    file_all(index)
    assert index.search(new[None], 31) == [(6, 0, 0)]


def test_a_gallery_of_one_picture_over_and_over_is_found_whole():
    (hash_,) = random_hashes(1, 16)
    index = filled([hash_] * 500)
    file_all(index)
    assert [hit[0] for hit in index.search(np.stack([hash_] * 8), 31)] == list(range(500))


def test_many_changes_are_filed_by_themselves_and_change_no_answer(monkeypatch):
    monkeypatch.setattr("detector.fingerprint_index.LEAST_UNFILED", 100)
    hashes = random_hashes(2000, 17)
    index = filled(hashes)
    for _ in range(100):
        assert index.search(hashes[7][None], 31) == [(7, 0, 0)]
        if not index._unfiled:
            break
        time.sleep(0.05)
    assert not index._unfiled
