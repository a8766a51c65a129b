"""Decisions on cases: four eyes, undoing, what the gallery learns and the platform hears; on SQLite and PostgreSQL."""

import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from records.audit import AuditLog
from records.casework.case_closing import close_case
from records.casework.decision_outbox import DecisionOutbox
from records.casework.schema_cases import DecisionToSendRow
from records.database import open_database
from records.decisions import DecisionRecords
from records.errors import (
    ClaimLost,
    DecisionNotOffered,
    ReasonMissing,
    TooLate,
    UnknownCase,
    UnknownDecision,
)
from records.references import ReferencePhoto
from records.schema import DecisionRow
from tests.support.case_office import FACES, GRACE, LEASE, MASTER, NEVER, Office

SECOND = timedelta(seconds=1)
PHOTO = ReferencePhoto(
    "consent", "ab" * 32, b"jpeg", 1, 1, (0.0, 0.0, 1.0, 1.0), 1.0, {"p": np.eye(4, dtype=np.float32)[0]}
)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def office(database):
    office = Office(database)
    office.hire()
    return office


@pytest.fixture
def ada(records):
    return records.add_identity("Ada", "victim", references=[PHOTO])


def told(database):
    """The messages that wait for the platform; taken out."""
    rows = []
    DecisionOutbox(database, AuditLog(database)).drain(lambda batch: rows.extend(batch.rows))
    for row in rows:
        assert (row.decision_id, row.key) == (json.loads(row.value)["decision_id"], json.loads(row.value)["account_id"])
    return [json.loads(row.value) for row in rows]


def states(office, case_id):
    """By person, what they decided and what became of it."""
    return {made.decided_by: (made.decision, made.state) for made in office.decisions.history(case_id)}


def after_grace(office):
    office.clock.pass_by(GRACE)
    return office.decisions.finish_due()


def test_a_decision_is_told_once_its_grace_period_is_over_and_not_before(office, database):
    office.open("c1", account_id="acc", identity_id="idn_gone")
    made = office.decide("c1", "mo", "confirmed", note=" looks the same to me ")
    decided_at = office.clock.now
    assert (made.undo_until, made.stage, made.state) == (decided_at + GRACE, "first", "decided")
    assert office.cases.get("c1").claimed_by is None
    office.clock.pass_by(GRACE - SECOND)
    assert office.decisions.finish_due() == 0
    assert (told(database), office.cases.get("c1").state) == ([], "decided")
    office.clock.pass_by(SECOND)
    assert office.decisions.finish_due() == 1
    assert office.decisions.finish_due() == 0
    assert told(database) == [
        {
            "decision_id": made.decision_id,
            "review_id": "c1",
            "event_id": "event-of-c1",
            "account_id": "acc",
            "decision": "confirmed",
            "reason": "other",
            "identity_id": "idn_gone",
            "stage": "first",
            "decided_by": "mo",
            "decided_at": decided_at.isoformat(),
            "appeal_of": None,
        }
    ]
    case = office.cases.get("c1")
    assert (case.state, case.closed_at) == ("closed", office.clock.now)
    (kept,) = office.decisions.history("c1")
    assert (kept.state, kept.note, kept.moderator_name, kept.undo_until) == (
        "final",
        "looks the same to me",
        "Mo",
        None,
    )


def test_without_a_grace_period_a_decision_is_due_at_once(database):
    office = Office(database, grace=timedelta(0))
    office.hire()
    office.open("c1")
    made = office.decide("c1", "mo", "bad_picture")
    assert made.undo_until is None
    with pytest.raises(TooLate):
        office.decisions.undo(made.decision_id, "mo")
    assert office.decisions.finish_due() == 1
    assert [one["decision"] for one in told(database)] == ["bad_picture"]


def test_only_who_holds_the_case_decides(office):
    office.open("c1")
    with pytest.raises(UnknownCase):
        office.decisions.decide("c9", "mo", "moderator", "confirmed", "other")
    with pytest.raises(ClaimLost):
        office.decisions.decide("c1", "mo", "moderator", "confirmed", "other")
    office.next_of("mo")
    office.clock.pass_by(LEASE)
    assert office.next_of("mia") == "c1"
    with pytest.raises(ClaimLost, match="no longer in your hands"):
        office.decisions.decide("c1", "mo", "moderator", "confirmed", "other")
    assert office.decisions.history("c1") == []
    office.decisions.decide("c1", "mia", "moderator", "confirmed", "other")
    with pytest.raises(ClaimLost):
        office.decisions.decide("c1", "mia", "moderator", "confirmed", "other")
    assert len(office.decisions.history("c1")) == 1, "a form that is sent twice decides once"


@pytest.mark.parametrize("reason", ["", None, "because", "OTHER"])
def test_a_decision_needs_a_reason_from_the_list(office, reason):
    office.open("c1")
    office.next_of("mo")
    with pytest.raises(ReasonMissing):
        office.decisions.decide("c1", "mo", "moderator", "confirmed", reason)
    assert office.claims.require("c1", "mo").state == "open"


def test_a_queue_takes_only_the_decisions_that_it_offers(database):
    office = Office(database, queues=(replace(FACES, decisions=("confirmed", "escalated")),))
    office.hire()
    office.open("c1")
    for decision in ("bad_picture", "nonsense"):
        with pytest.raises(DecisionNotOffered):
            office.decide("c1", "mo", decision)
    office.decide("c1", "mo", "escalated")
    with pytest.raises(DecisionNotOffered):
        office.decide("c1", "lea", "escalated")
    assert office.decide("c1", "lea", "confirmed").state == "decided"


def test_who_lost_the_role_meanwhile_cannot_decide(office):
    office.open("c1", held=True)
    office.next_of("lea")
    with pytest.raises(DecisionNotOffered):
        office.decisions.decide("c1", "lea", "moderator", "confirmed", "other")


def test_a_decision_is_about_a_person_that_the_case_names(office, database):
    findings = [{"identity_id": "idn_a", "runner_up": {"identity_id": "idn_b"}}, {"identity_id": "idn_c"}, {}]
    evidence = json.dumps({"findings": findings})
    for number, about in enumerate(("idn_a", "idn_b", "idn_c")):
        office.open(f"c{number}", identity_id="idn_a", evidence=evidence)
        office.decide(f"c{number}", "mo", "confirmed", identity_id=about)
    office.open("c9", identity_id="idn_a", evidence=evidence)
    with pytest.raises(DecisionNotOffered, match="does not speak of that person"):
        office.decide("c9", "mo", "confirmed", identity_id="idn_x")
    after_grace(office)
    assert sorted(one["identity_id"] for one in told(database)) == ["idn_a", "idn_b", "idn_c"]


def test_two_who_agree_are_told_as_one_decision(office, database):
    office.open("c1", identity_kind="victim")
    first = office.decide("c1", "mo", "confirmed")
    assert (first.stage, first.state) == ("second", "open")
    assert after_grace(office) == 0
    assert office.decisions.history("c1") == [], "the second judges alone"
    second = office.decide("c1", "mia", "confirmed")
    assert (second.stage, second.state) == ("second", "decided")
    assert "mo" not in states(office, "c1")
    assert after_grace(office) == 1
    (message,) = told(database)
    assert (message["decision_id"], message["stage"], message["decided_by"]) == (second.decision_id, "second", "mia")
    assert states(office, "c1") == {"mo": ("confirmed", "first"), "mia": ("confirmed", "final")}


def test_when_two_disagree_a_lead_decides_and_only_that_is_told(office, database):
    office.open("c1", identity_kind="victim")
    office.decide("c1", "mo", "confirmed")
    second = office.decide("c1", "mia", "not_this_person")
    assert (second.stage, second.state) == ("lead", "open")
    assert after_grace(office) == 0
    assert told(database) == []
    last = office.decide("c1", "lea", "not_this_person")
    assert (last.stage, last.state) == ("lead", "decided")
    assert states(office, "c1")["mo"] == ("confirmed", "first"), "the lead may still think better of it"
    assert after_grace(office) == 1
    assert [one["decision_id"] for one in told(database)] == [last.decision_id]
    assert states(office, "c1") == {
        "mo": ("confirmed", "overruled"),
        "mia": ("not_this_person", "first"),
        "lea": ("not_this_person", "final"),
    }


def test_two_who_mean_different_people_disagree(office):
    evidence = json.dumps({"findings": [{"identity_id": "idn_a"}, {"identity_id": "idn_b"}]})
    office.open("c1", identity_kind="victim", identity_id="idn_a", evidence=evidence)
    office.decide("c1", "mo", "confirmed")
    assert office.decide("c1", "mia", "confirmed", identity_id="idn_b").stage == "lead"


@pytest.mark.parametrize("before", [[], [("mo", "confirmed")]])
def test_an_escalated_case_is_decided_by_a_lead(office, database, before):
    office.open("c1", identity_kind="victim")
    for person, decision in before:
        office.decide("c1", person, decision)
    escalated = office.decide("c1", "mia", "escalated")
    assert (escalated.stage, escalated.state) == ("lead", "open")
    assert after_grace(office) == 0
    office.decide("c1", "lea", "genuine_owner")
    assert after_grace(office) == 1
    assert [one["decision"] for one in told(database)] == ["genuine_owner"]
    assert states(office, "c1")["mia"] == ("escalated", "overruled")


def test_a_decision_taken_back_leaves_the_case_as_it_was(office, database):
    office.open("c1")
    office.open("c2")
    office.claims.claim("c1", "mo", "moderator")
    before = office.cases.get("c1")
    made = office.decisions.decide("c1", "mo", "moderator", "confirmed", "other")
    assert office.next_of("mo") == "c2"
    office.clock.pass_by(GRACE - SECOND)
    assert [(one.id, one.undo_until) for one in office.decisions.recent("mo")] == [(made.decision_id, made.undo_until)]
    again = office.decisions.undo(made.decision_id, "mo")
    assert again == replace(before, claimed_until=office.clock.now + LEASE)
    assert office.next_of("mo") == "c1"
    assert office.next_of("mia") == "c2", "who goes back gives back what they had taken up meanwhile"
    assert after_grace(office) == 0
    assert told(database) == []
    assert states(office, "c1") == {"mo": ("confirmed", "undone")}
    office.decisions.decide("c1", "mo", "moderator", "bad_picture", "other")
    assert after_grace(office) == 1
    assert [one["decision"] for one in told(database)] == ["bad_picture"]


def test_a_decision_cannot_be_taken_back_late_twice_or_by_another(office):
    office.open("c1")
    made = office.decide("c1", "mo", "confirmed")
    with pytest.raises(UnknownDecision):
        office.decisions.undo("no such", "mo")
    with pytest.raises(TooLate, match="Another person"):
        office.decisions.undo(made.decision_id, "mia")
    office.decisions.undo(made.decision_id, "mo")
    with pytest.raises(TooLate):
        office.decisions.undo(made.decision_id, "mo")
    made = office.decisions.decide("c1", "mo", "moderator", "confirmed", "other")
    office.clock.pass_by(GRACE)
    for _ in range(2):
        with pytest.raises(TooLate):
            office.decisions.undo(made.decision_id, "mo")
        office.decisions.finish_due()
    assert office.cases.get("c1").state == "closed"


@pytest.mark.parametrize(("decision", "stage"), [("confirmed", "second"), ("escalated", "lead")])
def test_a_decision_that_passed_the_case_on_can_be_taken_back_until_another_takes_it_up(office, decision, stage):
    office.open("c1", identity_kind="victim")
    made = office.decide("c1", "mo", decision)
    assert office.cases.get("c1").stage == stage
    assert office.decisions.undo(made.decision_id, "mo").stage == "first"
    made = office.decisions.decide("c1", "mo", "moderator", decision, "other")
    assert office.next_of("lea") == "c1"
    with pytest.raises(TooLate):
        office.decisions.undo(made.decision_id, "mo")
    office.decisions.decide("c1", "lea", "lead", "not_this_person", "other")
    with pytest.raises(TooLate):
        office.decisions.undo(made.decision_id, "mo")


def test_a_second_reviewer_who_takes_back_is_the_second_reviewer_again(office, database):
    office.open("c1", identity_kind="victim")
    office.decide("c1", "mo", "confirmed")
    made = office.decide("c1", "mia", "escalated")
    assert office.decisions.undo(made.decision_id, "mia").stage == "second"
    assert office.next_of("mo") is None
    assert office.decisions.decide("c1", "mia", "moderator", "confirmed", "other").state == "decided"
    assert after_grace(office) == 1
    assert len(told(database)) == 1


def test_a_second_reviewer_who_saw_that_the_first_differs_cannot_agree_any_more(office):
    office.open("c1", identity_kind="victim")
    office.decide("c1", "mo", "confirmed")
    made = office.decide("c1", "mia", "not_this_person")
    assert made.stage == "lead", "which tells that Mo decided otherwise"
    office.decisions.undo(made.decision_id, "mia")
    assert office.decisions.decide("c1", "mia", "moderator", "confirmed", "other").stage == "lead"


@pytest.mark.parametrize(
    ("decision", "negative_pairs", "own_accounts"),
    [("not_this_person", 1, ()), ("genuine_owner", 0, ("acc",)), ("confirmed", 0, ()), ("bad_picture", 0, ())],
)
def test_the_gallery_learns_what_was_decided(office, records, database, ada, decision, negative_pairs, own_accounts):
    office.open("c1", account_id="acc", identity_id=ada)
    office.decide("c1", "mo", decision, note="a note")
    assert records.show(ada).negative_pairs == 0, "nothing is learned while it can be taken back"
    assert after_grace(office) == 1
    assert (records.show(ada).negative_pairs, records.show(ada).own_accounts) == (negative_pairs, own_accounts)
    (entry,) = DecisionRecords(database, MASTER, NEVER).history(ada)
    assert (entry.decision, entry.review_id, entry.decided_by, entry.note) == (decision, "c1", "mo", "a note")
    assert [one["identity_id"] for one in told(database)] == [ada]


def test_a_case_without_an_identity_is_closed_and_told(office, database):
    office.open("c1", kind="foreign_watermark", identity_kind=None)
    office.decide("c1", "mo", "confirmed")
    assert after_grace(office) == 1
    assert [(one["decision"], one["identity_id"]) for one in told(database)] == [("confirmed", None)]


def test_a_case_whose_identity_was_erased_meanwhile_is_closed_and_told(office, records, database, ada):
    office.open("c1", identity_id=ada)
    office.decide("c1", "mo", "not_this_person")
    records.remove_identity(ada)
    assert after_grace(office) == 1
    assert [one["review_id"] for one in told(database)] == ["c1"]
    assert office.cases.get("c1").state == "closed"


def test_one_case_that_can_teach_nothing_does_not_hold_up_the_others(office, database, ada, caplog):
    office.open("c1", account_id=" acc", identity_id=ada)
    office.open("c2", identity_id=ada)
    DecisionRecords(database, MASTER, NEVER).record(ada, "somebody else", "confirmed", "by-hand", review_id="c3")
    office.open("c3", identity_id=ada)
    for case_id in ("c1", "c2", "c3"):
        office.decide(case_id, "mo", "not_this_person")
    assert after_grace(office) == 3
    assert {one["review_id"] for one in told(database)} == {"c1", "c2", "c3"}
    assert {(one.case_id, one.reason) for one in caplog.records} == {("c1", "unfit_id"), ("c3", "review_of_another")}


def test_several_who_finish_at_once_tell_each_decision_once(office, database, ada):
    cases = 20
    for number in range(cases):
        office.open(f"c{number}", account_id=f"acc-{number}", identity_id=ada)
        office.decide(f"c{number}", "mo", "not_this_person")
    office.clock.pass_by(GRACE)
    together = threading.Barrier(4)

    def finish(_):
        together.wait()
        return office.decisions.finish_due()

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(finish, range(4)))
    assert sum(counts) == cases
    assert sorted(one["review_id"] for one in told(database)) == sorted(f"c{number}" for number in range(cases))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(DecisionRow)) == cases


def test_one_who_dies_between_teaching_and_closing_is_made_good(office, database, database_url, records, ada):
    office.open("c1", account_id="acc", identity_id=ada)
    made = office.decide("c1", "mo", "genuine_owner")
    office.clock.pass_by(GRACE)
    program = """
import os, signal, sys
from datetime import datetime, timedelta
from records.casework.case_closing import close_case
from records.database import open_database
from records.decisions import BurstRule, DecisionRecords
from records.keys.keyring import MasterKey
class Dies(DecisionRecords):
    def record(self, *facts):
        super().record(*facts)
        os.kill(os.getpid(), signal.SIGKILL)
database = open_database(sys.argv[1])
close_case(database, Dies(database, MasterKey.of(bytes(32)), BurstRule(1000, 24, 1)), sys.argv[2], "c1", datetime.now)
"""
    died = subprocess.run([sys.executable, "-c", program, database_url, made.decision_id], cwd=ROOT, timeout=60)
    assert died.returncode == -signal.SIGKILL
    assert records.show(ada).own_accounts == ("acc",), "it died after teaching"
    assert (told(database), office.cases.get("c1").state) == ([], "decided"), "and before closing"
    learned = records.latest_sequence()
    assert office.decisions.finish_due() == 1
    assert [one["decision_id"] for one in told(database)] == [made.decision_id]
    assert records.latest_sequence() == learned, "the gallery heard it once"
    assert len(DecisionRecords(database, MASTER, NEVER).history(ada)) == 1


def test_who_takes_back_and_who_finishes_at_the_same_moment_never_both_succeed(office, database):
    for number in range(15):
        office.open(f"c{number}")
        made = office.decide(f"c{number}", "mo", "confirmed")
        together = threading.Barrier(2)
        office.clock.pass_by(GRACE - SECOND)

        def take_back(decision_id=made.decision_id, together=together):
            together.wait()
            try:
                office.decisions.undo(decision_id, "mo")
            except TooLate:
                return False
            return True

        def finish(together=together):
            together.wait()
            office.clock.pass_by(SECOND)
            return office.decisions.finish_due() == 1

        with ThreadPoolExecutor(2) as pool:
            undone, finished = (task.result() for task in (pool.submit(take_back), pool.submit(finish)))
        assert undone != finished
        assert len(told(database)) == finished


def test_what_the_gallery_is_learning_is_not_taken_back_by_one_whose_clock_is_behind(office, database, ada):
    late, behind = Office(database), office
    behind.open("c1", identity_id=ada)
    made = behind.decide("c1", "mo", "not_this_person")
    late.clock.now = behind.clock.now + GRACE

    class Slow(DecisionRecords):
        def record(self, *facts):
            super().record(*facts)
            with pytest.raises(TooLate):
                behind.decisions.undo(made.decision_id, "mo")

    assert close_case(database, Slow(database, MASTER, NEVER), made.decision_id, "c1", late.clock)
    assert len(told(database)) == 1


def test_a_relay_publishes_each_decision_until_it_is_acknowledged(office, database):
    for number in range(5):
        office.open(f"c{number}")
        office.decide(f"c{number}", "mo", "confirmed")
        office.clock.pass_by(SECOND)
    after_grace(office)

    def fail(batch):
        raise ConnectionError("broker away")

    outbox, batches = DecisionOutbox(database, AuditLog(database)), []
    with pytest.raises(ConnectionError):
        outbox.drain(fail)
    with database.sole("decisions"):
        assert outbox.drain(batches.append) is None, "while another drains"
    assert [outbox.drain(batches.append, limit=2) for _ in range(2)] == [5, 0], "as it was numbered before the failure"
    (batch,) = batches
    assert batch.number == 1
    assert [json.loads(row.value)["review_id"] for row in batch.rows] == ["c0", "c1", "c2", "c3", "c4"]


def final(office, *case_ids):
    for case_id in case_ids:
        office.open(case_id)
        office.decide(case_id, "mo", "confirmed")
    after_grace(office)


def cases_of(batch):
    return [json.loads(row.value)["review_id"] for row in batch.rows]


def test_a_relay_deletes_only_what_it_published(office, database):
    final(office, "early")

    def publish(batch):
        final(office, "late")
        with database.write() as session:  # as if it had taken its number before the published one
            (row,) = session.scalars(select(DecisionToSendRow).where(DecisionToSendRow.key == "account-of-late"))
            row.id = 0

    assert DecisionOutbox(database, AuditLog(database)).drain(publish) == 1
    assert [one["review_id"] for one in told(database)] == ["late"]


def test_decisions_leave_in_batches_with_rising_numbers_and_each_is_audited_once(office, database):
    final(office, "c1", "c2", "c3")
    log, batches = AuditLog(database), []
    outbox = DecisionOutbox(database, log)
    assert [outbox.drain(batches.append, limit=2) for _ in range(3)] == [2, 1, 0]
    assert [(batch.number, cases_of(batch)) for batch in batches] == [(1, ["c1", "c2"]), (2, ["c3"])]
    sent = [entry for entry in reversed(log.read()) if entry.action == "decision_sent"]
    assert [entry.subject for entry in sent] == ["c1", "c2", "c3"]
    assert [entry.details for entry in sent] == [
        {"decision_id": row.decision_id} for batch in batches for row in batch.rows
    ]


def test_a_batch_that_is_known_to_be_published_is_not_published_again_and_the_next_follows_it(office, database):
    final(office, "c1")
    outbox, batches = DecisionOutbox(database, AuditLog(database)), []

    def die(batch):
        batches.append(batch)
        raise ConnectionError("died after Kafka had it")

    with pytest.raises(ConnectionError):
        outbox.drain(die)
    final(office, "c2")
    assert outbox.drain(pytest.fail, told=lambda: 1) == 1
    # a database that was restored from an old copy counts on from what was told
    assert outbox.drain(batches.append, told=lambda: 57) == 1
    assert [(batch.number, cases_of(batch)) for batch in batches] == [(1, ["c1"]), (58, ["c2"])]


def test_two_that_both_believe_to_be_alone_publish_the_same_batch_and_audit_it_once(office, database, database_url):
    final(office, "c1")
    batches, log = [], AuditLog(database)
    with closing(open_database(database_url)) as other:
        other.sole = lambda task: nullcontext(True)  # what a holder believes whom the database has given up

        def publish(batch):
            final(office, "c2")
            assert DecisionOutbox(other, AuditLog(other)).drain(batches.append) == 1
            batches.append(batch)

        assert DecisionOutbox(database, log).drain(publish) == 0
    assert [(batch.number, cases_of(batch)) for batch in batches] == [(1, ["c1"])] * 2
    assert [entry.subject for entry in log.read() if entry.action == "decision_sent"] == ["c1"]


def test_recent_decisions_are_a_persons_own_newest_first(office):
    for case_id in ("c1", "c2", "c3"):
        office.open(case_id)
        office.decide(case_id, "mo", "confirmed")
    office.open("c4")
    office.decide("c4", "mia", "confirmed")
    assert [made.case_id for made in office.decisions.recent("mo", 2)] == ["c3", "c2"]
    assert [made.account_id for made in office.decisions.recent("mia")] == ["account-of-c4"]
