"""The sweep over vectors in 24 bits misses nothing that float64 finds, and keeps vectors as well as float32 does."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.vectors import BLOCK, Vectors


def unit_rows(count, dimension, seed):
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def filled(vectors, **options):
    made = Vectors(vectors.shape[1], **options)
    made.set(range(len(vectors)), vectors)
    return made


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dimension=st.sampled_from([1, 3, 16, 128, 512]),
    probes=st.integers(1, 9),
    rank=st.integers(0, 10**6),
    scales=st.lists(st.sampled_from([0.0, 1e-20, 1e-3, 1.0, 40.0]), min_size=1, max_size=60),
)
def test_no_row_at_or_above_the_threshold_is_missed(seed, dimension, probes, rank, scales):
    vectors = unit_rows(len(scales), dimension, seed) * np.array(scales, np.float32)[:, None]
    asked = unit_rows(probes, dimension, seed + 1)
    made = filled(vectors)
    exact = vectors.astype(np.float64) @ asked.T.astype(np.float64)
    threshold = float(exact.ravel()[rank % exact.size])
    expected = set(np.flatnonzero((exact >= threshold).any(axis=1)).tolist())
    assert expected <= set(made.near(asked, threshold).tolist())


def test_few_rows_below_the_threshold_are_looked_at():
    vectors, probes = unit_rows(20_000, 128, 1), unit_rows(8, 128, 2)
    near = filled(vectors).near(probes, 0.25)
    best = (vectors @ probes.T).max(axis=1)
    assert 0 < (best >= 0.25).sum() <= len(near) < 3 * (best >= 0.25).sum()
    assert best[near].min() > 0.22


@pytest.mark.parametrize("dimension", [6, 128, 512])
def test_a_vector_is_kept_to_24_bits(dimension):
    vectors = unit_rows(500, dimension, 3)
    kept = filled(vectors).get(range(500))
    assert kept.dtype == np.float32
    assert np.abs(kept - vectors).max() <= np.abs(vectors).max() * 2**-24 * 1.5
    probes = unit_rows(20, dimension, 4)
    exact = vectors.astype(np.float64) @ probes.T.astype(np.float64)
    assert np.abs(kept @ probes.T - exact).max() < 3e-7


def test_axes_are_kept_bit_by_bit():
    for vectors in (np.eye(128, dtype=np.float32), -np.eye(128, dtype=np.float32)):
        assert np.array_equal(filled(vectors).get(range(128)), vectors)


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_of_every_block_are_found_in_their_order(threads):
    made = Vectors(4, threads)
    rows = [0, 7, BLOCK - 1, BLOCK, 2 * BLOCK + 5]
    made.set(rows, np.tile(np.array([[1, 0, 0, 0]], np.float32), (len(rows), 1)))
    assert made.near(np.array([[1, 0, 0, 0]], np.float32), 0.9).tolist() == rows


def test_a_cleared_row_is_near_nothing_and_nothing_of_it_stays():
    made = filled(unit_rows(3, 16, 5))
    probe = made.get([1])
    made.clear([1])
    assert made.near(probe, 0.9).size == 0
    assert not made.get([1]).any()


def test_rows_that_do_not_change_are_found_while_others_do():
    vectors = unit_rows(2000, 32, 6)
    made, ended, missed = filled(vectors), threading.Event(), []

    def write():
        drawn = np.random.default_rng(7)
        while not ended.is_set():
            rows = drawn.choice(np.arange(1000, 3000), 20, replace=False)
            made.set(rows, unit_rows(20, 32, int(drawn.integers(2**32))))

    writer = threading.Thread(target=write)
    writer.start()
    for row in range(0, 1000, 4):
        if row not in made.near(vectors[row][None], 0.999):
            missed.append(row)
    ended.set()
    writer.join()
    assert missed == []
