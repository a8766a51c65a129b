"""Biometric performance figures on cases small enough to count by hand."""

import numpy as np
import pytest

from detector.evaluation import open_set, verification

REFERENCES = np.eye(3, dtype=np.float32)


def towards(row, similarity):
    """A unit vector at `similarity` to one reference and at 0 to another; to the third it is negative."""
    vector = np.zeros(3, np.float32)
    vector[row] = similarity
    vector[(row + 1) % 3] = -np.sqrt(1 - similarity**2)
    return vector


def open_set_at(strangers, probes, mates, rate):
    (point,) = open_set(REFERENCES, np.stack(probes), np.array(mates), np.stack(strangers), [rate])
    return point


def test_one_false_alarm_in_ten_is_allowed_at_ten_percent():
    strangers = [towards(0, similarity) for similarity in np.arange(0.05, 0.55, 0.05)]
    probes = [towards(0, 0.48), towards(1, 0.49), towards(2, 0.2), towards(1, 0.3)]
    point = open_set_at(strangers, probes, [0, 1, 2, 1], 0.10)
    assert point.fpir == pytest.approx(0.1)
    assert 0.45 < point.threshold < 0.4501
    assert point.tpir == pytest.approx(0.5)


def test_the_rate_asked_for_is_never_exceeded_even_when_strangers_tie():
    strangers = [towards(0, 0.5)] * 5 + [towards(1, 0.1)] * 5
    point = open_set_at(strangers, [towards(0, 0.5), towards(1, 0.6)], [0, 1], 0.10)
    assert (point.asked_fpir, point.fpir) == (0.10, 0.0)
    assert point.threshold > 0.5
    assert point.tpir == pytest.approx(0.5)


def test_fewer_strangers_than_the_rate_resolves_allow_no_false_alarm():
    point = open_set_at([towards(0, 0.3), towards(0, 0.2)], [towards(0, 0.31)], [0], 0.003)
    assert point.fpir == 0.0
    assert point.tpir == 1.0


def test_a_probe_nearest_to_somebody_else_is_a_miss_however_similar():
    point = open_set_at([towards(0, 0.1)], [towards(0, 0.9), towards(1, 0.9)], [1, 1], 0.01)
    assert point.tpir == pytest.approx(0.5)


def test_a_stricter_rate_never_finds_more():
    random = np.random.default_rng(6)

    def units(count):
        vectors = random.normal(size=(count, 3)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    points = open_set(REFERENCES, units(200), random.integers(0, 3, 200), units(300), (0.3, 0.1, 0.01, 0.003))
    assert all(point.fpir <= point.asked_fpir for point in points)
    tpirs = [point.tpir for point in points]
    assert tpirs == sorted(tpirs, reverse=True)


def verify(similarities, genuine, folds=None):
    return verification(
        np.array(similarities, np.float32),
        np.array(genuine, bool),
        np.array(folds if folds is not None else [0] * len(similarities), np.intp),
    )


def test_separable_pairs_are_all_right():
    result = verify([0.9, 0.8, 0.7, 0.2, 0.1, 0.0], [1, 1, 1, 0, 0, 0], [0, 1, 2, 0, 1, 2])
    assert (result.accuracy, result.deviation, result.folds, result.pairs) == (1.0, 0.0, 3, 6)


def test_each_fold_is_judged_by_the_threshold_of_the_others():
    """The last fold's impostor lies above the others' threshold and is accepted."""
    result = verify([0.5, 0.1, 0.5, 0.1, 0.5, 0.1, 0.9, 0.7], [1, 0, 1, 0, 1, 0, 1, 0], [0, 0, 1, 1, 2, 2, 3, 3])
    assert result.accuracy == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert result.deviation == pytest.approx(np.std([1, 1, 1, 0.5]))


def test_equal_similarities_are_not_told_apart():
    """Where genuine pairs and impostors tie, the best threshold accepts or rejects all of them."""
    assert verify([0.5, 0.5, 0.5], [1, 0, 0]).accuracy == pytest.approx(2 / 3)
    assert verify([0.5, 0.5, 0.5], [1, 1, 0]).accuracy == pytest.approx(2 / 3)
    assert verify([0.9, 0.5, 0.5, 0.5, 0.1], [1, 1, 0, 0, 0]).accuracy == pytest.approx(4 / 5)


def test_when_all_pairs_are_impostors_all_are_rejected():
    assert verify([0.9, 0.5, 0.1], [0, 0, 0]).accuracy == 1.0
