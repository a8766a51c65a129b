"""Biometric performance figures on cases small enough to count by hand."""

import numpy as np
import pytest

from detector.performance.bootstrap import draw, one_to_one, share_at_or_above
from detector.performance.cohorts import Trial, measure, outliers, with_intervals, worst
from detector.performance.evaluation import BLOCK, assign_roles, open_set, operating_points, search, verification
from detector.performance.pair_scores import compare_pairs, highest_impostors

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


def test_who_has_one_face_is_a_stranger_and_the_first_face_of_the_others_is_their_reference():
    roles = assign_roles(np.array([2, 0, 1, 0, 2, 2]))
    assert list(roles.references) == [1, 0]
    assert list(zip(roles.probes, roles.mates, strict=True)) == [(3, 0), (4, 1), (5, 1)]
    assert list(roles.strangers) == [2]


def test_where_everybody_has_several_faces_every_second_person_is_a_stranger_with_all_of_them():
    roles = assign_roles(np.array([0, 0, 1, 1, 1, 2, 2]))
    assert (list(roles.references), list(roles.probes), list(roles.strangers)) == ([0, 5], [1, 6], [2, 3, 4])


def test_a_search_by_blocks_finds_what_one_at_once_finds():
    random = np.random.default_rng(3)
    references, probes, strangers = (_units(random.normal(size=(count, 8))) for count in (7, 2 * BLOCK + 5, BLOCK + 1))
    mates = random.integers(0, 7, len(probes))
    scores = search(references, probes, mates, strangers)
    similarities = probes @ references.T
    nearest = similarities.argmax(axis=1) == mates
    assert np.allclose(scores.strangers, (strangers @ references.T).max(axis=1), atol=1e-6)
    assert np.allclose(scores.mated[nearest], similarities.max(axis=1)[nearest], atol=1e-6)
    assert set(scores.mated[~nearest]) == {-1.0}


def _units(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def faces_of(random, people, each, *, spread=0.35, towards=0.0, dimension=32):
    """`each` faces of `people` people; `towards`: how far all of them lie in one direction, so that they look alike."""
    centres = random.normal(size=(people, dimension)) / np.sqrt(dimension)
    centres[:, 0] += towards
    faces = np.repeat(centres, each, axis=0)
    faces += spread * random.normal(size=faces.shape) / np.sqrt(dimension)
    return _units(faces), np.repeat(np.arange(people), each)


def test_every_pair_of_faces_is_counted_once_across_blocks():
    random = np.random.default_rng(4)
    embeddings, people = faces_of(random, 1100, 2)
    pairs = compare_pairs(embeddings, people)
    assert len(pairs.genuine) == 1100
    assert pairs.histogram.sum() == 2200 * 2199 / 2 - 1100
    assert len(pairs.impostors) < pairs.histogram.sum()
    every = embeddings @ embeddings.T
    upper = np.triu(people[:, None] != people, 1)
    above = every[upper & (every >= pairs.floor + 0.001)]
    assert np.sum(pairs.impostors >= pairs.floor + 0.001) == len(above)
    assert list(pairs.genuine) == sorted(pairs.genuine)


def test_the_most_alike_faces_are_one_pair_for_each_two_people_the_most_alike_first():
    vectors = np.eye(6, dtype=np.float32)
    faces = _units(np.stack([vectors[0], vectors[0] + 0.1 * vectors[1], vectors[0] + 0.2 * vectors[2], vectors[3]]))
    faces = np.concatenate([faces, _units((vectors[3] + 0.5 * vectors[4])[None])])
    alike = highest_impostors(faces, np.array([0, 1, 1, 2, 3]), 2)
    assert [(pair.one, pair.other) for pair in alike] == [(0, 1), (3, 4)]
    assert alike[0].similarity == pytest.approx(1 / np.sqrt(1.01), abs=1e-5)
    assert len(highest_impostors(faces, np.array([0, 1, 1, 2, 3]), 99)) == 6


def test_rates_are_counted_as_by_hand():
    embeddings, people = faces_of(np.random.default_rng(5), 60, 3)
    pairs = compare_pairs(embeddings, people)
    drawn = draw(60, np.random.default_rng(0), 50)
    similarities = embeddings @ embeddings.T
    same, upper = people[:, None] == people, np.triu(np.ones_like(similarities, bool), 1)
    found = one_to_one(pairs, drawn, [0.3, 0.6], [0.01, 1e-9], 10)
    for number, threshold in enumerate((0.3, 0.6)):
        assert found.fmr[number].value == pytest.approx((similarities[upper & ~same] >= threshold).mean())
        assert found.fnmr[number].value == pytest.approx((similarities[upper & same] < threshold).mean())
        assert found.fmr[number].low <= found.fmr[number].value <= found.fmr[number].high
    at, too_low = found.fnmr_at
    assert (similarities[upper & ~same] > at.threshold).mean() <= 0.01
    assert (too_low.threshold, too_low.fnmr) == (None, None)


def test_an_interval_holds_the_true_rate_about_as_often_as_it_says():
    """People with five faces each, all of which match or none: by faces the interval would be far too narrow."""
    held = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        people = np.repeat(np.arange(80), 5)
        scores = np.repeat((random.random(80) < 0.3).astype(np.float32), 5)
        rate = share_at_or_above(scores, people, draw(80, random), 0.5)
        held += rate.low <= 0.3 <= rate.high
    assert 52 <= held <= 60


def test_no_error_among_a_few_people_is_no_proof_that_there_are_none():
    none = share_at_or_above(np.zeros(30, np.float32), np.arange(30), draw(30, np.random.default_rng(0)), 0.5)
    assert (none.value, none.low, none.high) == (0.0, 0.0, 0.1)
    every = share_at_or_above(np.ones(30, np.float32), np.arange(30), draw(30, np.random.default_rng(0)), 0.5)
    assert (every.value, every.low, every.high) == (1.0, 0.9, 1.0)


def two_cohorts(towards):
    """A trial whose people of cohort `alike` lie `towards` one direction."""
    random = np.random.default_rng(8)
    groups = ((150, 2, 0.0), (150, 1, 0.0), (80, 2, towards), (80, 1, towards))
    parts = [faces_of(random, count, each, towards=lie) for count, each, lie in groups]
    offsets = np.cumsum([0, 150, 150, 80])
    people = np.concatenate([own + offset for (_, own), offset in zip(parts, offsets, strict=True)])
    embeddings = np.concatenate([faces for faces, _ in parts])
    labels = np.where(people < 300, "others", "alike")
    roles = assign_roles(people)
    chosen = (embeddings[roles.references], embeddings[roles.probes], roles.mates, embeddings[roles.strangers])
    return Trial(embeddings, people, labels, roles, search(*chosen))


def test_a_cohort_whose_strangers_look_more_alike_is_found_the_worst_and_stands_out():
    groups, curves = measure(two_cohorts(towards=0.9), [0.6], np.random.default_rng(0))
    assert [group.cohort for group in groups] == [None, "alike", "others"]
    assert worst(groups, "fmr").cohort == "alike"
    assert worst(groups, "fpir").cohort == "alike"
    found = {(one.cohort, one.measure) for one in outliers(groups) if one.worse}
    assert {("alike", "fmr"), ("alike", "fpir")} <= found
    assert not any(cohort == "others" for cohort, _ in found)
    assert set(curves) == {None, "alike", "others"}


def test_cohorts_that_do_not_differ_do_not_stand_out():
    groups, _ = measure(two_cohorts(towards=0.0), [0.55], np.random.default_rng(0))
    assert outliers(groups) == []


def test_of_a_large_group_whole_people_are_drawn():
    random = np.random.default_rng(9)
    embeddings, people = faces_of(random, 2600, 4, dimension=8)
    roles = assign_roles(people)
    chosen = (embeddings[roles.references], embeddings[roles.probes], roles.mates, embeddings[roles.strangers])
    trial = Trial(embeddings, people, np.empty(0, np.str_), roles, search(*chosen))
    (group,), _ = measure(trial, [0.99], random, resamples=3)
    assert (group.faces, group.compared) == (10_400, 10_000)


def test_the_interval_of_tpir_holds_it_and_is_wider_with_fewer_people():
    trial = two_cohorts(towards=0.0)
    (point,) = with_intervals(trial, operating_points(trial.scores, [0.1]), np.random.default_rng(0))
    assert point.tpir_low <= point.tpir <= point.tpir_high
    assert point.tpir_high - point.tpir_low > 0.005
    (unresolved,) = with_intervals(trial, operating_points(trial.scores, [1e-4]), np.random.default_rng(0))
    assert unresolved.tpir_low is None
