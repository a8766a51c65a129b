"""Campaigns: cases that share a picture or come in a burst about a person, worked as one; SQLite and PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import numpy as np
import pytest
from sqlalchemy import update

from records.casework.case_decisions import Choice
from records.casework.cases import CasePicture
from records.casework.schema_cases import CaseRow
from records.errors import ClaimLost, ClaimRefused, ReasonMissing, TooLate
from tests.support.case_office import GRACE, LEASE, Office, new_case
from web.pages.queue import latest_lines

ANA = "idn_ana"
SECOND = timedelta(seconds=1)
YES = Choice("confirmed", "other", None, ANA)


@pytest.fixture
def office(database):
    office = Office(database)
    office.hire()
    return office


def turns(seed: int, changed: int = 0) -> bytes:
    """A picture's fingerprint, as it is and turned, with so many bits of the first changed."""
    hashes = np.random.default_rng(seed).integers(0, 2**64, (8, 4), np.uint64)
    bits = np.unpackbits(hashes[0].view(np.uint8))
    bits[:changed] ^= 1
    return np.packbits(bits).tobytes() + hashes[1:].tobytes()


def show(office: Office, case_id: str, fingerprint: bytes, **facts: object) -> str | None:
    """Opens a case with a picture; its group."""
    office.clock.pass_by(SECOND)
    new = new_case(case_id, **{"identity_id": ANA} | facts)
    assert office.cases.open(new, CasePicture(b"jpeg", {}, fingerprint))
    return office.cases.get(case_id).picture_group


def pack(office: Office, count: int, seed: int = 1, **facts: object) -> list[str]:
    """So many cases that show one picture; their ids."""
    ids = [f"c{number:02}" for number in range(count)]
    for case_id in ids:
        show(office, case_id, turns(seed), **facts)
    return ids


def actions(office: Office, case_id: str) -> Iterator[str]:
    return (entry.action for entry in reversed(office.audit.read(subject=case_id)))


class TestPictureGroups:
    def test_a_case_joins_the_group_of_the_picture_that_it_shows_again_after_edits(self, office):
        assert show(office, "first", turns(1)) == "first"
        assert show(office, "again", turns(1, changed=31)) == "first"
        assert show(office, "other", turns(2)) == "other"
        assert show(office, "too far", turns(2, changed=32)) == "too far"

    def test_it_joins_the_nearest(self, office):
        show(office, "a", turns(1))
        show(office, "b", turns(1, changed=60))
        assert show(office, "c", turns(1, changed=31)) == "b", "29 bits from b and 31 from a"
        assert show(office, "d", turns(1, changed=10)) == "a", "10 bits from a and 21 from c"

    def test_a_turned_picture_is_the_same(self, office):
        show(office, "upright", turns(1))
        mirrored = np.frombuffer(turns(1), np.uint64).reshape(8, 4)[[1, 0, *range(2, 8)]].tobytes()
        assert show(office, "mirrored", mirrored) == "upright"

    def test_a_case_without_a_picture_has_no_group_and_a_plain_picture_its_own(self, office):
        office.open("none")
        assert office.cases.get("none").picture_group is None
        assert show(office, "flat", b"") == "flat"
        assert show(office, "flat too", b"") == "flat too"

    def test_processes_agree(self, database, office):
        other = Office(database, clock=office.clock)
        show(office, "a", turns(1))
        assert show(other, "b", turns(1)) == "a"
        show(other, "c", turns(2))
        assert show(office, "d", turns(2)) == "c"

    def test_two_at_once_with_one_picture_are_one_group(self, database):
        offices, together = [Office(database) for _ in range(4)], Barrier(4)
        for office in offices:
            office.cases.open(new_case(f"warm-{offices.index(office)}"), None)

        def open_one(number: int) -> None:
            together.wait()
            offices[number].cases.open(new_case(f"c{number}"), CasePicture(b"jpeg", {}, turns(1)))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(open_one, range(4)))
        assert len({offices[0].cases.get(f"c{number}").picture_group for number in range(4)}) == 1

    def test_an_erased_picture_is_no_longer_known(self, office, database):
        show(office, "old", turns(1))
        other = Office(database, clock=office.clock)
        show(other, "unlike", turns(2))
        office.clock.pass_by(timedelta(days=91))
        assert office.cases.erase_pictures(office.clock()) == 2
        assert show(office, "new", turns(1)) == "new"
        assert show(other, "newer", turns(2)) == "newer", "erased by another process"

    def test_earlier_appearances_are_listed_newest_first(self, office):
        pack(office, 3)
        show(office, "else", turns(2))
        shown = office.cases.of_picture(office.cases.get("c01"), 5)
        assert [case.id for case in shown] == ["c02", "c00"]


class TestFinding:
    def test_two_accounts_with_one_picture_are_a_campaign(self, office):
        show(office, "a", turns(1), account_id="one")
        show(office, "b", turns(1), account_id="one")
        assert office.campaigns.largest("moderator") == []
        show(office, "c", turns(1), account_id="two")
        (found,) = office.campaigns.largest("moderator")
        assert (found.kind, found.id, found.identity_id) == ("picture", "a", ANA)
        assert (found.cases, found.accounts) == (3, 2)
        assert found.newest - found.oldest == 2 * SECOND

    def test_a_burst_about_one_person_is_a_campaign(self, office):
        for number in range(4):
            office.open(f"c{number}", identity_id=ANA)
        assert office.campaigns.largest("moderator") == []
        office.open("c4", identity_id=ANA)
        (found,) = office.campaigns.largest("moderator")
        assert (found.kind, found.id, found.accounts) == ("identity", ANA, 5)

    def test_a_burst_of_one_picture_is_listed_once(self, office):
        pack(office, 6)
        assert [one.kind for one in office.campaigns.largest("moderator")] == ["picture"]
        for number in range(4):
            office.open(f"d{number}", identity_id=ANA)
        assert [(one.kind, one.accounts) for one in office.campaigns.largest("moderator")] == [
            ("identity", 10),
            ("picture", 6),
        ]

    def test_cases_that_come_slowly_are_none(self, office):
        for number in range(8):
            office.open(f"c{number}", identity_id=ANA)
            office.clock.pass_by(timedelta(hours=7))
        assert office.campaigns.largest("moderator") == []

    def test_only_open_cases_of_queues_that_the_role_works_count(self, office):
        pack(office, 2, held=True)
        assert office.campaigns.largest("moderator") == []
        assert office.campaigns.get("picture", "c00", "mo", "moderator") is None
        assert len(office.campaigns.largest("lead")) == 1
        office.decide("c00", "lea", "confirmed")
        assert office.campaigns.largest("lead") == []

    def test_copies_of_golden_cases_are_left_out(self, office, database):
        pack(office, 3)
        with database.write() as session:
            session.execute(update(CaseRow).where(CaseRow.id == "c01").values(golden_id="g"))
        assert office.campaigns.largest("moderator")[0].cases == 2
        assert office.campaigns.claim("picture", "c00", "mo", "moderator") == 2


class TestClaiming:
    def test_all_that_is_free_is_taken_at_once_renewed_together_and_given_back_together(self, office):
        ids = pack(office, 4)
        office.claims.claim("c01", "mia", "moderator")
        assert office.campaigns.claim("picture", "c00", "mo", "moderator") == 3
        office.clock.pass_by(timedelta(minutes=4))
        office.campaigns.renew("picture", "c00", "mo")
        office.clock.pass_by(timedelta(minutes=4))
        assert office.next_of("max") == "c01", "whose lease has ended"
        held = office.campaigns.held("picture", "c00", "mo")
        assert [case.id for case in held] == ["c00", "c02", "c03"]
        assert sorted(office.campaigns.release("picture", "c00", "mo")) == ["c00", "c02", "c03"]
        assert {office.cases.get(case_id).claimed_by for case_id in ids} == {None, "max"}
        with pytest.raises(ClaimLost):
            office.campaigns.renew("picture", "c00", "mo")

    def test_each_claim_is_in_the_audit_log_once(self, office):
        pack(office, 2)
        for _ in range(2):
            office.campaigns.claim("picture", "c00", "mo", "moderator")
        assert list(actions(office, "c00")) == list(actions(office, "c01")) == ["case_claimed"]

    def test_what_else_they_held_is_given_back(self, office):
        pack(office, 2)
        office.open("single")
        office.claims.claim("single", "mo", "moderator")
        office.campaigns.claim("picture", "c00", "mo", "moderator")
        assert office.cases.get("single").claimed_by is None
        office.claims.claim("single", "mo", "moderator")
        assert office.campaigns.held("picture", "c00", "mo") == []

    def test_nobody_takes_more_than_fifty_or_what_is_not_for_them(self, office):
        pack(office, 54, identity_kind="victim")
        office.decide("c00", "mo", "confirmed")
        office.claims.claim("c01", "mo", "moderator")
        office.claims.skip("c01", "mo", "other")
        show(office, "held", turns(1), held=True)
        assert office.campaigns.claim("picture", "c00", "mo", "moderator") == 50
        aside = {one.case_id: one.why for one in office.campaigns.aside("picture", "c00", "mo", "moderator")}
        assert aside == {
            "c00": "decided_by_you",
            "c01": "skipped_by_you",
            "held": "not_your_queue",
            "c52": "free",
            "c53": "free",
        }
        others = {one.why for one in office.campaigns.aside("picture", "c00", "mia", "moderator")}
        assert others == {"held_by_another", "not_your_queue", "free"}

    def test_who_comes_too_late_is_told(self, office):
        pack(office, 3)
        office.campaigns.claim("picture", "c00", "mo", "moderator")
        with pytest.raises(ClaimRefused) as refused:
            office.campaigns.claim("picture", "c00", "mia", "moderator")
        assert refused.value.reason == "nothing_free"
        office.clock.pass_by(LEASE)
        assert office.campaigns.claim("picture", "c00", "mia", "moderator") == 3

    def test_two_who_race_for_one_campaign_never_hold_the_same_case(self, office):
        pack(office, 30)
        together = Barrier(3)

        def take(moderator_id: str) -> None:
            together.wait()
            try:
                office.campaigns.claim("picture", "c00", moderator_id, "moderator")
            except ClaimRefused as error:
                assert error.reason == "nothing_free"  # one of the three must have all

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(take, ("mo", "mia", "max")))
        held = [case.id for who in ("mo", "mia", "max") for case in office.campaigns.held("picture", "c00", who)]
        assert len(held) == len(set(held)) == 30


class TestDeciding:
    def test_on_the_queues_page_they_are_one_line_that_counts_them_all_however_many_they_are(self, office):
        ids = pack(office, 30)
        assert office.campaigns.claim("picture", "c00", "mo", "moderator") == 30
        batch = office.batches.decide(ids, "mo", "moderator", YES)
        office.clock.pass_by(SECOND)
        show(office, "alone", turns(9))
        office.decide("alone", "mo", "confirmed")
        lines = latest_lines(office.decisions, "mo")
        assert [(line.made.batch_id, line.count) for line in lines] == [(None, 1), (batch.id, 30)]

    def test_all_are_decided_as_by_hand_and_told_once_the_grace_period_is_over(self, office):
        ids = pack(office, 10)
        office.campaigns.claim("picture", "c00", "mo", "moderator")
        batch = office.batches.decide(ids, "mo", "moderator", YES)
        assert (sorted(batch.case_ids), batch.left) == (ids, 0)
        assert {office.cases.get(case_id).state for case_id in ids} == {"decided"}
        made = office.decisions.recent("mo")
        assert {(one.decision, one.reason, one.identity_id, one.batch_id) for one in made} == {
            ("confirmed", "other", ANA, batch.id)
        }
        assert all(list(actions(office, case_id)) == ["case_claimed", "case_decided"] for case_id in ids)
        office.clock.pass_by(GRACE)
        assert office.decisions.finish_due() == 10

    def test_the_preview_says_what_becomes_of_each_and_changes_nothing(self, office, database):
        pack(office, 4)
        show(office, "victim", turns(1), identity_kind="victim")
        show(office, "other", turns(1), identity_id="idn_else")
        with database.write() as session:
            session.execute(update(CaseRow).where(CaseRow.id == "c01").values(double_review=True))
            session.execute(update(CaseRow).where(CaseRow.id == "c02").values(stage="second"))
        office.campaigns.claim("picture", "c00", "mo", "moderator")
        office.claims.release("c03", "mo")
        ids = [*(f"c0{number}" for number in range(4)), "victim", "other"]
        planned, passed = office.batches.plan(ids, "mo", "moderator", YES)
        fates = {one.case.id: one.fate for one in planned}
        assert fates == {"c00": "settled", "c01": "second", "c02": "compared", "victim": "second"}
        assert {one.case.id: one.why for one in passed} == {"c03": "claim_lost", "other": "other_person"}
        assert office.decisions.recent("mo") == []
        escalated, _ = office.batches.plan(ids, "mo", "moderator", Choice("escalated", "other", None, ANA))
        assert {one.fate for one in escalated} == {"lead"}
        batch = office.batches.decide(ids, "mo", "moderator", YES)
        assert (sorted(batch.case_ids), batch.left) == (sorted(fates), 2)

    def test_a_decision_without_a_reason_decides_nothing(self, office):
        ids = pack(office, 2)
        office.campaigns.claim("picture", "c00", "mo", "moderator")
        with pytest.raises(ReasonMissing):
            office.batches.decide(ids, "mo", "moderator", Choice("confirmed", "none such", None, ANA))
        assert office.decisions.recent("mo") == []

    def test_what_is_not_in_hand_is_not_decided(self, office):
        ids = pack(office, 2)
        office.campaigns.claim("picture", "c00", "mo", "moderator")
        office.clock.pass_by(LEASE)
        office.claims.claim("c01", "mia", "moderator")
        assert office.batches.decide(ids, "mo", "moderator", YES).case_ids == ("c00",)
        with pytest.raises(ClaimLost):
            office.batches.decide(ids, "mo", "moderator", YES)

    def test_undo_takes_the_whole_back_into_the_same_hands(self, office):
        ids = pack(office, 3)
        office.open("single")
        office.campaigns.claim("picture", "c00", "mo", "moderator")
        batch = office.batches.decide(ids, "mo", "moderator", YES)
        office.claims.claim("single", "mo", "moderator")
        with pytest.raises(TooLate):
            office.batches.undo(batch.id, "mia")
        assert sorted(case.id for case in office.batches.undo(batch.id, "mo")) == ids
        assert [case.id for case in office.campaigns.held("picture", "c00", "mo")] == ids
        assert office.cases.get("single").claimed_by is None
        assert {made.state for made in office.decisions.recent("mo")} == {"undone"}
        assert list(actions(office, "c00"))[-1] == "decision_undone"
        office.clock.pass_by(GRACE)
        assert office.decisions.finish_due() == 0

    def test_what_another_has_taken_up_since_stays(self, office):
        ids = pack(office, 2, identity_kind="victim")
        office.campaigns.claim("picture", "c00", "mo", "moderator")
        batch = office.batches.decide(ids, "mo", "moderator", YES)
        office.claims.claim("c00", "mia", "moderator")
        assert [case.id for case in office.batches.undo(batch.id, "mo")] == ["c01"]
        assert office.cases.get("c00").claimed_by == "mia"

    def test_undo_comes_too_late_after_the_grace_period(self, office):
        ids = pack(office, 2)
        office.campaigns.claim("picture", "c00", "mo", "moderator")
        batch = office.batches.decide(ids, "mo", "moderator", YES)
        office.clock.pass_by(GRACE)
        with pytest.raises(TooLate):
            office.batches.undo(batch.id, "mo")
