"""What moderators decide, quarantine, reach, and moving a gallery to another model pack, by the program."""

import re
import sqlite3
from contextlib import closing

import pytest

from tests.support.program import Program

CC = ("--kind", "celebrity", "--provenance", "Wikimedia Commons, CC BY-SA")
BY = ("--by", "lee")


@pytest.fixture
def likeness(tmp_path, models, portraits):
    """`likeness` whose gallery holds Emmanuel Macron by one photo."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models)
    program = Program(home)
    assert program("gallery", "add", "Emmanuel Macron", portraits["person_a_1.jpg"], *CC).code == 0
    return program


def screened(likeness, picture, account, **variables):
    ended = likeness("screen", "--json", picture, "--account", account, **variables)
    assert ended.code == 0
    return ended.lines[0]


def test_an_account_that_a_moderator_has_told_apart_is_not_flagged_again(likeness, portraits):
    picture = portraits["person_a_2.jpg"]
    assert screened(likeness, picture, "acct-1")["verdict"] == "review"
    ended = likeness("gallery", "decide", "Emmanuel Macron", "acct-1", "not_this_person", *BY)
    assert (ended.code, ended.err) == (0, "")
    assert "is not flagged for this identity again" in ended.out
    after = screened(likeness, picture, "acct-1")
    assert (after["verdict"], [one["silenced_by"] for one in after["silenced"]]) == ("clear", ["negative_pair"])
    assert "negative pair" in likeness("screen", picture, "--account", "acct-1").out
    assert screened(likeness, picture, "acct-2")["verdict"] == "review"
    assert "somebody else's: 1" in likeness("gallery", "show", "Emmanuel Macron").out


def test_a_genuine_owner_gets_an_own_account(likeness, portraits):
    ended = likeness("gallery", "decide", "Emmanuel Macron", "acct-em", "genuine_owner", *BY)
    assert "own account" in ended.out
    after = screened(likeness, portraits["person_a_2.jpg"], "acct-em")
    assert [one["silenced_by"] for one in after["silenced"]] == ["own_account"]
    assert "own account" in likeness("screen", portraits["person_a_2.jpg"], "--account", "acct-em").out


def test_blanks_around_an_account_are_none_of_it(likeness, portraits):
    ended = likeness("gallery", "decide", "Emmanuel Macron", " acct-1 ", "not_this_person", *BY)
    assert ended.out.startswith("Emmanuel Macron, acct-1: not this person.")
    assert screened(likeness, portraits["person_a_2.jpg"], "acct-1")["verdict"] == "clear"


def test_a_review_decided_anew_takes_back_what_it_taught(likeness, portraits):
    review = ("--review", "review-1")
    likeness("gallery", "decide", "Emmanuel Macron", "acct-1", "not_this_person", *BY, *review)
    likeness("gallery", "decide", "Emmanuel Macron", "acct-1", "confirmed", *BY, *review)
    assert screened(likeness, portraits["person_a_2.jpg"], "acct-1")["verdict"] == "review"


def test_a_burst_of_dismissed_cases_puts_the_identity_into_quarantine_until_it_is_released(likeness, portraits):
    burst = {"LIKENESS_QUARANTINE__DISMISSED": "3"}
    said = [
        likeness("gallery", "decide", "Emmanuel Macron", f"acct-{number}", "not_this_person", *BY, **burst).out
        for number in range(3)
    ]
    assert ["quarantine" in text for text in said] == [False, False, True]
    assert "quarantined" in likeness("gallery", "list").out
    (finding,) = screened(likeness, portraits["person_a_2.jpg"], "acct-9")["findings"]
    assert finding["quarantined"] is True
    assert "released" in likeness("gallery", "release", "Emmanuel Macron").out
    (finding,) = screened(likeness, portraits["person_a_2.jpg"], "acct-9")["findings"]
    assert finding["quarantined"] is False
    assert "was not in quarantine" in likeness("gallery", "release", "Emmanuel Macron").out


def test_a_suspended_person_or_reference_is_not_found_until_taken_up_again(likeness, portraits):
    def found():
        return [one["kind"] for one in screened(likeness, portraits["person_a_2.jpg"], "acct-1")["findings"]]

    shown = likeness("gallery", "show", "Emmanuel Macron").out
    reference = re.search(r"ref_[0-9a-f]{32}", shown)[0]
    for what in ([], ["--reference", reference]):
        assert "suspended." in likeness("gallery", "suspend", "Emmanuel Macron", *what).out
        assert "as before" in likeness("gallery", "suspend", "Emmanuel Macron", *what).out
        assert found() == []
        assert "searched for again." in likeness("gallery", "resume", "Emmanuel Macron", *what).out
        assert found() == ["same_person"]
    noted = likeness("audit", "list", "--json").out
    assert noted.count('"identity_changed"') == 4 and "Macron" not in noted


def test_a_wider_reach_raises_the_priority(likeness, portraits):
    priorities = []
    for reach in ("1", "5"):
        assert likeness("gallery", "reach", "Emmanuel Macron", reach).code == 0
        priorities.append(screened(likeness, portraits["person_a_2.jpg"], "acct-1")["findings"][0]["priority"])
    assert priorities[1] == priorities[0] + 15


def test_the_profile_is_heard(likeness, portraits):
    ended = likeness("screen", "--json", portraits["person_a_2.jpg"], "--handle", "real.emmanuel_macron")
    assert [one["kind"] for one in ended.lines[0]["findings"]] == ["name_claim", "same_person"]


def test_a_gallery_moves_to_another_pack_and_back_from_the_photos_kept(likeness, portraits, insightface_folder):
    other = {"LIKENESS_MODELS__PACK": str(insightface_folder), "LIKENESS_POLICY__THRESHOLD": "0.473"}
    refused = likeness("screen", portraits["person_a_2.jpg"], **other)
    assert refused.code == 2 and "no embedding of model pack" in refused.err

    moved = likeness("gallery", "reembed", "--pack", insightface_folder, "--drop", "opencv-zoo@1", **other)
    assert moved.code == 0
    assert "1, left as they were: 0" in moved.out and "opencv-zoo@1 erased: 1" in moved.out
    assert screened(likeness, portraits["person_a_2.jpg"], "acct-1", **other)["verdict"] == "review"
    assert likeness("screen", portraits["person_a_2.jpg"]).code == 2

    assert likeness("gallery", "reembed").code == 0
    found = screened(likeness, portraits["person_a_1.jpg"], "acct-1")["findings"]
    assert [one["kind"] for one in found] == ["same_picture"]


def fingerprint(likeness):
    """As it is kept, sealed: it is another whenever it is written."""
    with closing(sqlite3.connect(likeness.home / "likeness.db")) as database:
        ((sealed,),) = database.execute("SELECT sealed FROM fingerprints")
    return sealed


def test_another_pack_leaves_the_fingerprints_that_there_are_unless_all_is_made_anew(likeness, insightface_folder):
    before = fingerprint(likeness)
    assert likeness("gallery", "reembed", "--pack", insightface_folder).code == 0
    assert fingerprint(likeness) == before
    assert likeness("gallery", "reembed", "--pack", insightface_folder, "--all").code == 0
    assert fingerprint(likeness) != before


def test_a_pack_that_no_reference_has_cannot_be_dropped_and_nothing_is_embedded(likeness, insightface_folder):
    ended = likeness("gallery", "reembed", "--pack", insightface_folder, "--drop", "typo@1")
    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence == "No reference has an embedding of typo@1; --drop takes name@version."
    assert "1, left as they were: 0" in likeness("gallery", "reembed", "--pack", insightface_folder).out


def test_what_is_decided_wrongly_is_told_in_one_sentence(likeness):
    assert "no identity" in likeness("gallery", "decide", "Nobody", "acct-1", "confirmed", *BY).sentence
    decided = ("gallery", "decide", "Emmanuel Macron")
    assert likeness(*decided, " ", "confirmed", *BY).sentence == "An account cannot be blank."
    assert likeness(*decided, "\udcff", "confirmed", *BY).sentence == r"An account is not text in UTF-8: '\udcff'."
    assert likeness(*decided, "acct-1", "confirmed", "--by", " ").sentence == "--by cannot be blank."
    assert likeness(*decided, "acct-1", "confirmed", *BY, "--review", "").sentence == "--review cannot be blank."
    assert "--note is not text" in likeness(*decided, "acct-1", "confirmed", *BY, "--note", "\udcff").sentence
    assert likeness("gallery", "decide", "Emmanuel Macron", "acct-1", "perhaps", *BY).code == 2
    assert likeness("gallery", "reach", "Emmanuel Macron", "6").code == 2
