"""From similarities to findings."""

from types import SimpleNamespace

import pytest

from detector.identity import Identity
from detector.index import Match
from detector.policy import NoThreshold, judge, threshold_in_force
from detector.verdict import Face

LANDMARKS = ((0.0, 0.0),) * 5


def face(x):
    return Face(box=(x, 0.0, 50.0, 60.0), landmarks=LANDMARKS, score=0.9, quality=0.8)


def match(name, similarity, own=()):
    identity = Identity(name, name.title(), "celebrity", 1, frozenset(own), ())
    return Match(identity, f"{name}-photo", similarity)


def test_a_match_becomes_a_finding_with_all_that_explains_it():
    findings, silenced = judge([face(7.0)], [[match("ada", 0.6)]], "acct-1", 0.47)
    (finding,) = findings
    assert (finding.kind, finding.identity_id, finding.identity_name, finding.identity_kind) == (
        "same_person",
        "ada",
        "Ada",
        "celebrity",
    )
    assert (finding.reference_id, finding.similarity, finding.threshold) == ("ada-photo", 0.6, 0.47)
    assert finding.face_box == (7.0, 0.0, 50.0, 60.0)
    assert silenced == ()


def test_findings_of_all_faces_are_ordered_most_similar_first():
    findings, _ = judge(
        [face(0.0), face(100.0)], [[match("ada", 0.5)], [match("bea", 0.7), match("cleo", 0.6)]], None, 0.47
    )
    assert [finding.identity_id for finding in findings] == ["bea", "cleo", "ada"]


def test_an_identity_is_named_once_by_the_face_most_like_it():
    for similarities in [(0.5, 0.8), (0.8, 0.5)]:
        faces = [face(0.0), face(100.0)]
        findings, _ = judge(faces, [[match("ada", each)] for each in similarities], None, 0.47)
        (finding,) = findings
        assert finding.similarity == 0.8
        assert finding.face_box == faces[similarities.index(0.8)].box


def test_an_own_account_is_silenced_for_its_identity_and_for_no_other():
    mine, other = match("ada", 0.9, own=["acct-ada", "acct-ada-2"]), match("bea", 0.6, own=["acct-bea"])
    findings, silenced = judge([face(0.0), face(100.0)], [[mine, other], [mine]], "acct-ada", 0.47)
    assert [finding.identity_id for finding in findings] == ["bea"]
    assert [(each.finding.identity_id, each.by) for each in silenced] == [("ada", "own_account")]


def test_without_an_account_nothing_is_silenced():
    findings, silenced = judge([face(0.0)], [[match("ada", 0.9, own=["acct-ada"])]], None, 0.47)
    assert len(findings) == 1 and not silenced


def test_the_operators_threshold_wins_over_the_packs():
    engine = SimpleNamespace(pack="p@1", threshold=0.473)
    assert threshold_in_force(engine, None) == 0.473
    assert threshold_in_force(engine, 0.6) == 0.6


def test_a_pack_without_an_operating_point_needs_the_operators_threshold():
    engine = SimpleNamespace(pack="buffalo_l@0.7", threshold=None)
    assert threshold_in_force(engine, 0.4) == 0.4
    with pytest.raises(NoThreshold, match=r"buffalo_l@0\.7 .* set policy\.threshold"):
        threshold_in_force(engine, None)
