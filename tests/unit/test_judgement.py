"""From evidence to findings."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.identity import Identity
from detector.judgement import ClaimMatch, Evidence, FaceMatch, PhotoMatch, foreign_watermark, judge
from detector.policy import CLEAR_MARGIN
from detector.priority import URGENCY, priority
from detector.searchable import Match
from detector.verdict import Face, ForeignText, NameClaim, SamePhoto
from tests.unit.test_policy import policy

LANDMARKS = ((0.0, 0.0),) * 5
POLICY = policy()
THRESHOLDS = POLICY.at(1000)
SURE, DOUBTFUL = THRESHOLDS.sure + 0.1, THRESHOLDS.review + 0.01
CLAIMED = THRESHOLDS.name_claim + 0.02


def face(x=0.0, quality=0.9):
    return Face(box=(x, 0.0, 50.0, 60.0), landmarks=LANDMARKS, score=0.9, quality=quality)


def identity(name, **others):
    return Identity(name, name.title(), "celebrity", 1, others.pop("own", frozenset()), (), **others)


def alike(who, similarity, at=None, others=()):
    match = Match(who, f"{who.id}-photo", similarity)
    return FaceMatch(at or face(), match, [match, *others])


def same(who, distance=10, visible=1.0, by="picture", transform="as_it_is"):
    return PhotoMatch(who, f"{who.id}-photo", SamePhoto(by, distance, transform, visible))


def claim(who, similarity, text="Ada L."):
    return ClaimMatch(NameClaim("display_name", text), alike(who, similarity), THRESHOLDS.name_claim)


def found(evidence, account=None):
    findings, silenced = judge(evidence, account, POLICY, THRESHOLDS)
    return findings, silenced


ADA, BEA = identity("ada"), identity("bea")


def test_a_face_beyond_doubt_is_the_same_person_with_all_that_explains_it():
    (finding,), silenced = found(Evidence(faces=[alike(ADA, SURE, face(7.0))]))
    assert (finding.kind, finding.identity_id, finding.identity_name, finding.identity_kind) == (
        "same_person",
        "ada",
        "Ada",
        "celebrity",
    )
    assert (finding.reference_id, finding.similarity, finding.threshold) == ("ada-photo", SURE, THRESHOLDS.review)
    assert finding.face_box == (7.0, 0.0, 50.0, 60.0)
    assert finding.quality == 0.9
    assert "Ada" in finding.text
    assert silenced == ()


def test_a_face_just_above_the_threshold_may_be_a_look_alike():
    (finding,), _ = found(Evidence(faces=[alike(ADA, DOUBTFUL)]))
    assert finding.kind == "look_alike_risk" and "look-alike" in finding.text


def test_a_face_below_the_threshold_is_nothing():
    assert found(Evidence(faces=[alike(ADA, THRESHOLDS.review - 0.001)])) == ((), ())


def test_a_poor_face_may_be_a_look_alike_where_a_good_one_is_the_same_person():
    similarity = THRESHOLDS.sure + 0.01
    kinds = []
    for quality in (1.0, 0.15):
        (finding,), _ = found(Evidence(faces=[alike(ADA, similarity, face(quality=quality))]))
        kinds.append(finding.kind)
    assert kinds == ["same_person", "look_alike_risk"]
    assert "blurred" in finding.text


def test_a_small_margin_to_the_runner_up_is_a_look_alike_risk_that_names_both():
    rival = Match(BEA, "bea-photo", SURE - CLEAR_MARGIN / 2)
    (finding,), _ = found(Evidence(faces=[alike(ADA, SURE, others=[rival])]))
    assert finding.kind == "look_alike_risk"
    assert (finding.runner_up.identity_id, finding.runner_up.similarity) == ("bea", rival.similarity)
    assert "Ada" in finding.text and "Bea" in finding.text


def test_a_wide_margin_leaves_the_person_certain():
    rival = Match(BEA, "bea-photo", SURE - CLEAR_MARGIN - 0.01)
    (finding,), _ = found(Evidence(faces=[alike(ADA, SURE, others=[rival])]))
    assert finding.kind == "same_person" and finding.runner_up is None


def test_an_identity_is_named_once_by_the_face_most_like_it():
    for similarities in [(SURE, SURE + 0.1), (SURE + 0.1, SURE)]:
        faces = [face(0.0), face(100.0)]
        evidence = Evidence(faces=[alike(ADA, each, at) for each, at in zip(similarities, faces, strict=True)])
        (finding,), _ = found(evidence)
        assert finding.similarity == SURE + 0.1
        assert finding.face_box == faces[similarities.index(SURE + 0.1)].box


def test_the_same_picture_goes_before_the_face_in_it_and_keeps_what_the_face_tells():
    (finding,), _ = found(Evidence(faces=[alike(ADA, SURE)], photos=[same(ADA, transform="mirrored")]))
    assert (finding.kind, finding.similarity, finding.same_photo.distance) == ("same_picture", SURE, 10)
    assert "mirrored" in finding.text


def test_a_picture_known_without_a_face_is_a_finding_without_a_similarity():
    (finding,), _ = found(Evidence(photos=[same(ADA)]))
    assert finding.kind == "same_picture"
    assert finding.similarity is None and finding.face_box is None


def test_part_of_a_photo_is_a_cropped_picture():
    (finding,), _ = found(Evidence(photos=[same(ADA, visible=0.4, by="face")]))
    assert finding.kind == "cropped_picture" and "40%" in finding.text


def test_of_several_photos_the_nearest_is_named():
    near, far = same(ADA, distance=4), replace(same(ADA, distance=20), reference_id="another")
    for photos in ([near, far], [far, near]):
        (finding,), _ = found(Evidence(photos=photos))
        assert finding.reference_id == "ada-photo"


def test_a_claimed_name_needs_a_face_that_agrees_at_a_lower_threshold():
    (finding,), _ = found(Evidence(claims=[claim(ADA, CLAIMED)]))
    assert (finding.kind, finding.threshold) == ("name_claim", THRESHOLDS.name_claim)
    assert "Ada L." in finding.text
    assert found(Evidence(claims=[claim(ADA, THRESHOLDS.name_claim - 0.01)])) == ((), ())


def test_a_claimed_name_joins_what_the_face_says():
    findings, _ = found(Evidence(faces=[alike(ADA, SURE)], claims=[claim(ADA, SURE)]))
    assert {finding.kind for finding in findings} == {"same_person", "name_claim"}


def test_an_own_account_is_silenced_for_its_identity_and_for_no_other():
    mine = identity("ada", own=frozenset({"acct-ada", "acct-ada-2"}))
    evidence = Evidence(
        faces=[alike(mine, SURE), alike(BEA, SURE, face(90.0))], photos=[same(mine)], claims=[claim(mine, SURE)]
    )
    findings, silenced = found(evidence, "acct-ada")
    assert [finding.identity_id for finding in findings] == ["bea"]
    assert {(one.finding.identity_id, one.finding.kind, one.by) for one in silenced} == {
        ("ada", "same_picture", "own_account"),
        ("ada", "name_claim", "own_account"),
    }
    assert len(found(evidence, "acct-other")[0]) == 3


def test_the_owners_face_is_not_flagged_for_somebody_whom_the_owner_is_like():
    owner = identity("ada", own=frozenset({"acct-ada"}))
    mine = Match(owner, "ada-photo", SURE + 0.2)
    evidence = Evidence(faces=[alike(owner, SURE + 0.2), alike(BEA, SURE, others=[mine])])
    findings, silenced = found(evidence, "acct-ada")
    assert findings == ()
    assert {(one.finding.identity_id, one.by) for one in silenced} == {("ada", "own_account"), ("bea", "own_account")}
    assert {finding.identity_id for finding in found(evidence, "acct-thief")[0]} == {"ada", "bea"}


def test_an_owner_who_shows_somebody_elses_face_is_flagged_however_alike_they_are():
    owner = identity("ada", own=frozenset({"acct-ada"}))
    mine = Match(owner, "ada-photo", DOUBTFUL)
    (finding,), _ = found(Evidence(faces=[alike(BEA, SURE, others=[mine])]), "acct-ada")
    assert finding.identity_id == "bea"
    (picture,), _ = found(Evidence(photos=[same(BEA)]), "acct-ada")
    assert picture.kind == "same_picture"


def test_the_text_says_so_when_the_face_is_more_like_somebody_else():
    nearer = Match(BEA, "bea-photo", SURE + CLEAR_MARGIN + 0.05)
    (finding,), _ = found(Evidence(faces=[alike(ADA, SURE, others=[nearer])]))
    assert "more like Bea" in finding.text


def test_a_quarantined_identity_makes_nobody_else_doubtful():
    rival = Match(identity("bea", quarantined=True), "bea-photo", SURE - 0.01)
    (finding,), _ = found(Evidence(faces=[alike(ADA, SURE, others=[rival])]))
    assert finding.kind == "same_person"


def test_a_negative_pair_is_silenced_and_no_other_pair_with_it():
    told_apart = identity("ada", negative_accounts=frozenset({"acct-1"}))
    evidence = Evidence(faces=[alike(told_apart, SURE), alike(BEA, SURE, face(90.0))])
    findings, silenced = found(evidence, "acct-1")
    assert [finding.identity_id for finding in findings] == ["bea"]
    assert [(one.finding.identity_id, one.by) for one in silenced] == [("ada", "negative_pair")]
    assert {finding.identity_id for finding in found(evidence, "acct-2")[0]} == {"ada", "bea"}


def test_without_an_account_nothing_is_silenced():
    mine = identity("ada", own=frozenset({"acct-ada"}), negative_accounts=frozenset({"x"}))
    findings, silenced = found(Evidence(faces=[alike(mine, SURE)]))
    assert len(findings) == 1 and not silenced


def test_what_belongs_to_a_quarantined_identity_is_marked():
    (finding,), _ = found(Evidence(faces=[alike(identity("ada", quarantined=True), SURE)]))
    assert finding.quarantined


def test_findings_come_most_urgent_first():
    cleo, dora = identity("cleo"), identity("dora")
    evidence = Evidence(
        faces=[alike(ADA, DOUBTFUL), alike(BEA, SURE, face(50.0))],
        photos=[same(cleo)],
        claims=[claim(dora, SURE)],
    )
    findings, _ = found(evidence)
    assert [finding.kind for finding in findings] == ["same_picture", "name_claim", "same_person", "look_alike_risk"]


def test_the_mark_of_another_is_a_finding_of_its_own():
    finding = foreign_watermark(ForeignText("@lena.b", (1.0, 2.0, 3.0, 4.0), "handle"))
    assert finding.kind == "foreign_watermark" and finding.identity_id is None
    assert "@lena.b" in finding.text


@given(kind=st.sampled_from(sorted(URGENCY)), strength=st.floats(-1, 2), reach=st.integers(1, 5), more=st.floats(0, 1))
def test_priority_stays_in_range_and_rises_with_strength_and_reach(kind, strength, reach, more):
    here = priority(kind, strength, reach)
    assert 0 <= here <= 100
    assert priority(kind, strength + more, reach) >= here
    if reach < 5:
        assert priority(kind, strength, reach + 1) > here


@pytest.mark.parametrize("reach", [1, 5])
def test_the_same_picture_goes_before_a_look_alike_however_strong_and_well_known(reach):
    assert priority("same_picture", 0.0, reach) > priority("look_alike_risk", 1.0, 5)
