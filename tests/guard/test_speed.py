"""Likeness is as fast as the machine allows: ratios of what runs in turn, which a busy machine moves little."""

from benchmarks.guard import PICTURES, Guarded, embedder, pipeline
from benchmarks.pictures import make_pictures


def test_the_embedder_is_faster_than_its_graph_as_published(models):
    complaint = embedder(models).complaint
    assert complaint is None, complaint


def test_whole_pictures_are_screened_nearly_as_fast_as_the_models_alone_would_be(models, portraits):
    complaint = pipeline(models, make_pictures(portraits, PICTURES)).complaint
    assert complaint is None, complaint


def test_a_median_below_its_floor_is_told_in_one_sentence_and_a_slow_round_is_none():
    assert (
        Guarded("the pipeline", (0.4, 0.5, 0.9), 0.6).complaint
        == "the pipeline: 0.50, which is below the floor of 0.60."
    )
    assert Guarded("the pipeline", (0.1, 0.7, 0.8), 0.6).complaint is None
