"""How often strangers look alike, far into the tail, on similarities whose true rates are known."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import norm

from detector.impostor_tail import BINS, EDGES, ImpostorTail, TooFewPairs, fit_tail

PEOPLE = 2000
PAIRS = PEOPLE * (PEOPLE - 1) // 2


def histogram(similarities):
    return np.histogram(similarities, EDGES)[0].astype(float)


def normal_impostors(seed, count=PAIRS, mean=0.08, deviation=0.09):
    return np.random.default_rng(seed).normal(mean, deviation, count)


def genuine(seed, count=6000):
    return np.clip(np.random.default_rng(seed).normal(0.65, 0.12, count), -1, 0.999)


@pytest.mark.parametrize("fmr", [1e-3, 1e-4, 1e-5])
def test_the_tail_finds_the_cosines_of_a_known_distribution(fmr):
    tail, _ = fit_tail(histogram(normal_impostors(1)), histogram(genuine(1)), PAIRS)
    assert tail.cosine(fmr) == pytest.approx(norm.isf(fmr, 0.08, 0.09), abs=0.006)


def test_an_exponential_tail_is_fitted_as_one():
    similarities = np.random.default_rng(2).exponential(0.05, PAIRS) - 0.05
    tail, _ = fit_tail(histogram(similarities), histogram(genuine(2)), PAIRS)
    assert tail.cosine(1e-5) == pytest.approx(-0.05 - 0.05 * np.log(1e-5), abs=0.02)


def test_mislabelled_pairs_move_the_cosines_by_next_to_nothing_and_are_counted():
    clean = normal_impostors(3)
    errors = genuine(4, 20)
    without, found = fit_tail(histogram(clean), histogram(genuine(3)), PAIRS)
    with_errors, counted = fit_tail(histogram(np.concatenate([clean, errors])), histogram(genuine(3)), PAIRS)
    assert found < 3
    assert 10 < counted < 25
    for fmr in (1e-4, 1e-5, 1e-6):
        assert with_errors.cosine(fmr) == pytest.approx(without.cosine(fmr), abs=0.01)
    naive = np.quantile(np.concatenate([clean, errors]), 1 - 5e-6)
    assert naive > with_errors.cosine(5e-6) + 0.05, "the errors would have moved a quantile"


def test_copies_of_one_photo_under_many_names_do_not_move_the_cosines():
    clean = normal_impostors(9)
    copies = np.clip(np.random.default_rng(9).normal(0.985, 0.01, 300), -1, 1)
    without, _ = fit_tail(histogram(clean), histogram(genuine(9)), PAIRS)
    with_copies, counted = fit_tail(histogram(np.concatenate([clean, copies])), histogram(genuine(9)), PAIRS)
    assert counted > 200
    for fmr in (1e-5, 1e-6):
        assert with_copies.cosine(fmr) == pytest.approx(without.cosine(fmr), abs=0.012)


def test_without_genuine_pairs_errors_are_still_told_from_the_tail():
    similarities = np.concatenate([normal_impostors(5), genuine(6, 20)])
    tail, counted = fit_tail(histogram(similarities), np.zeros(BINS), PAIRS)
    assert 8 < counted < 30
    assert tail.cosine(1e-5) == pytest.approx(norm.isf(1e-5, 0.08, 0.09), abs=0.012)


def test_beyond_the_data_the_tail_asks_for_no_lower_a_cosine_than_the_curve():
    tail, _ = fit_tail(histogram(normal_impostors(7)), histogram(genuine(7)), PAIRS)
    assert tail.supports(2e-5) and not tail.supports(1e-6)
    for fmr in (1e-6, 1e-8, 1e-10):
        assert tail.cosine(fmr) >= norm.isf(fmr, 0.08, 0.09) - 0.005


TAILS = st.builds(
    ImpostorTail,
    start=st.floats(0.1, 0.4),
    rate=st.floats(0.005, 0.02),
    slope=st.floats(5, 60),
    curvature=st.one_of(st.just(0.0), st.floats(1e-6, 300)),
    supported_fmr=st.floats(1e-7, 1e-4),
)


@given(tail=TAILS, exponent=st.floats(-9, -2.4))
def test_rate_and_cosine_are_each_others_inverse_and_fall(tail, exponent):
    cosine = tail.cosine(10**exponent)
    if cosine < 1:
        assert tail.fmr(cosine) == pytest.approx(10**exponent, rel=1e-6)
        assert tail.fmr(cosine + 0.01) < tail.fmr(cosine)


@given(tail=TAILS)
@example(tail=ImpostorTail(start=0.109375, rate=0.015625, slope=5.0, curvature=2.65767e-05, supported_fmr=6.1e-05))
def test_above_the_tails_own_rate_the_cosine_is_its_start(tail):
    assert tail.cosine(0.5) == pytest.approx(tail.start)
    assert tail.fmr(-1.0) == pytest.approx(tail.rate)


def test_too_few_people_are_refused_with_the_number_needed():
    with pytest.raises(TooFewPairs, match=r"at least \d+ different people"):
        fit_tail(histogram(normal_impostors(8, 50 * 49 // 2)), np.zeros(BINS), 50 * 49 // 2)
