"""Shares, kappas and the budget's suggestion, against figures worked out by hand."""

import pytest

from records.quality.budget_suggestion import FaceAlarms, suggest_budget
from records.quality.review_statistics import Share, agreement
from web.plots import line_plot, round_up


def test_kappa_and_its_interval_are_those_worked_out_by_hand():
    # observed 0.7, by chance 0.5, kappa 0.4; variance 0.0504 / (50 * 0.5**4) = 0.016128, standard error 0.126996
    found = agreement({("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15})
    assert (found.pairs, found.same) == (50, 35)
    assert found.kappa == pytest.approx(0.4)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.4 - 0.248908, 0.4 + 0.248908), abs=1e-5)


def test_kappa_counts_what_chance_would_give():
    always = agreement({("a", "a"): 3, ("b", "b"): 2})
    assert (always.kappa, always.interval) == (1.0, None), "with no disagreement its spread is not known"
    assert agreement({("a", "b"): 5, ("b", "a"): 5}).kappa == -1.0
    by_chance = agreement({(one, other): 5 for one in "ab" for other in "ab"})
    assert by_chance.kappa == 0.0
    assert agreement({("a", "b"): 1, ("b", "c"): 1}).same == 0


@pytest.mark.parametrize("pairs", [{}, {("a", "a"): 9}], ids=["no pairs", "all say one thing"])
def test_there_is_no_kappa_where_chance_explains_all(pairs):
    assert agreement(pairs).kappa is None
    assert agreement(pairs).interval is None


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_of_a_share_is_wilsons(count, of, low, high):
    # 81 of 263: R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3
    interval = Share(count, of).interval
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


def test_nothing_out_of_nothing_is_no_share():
    assert Share(0, 0).value is None
    assert Share(0, 0).interval is None


def test_more_false_alarms_than_asked_for_suggest_a_lower_budget():
    # 400 of 800 are decided, 90 of them dismissed: as if 50,000 of the 100,000 uploads were looked through
    said = suggest_budget(FaceAlarms(came=800, decided=400, dismissed=90, unclear=20), 1.0, 100_000)
    assert said.verdict == "above"
    assert said.rate == pytest.approx(1.8)
    assert said.interval.low == pytest.approx(1.4650, abs=1e-3)
    assert said.interval.high == pytest.approx(2.2116, abs=1e-3)
    assert said.suggested == pytest.approx(1 / 1.8)


def test_fewer_false_alarms_than_asked_for_suggest_a_higher_budget_but_none_that_is_far_away():
    assert suggest_budget(FaceAlarms(200, 200, 50, 0), 1.0, 100_000).suggested == pytest.approx(2.0)
    none = suggest_budget(FaceAlarms(200, 200, 0, 0), 1.0, 10_000_000)
    assert (none.verdict, none.rate, none.suggested) == ("below", 0.0, 10.0)


def test_what_may_be_chance_suggests_nothing():
    assert suggest_budget(FaceAlarms(200, 200, 110, 0), 1.0, 100_000).verdict == "as_asked"
    assert suggest_budget(FaceAlarms(500, 99, 99, 0), 1.0, 100_000).verdict == "too_few"
    assert suggest_budget(FaceAlarms(200, 200, 110, 0), 1.0, None).verdict == "uploads_unknown"
    assert suggest_budget(FaceAlarms(200, 200, 110, 0), 1.0, 199).verdict == "uploads_too_few"


@pytest.mark.parametrize(("value", "top"), [(0, 2), (3, 4), (7, 10), (12, 20), (41, 100), (100, 100), (900, 1000)])
def test_a_plot_ends_at_a_round_number(value, top):
    assert round_up(value) == top


def test_a_line_breaks_where_nothing_is_known():
    (line,) = line_plot({"a": (0, None, 5, 10)}).lines
    assert line.path == "M0.00 100.00M66.67 50.00L100.00 0.00"
    assert line.dots.count("h0") == 3
