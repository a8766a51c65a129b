"""A second policy or model pack beside the first: its verdicts are told and change nothing."""

from dataclasses import replace

import pytest

from detector.index import GalleryIndex
from detector.insightface_pack import InsightFacePack
from detector.matching import Matcher
from detector.shadow import changed_cases
from detector.verdict import Finding, Verdict
from tests.support.detectors import enrol, make_detector, make_policy


def verdict(*findings):
    made = tuple(Finding(kind, 50, "", identity_id=identity_id) for kind, identity_id in findings)
    return Verdict("review" if made else "clear", made, (), (), 0, "p@1", 0.4, 0.5, 1)


def test_cases_that_only_one_policy_raises_are_extra_or_missing_by_kind():
    ours = verdict(("same_person", "ada"), ("same_picture", "bea"))
    theirs = verdict(("look_alike_risk", "ada"), ("look_alike_risk", "cleo"), ("name_claim", "dora"))
    assert changed_cases(ours, theirs) == {"extra": ["name_claim", "look_alike_risk"], "missing": ["same_picture"]}


def test_marks_read_in_the_picture_do_not_count_as_changes():
    assert changed_cases(verdict(("foreign_watermark", None)), verdict()) == {"extra": [], "missing": []}


@pytest.fixture
def watched(engine):
    """A detector, and a shadow on the same gallery that raises nothing below cosine 0.7."""
    shadow = Matcher(None, make_policy(engine, threshold=0.7))
    detector = make_detector(engine, shadow=shadow)
    shadow.index = detector.index
    yield detector
    detector.close()


def test_a_stricter_shadow_on_the_same_pack_lacks_a_case_and_the_verdict_stays(watched, portraits):
    enrol(watched, "macron", [portraits["person_a_1.jpg"].read_bytes()])
    found = watched.screen(portraits["person_a_2.jpg"].read_bytes())
    assert (found.outcome, found.shadow.outcome, found.shadow.threshold) == ("review", "clear", 0.7)
    assert changed_cases(found, found.shadow) == {"extra": [], "missing": ["same_person"]}
    assert watched.indexes == [watched.index]


def test_a_shadow_that_fails_leaves_the_verdicts_as_they_are(watched, portraits, caplog):
    enrol(watched, "macron", [portraits["person_a_1.jpg"].read_bytes()])
    watched.shadow.index = None
    found = watched.screen(portraits["person_a_2.jpg"].read_bytes())
    assert (found.outcome, found.shadow) == ("review", None)
    assert "The shadow policy failed" in caplog.text


def test_pictures_that_cannot_be_screened_cannot_be_screened_by_the_shadow_either(watched):
    found = watched.screen(b"Dear diary")
    assert found.outcome == found.shadow.outcome == "unscreenable"


def test_another_model_pack_looks_at_the_same_pictures_in_an_index_of_its_own(engine, insightface_folder, portraits):
    other = InsightFacePack(insightface_folder, None, min_score=0.6, threads=1)
    shadow = Matcher(GalleryIndex(other.pack, other.dimension), make_policy(other, threshold=0.473))
    detector = make_detector(engine, beside=other, shadow=shadow)
    beside = make_detector(other, threshold=0.473)
    beside._matcher.index = shadow.index
    photo = portraits["person_a_1.jpg"].read_bytes()
    enrol(detector, "macron", [photo])
    assert detector.indexes == [detector.index, shadow.index]
    found = detector.screen(portraits["person_a_2.jpg"].read_bytes())
    assert (found.outcome, found.shadow.outcome, found.shadow.pack) == ("review", "clear", other.pack)
    enrol(beside, "macron", [photo])
    found = detector.screen(portraits["person_a_2.jpg"].read_bytes())
    assert found.shadow.outcome == "review"
    assert changed_cases(found, found.shadow) == {"extra": [], "missing": []}
    alone = replace(found, shadow=None)
    assert alone.findings == found.findings
    detector.close()
    beside.close()
