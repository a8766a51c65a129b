"""From a review budget to thresholds."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import packaged
from detector.calibration import Calibration
from detector.impostor_tail import ImpostorTail
from detector.packs import read_packs
from detector.policy import NoThreshold, Policy, PolicySettings

SETTINGS = PolicySettings(
    review_budget=1.0, faces_per_upload=1.0, threshold=None, worst_cohort=False, name_claim_fmr=0.001
)
LFW = read_packs(packaged("models.toml"))["opencv-zoo"].calibration
PACK = LFW.pack


def policy(calibration=LFW, **changed):
    return Policy(PACK, replace(SETTINGS, **changed), calibration)


def test_the_chain_from_budget_to_cosine():
    thresholds = policy().at(1000)
    assert thresholds.fpir == pytest.approx(0.001)
    assert thresholds.fmr == pytest.approx(1e-6, rel=0.01)
    assert thresholds.review == pytest.approx(LFW.tail.cosine(thresholds.fmr))
    assert thresholds.detection_rate == pytest.approx(LFW.detection_rate(thresholds.review))


@given(
    budget=st.floats(0.01, 50),
    references=st.integers(0, 10**7),
    more=st.integers(1, 10**6),
    looser=st.floats(1.5, 10),
)
def test_the_threshold_rises_with_the_gallery_and_falls_with_the_budget(budget, references, more, looser):
    one = policy(review_budget=budget).at(references)
    assert policy(review_budget=budget).at(references + more).review >= one.review
    assert policy(review_budget=budget * looser).at(references).review <= one.review
    assert one.name_claim <= one.review <= one.sure
    assert one.search < one.review


def test_an_empty_gallery_has_a_threshold_too():
    assert policy().at(0).review == policy().at(1).review


def test_more_faces_in_an_upload_leave_each_less_of_the_budget():
    assert policy(faces_per_upload=3.0).at(1000).review == pytest.approx(policy().at(3000).review, abs=1e-4)


def test_the_policy_says_where_the_data_end():
    assert not policy(review_budget=20.0).at(1000).extrapolated
    assert policy().at(100_000).extrapolated


def test_the_operators_threshold_stays_whatever_the_gallerys_size_and_its_price_is_told():
    for references in (10, 1_000_000):
        assert policy(threshold=0.47).at(references).review == 0.47
    assert policy(threshold=0.47).at(1000).fpir == pytest.approx(1000 * LFW.tail.fmr(0.47), rel=0.01)
    assert policy(threshold=0.47).at(1_000_000).fpir > 0.99


def test_a_pack_without_a_calibration_needs_one_or_a_threshold():
    with pytest.raises(NoThreshold, match=r"opencv-zoo@1 has no calibration: .*likeness calibrate.*policy\.threshold"):
        policy(calibration=None)
    thresholds = policy(calibration=None, threshold=0.4).at(1000)
    assert (thresholds.review, thresholds.sure, thresholds.name_claim) == (0.4, 0.4, 0.4)
    assert thresholds.fmr is None and thresholds.detection_rate is None


def test_the_calibration_of_another_pack_is_refused():
    with pytest.raises(NoThreshold, match=r"of model pack buffalo_l@0\.7, not of opencv-zoo@1"):
        policy(calibration=replace(LFW, pack="buffalo_l@0.7"))


def test_a_poorer_face_must_be_more_alike_to_be_beyond_doubt():
    made = policy()
    thresholds = made.at(1000)
    assert made.sure(thresholds, 1.0) == pytest.approx(thresholds.sure)
    qualities = [1.0, 0.7, 0.4, 0.2, 0.1]
    cosines = [made.sure(thresholds, quality) for quality in qualities]
    assert cosines == sorted(cosines) and cosines[-1] > cosines[0] + 0.02
    assert made.sure(thresholds, 0.0) == cosines[-1]


def test_a_name_that_many_bear_needs_a_better_face():
    made = policy()
    thresholds = made.at(100_000)
    cosines = [made.name_claim(thresholds, comparisons) for comparisons in (1, 10, 200, 10**9)]
    assert cosines[0] == thresholds.name_claim == pytest.approx(LFW.tail.cosine(0.001))
    assert cosines == sorted(cosines) and cosines[2] > cosines[0] + 0.05
    assert cosines[3] == thresholds.review


COHORTS = {
    "alike": ImpostorTail(0.33, 0.0099, 26.0, 120.0, 1e-5),
    "unlike": ImpostorTail(0.25, 0.0099, 26.0, 120.0, 1e-5),
}


def test_the_budget_can_hold_in_the_worst_cohort():
    calibration = replace(LFW, cohorts=COHORTS)
    average, worst = policy(calibration), policy(calibration, worst_cohort=True)
    assert worst.at(1000).review == pytest.approx(COHORTS["alike"].cosine(worst.at(1000).fmr))
    assert worst.at(1000).review > average.at(1000).review + 0.02
    assert worst.at(1000).detection_rate < average.at(1000).detection_rate


def test_a_worst_cohort_must_be_known():
    with pytest.raises(NoThreshold, match="has no cohorts"):
        policy(worst_cohort=True)


def test_a_calibration_without_genuine_pairs_gives_no_detection_rate():
    bare: Calibration = replace(LFW, genuine=())
    assert policy(bare).at(1000).detection_rate is None
