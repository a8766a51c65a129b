"""Withdrawals beside everything else that goes on at the same time: whoever comes first, nothing of the person is left,
and nobody else's work fails."""

import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from records.casework.appeals import AppealRecords
from records.casework.cases import CasePicture
from records.casework.golden_cases import GoldenCases
from records.casework.schema_around_cases import GoldenCaseRow
from records.errors import DatabaseAway, RecordsError, ReportErased, ReportRefused
from records.keys.rotation import KeyRotation
from records.keys.signing import SigningKeys
from records.outbox import Outbox
from records.reports.consent import ReportConsents
from records.reports.erasures import Erased
from records.reports.remains import Remains
from records.schema import Base, GalleryStateRow
from tests.support.case_office import PEOPLE, new_case
from tests.support.protection import CONTACT, KEY, LINK, MESSAGE, WORDS, Protection

SAID = (CONTACT, LINK, MESSAGE, WORDS, "acct-mara")


@pytest.fixture
def here(database):
    return Protection(database)


@pytest.fixture
def consents(here):
    return ReportConsents(here.database, KEY, here.gallery, here.office.audit, clock=here.office.clock)


@pytest.fixture
def appeals(here):
    return AppealRecords(here.database, here.office.audit, here.office.queues, clock=here.office.clock)


def left(here, asked):
    remains = Remains(here.database, SigningKeys(here.database, KEY, clock=here.office.clock))
    return [(check.where, check.says) for check in remains.checks(remains.find(asked)) if check.left]


def after_a_while(here):
    """What the console's upkeep does, when all grace periods are over."""
    here.office.clock.pass_by(timedelta(minutes=2))
    here.office.decisions.finish_due()
    here.erasure.expire(here.office.clock.now)


def at_once(jobs, threads=8):
    """Runs them together; what they raised that is no answer of ours."""

    def run(job: Callable[[], object]) -> Exception | None:
        try:
            job()
        except DatabaseAway as away:
            return away
        except RecordsError:
            return None
        except Exception as wrong:
            return wrong
        return None

    with ThreadPoolExecutor(threads) as together:
        return [wrong for wrong in together.map(run, jobs) if wrong is not None]


def test_nothing_is_left_and_nothing_fails_when_everything_happens_at_the_same_time(here, consents):
    chance = random.Random(7)
    taken = [here.report() for _ in range(5)]
    people = [here.review.approve(one.report_id, "lea") for one in taken]
    fresh = [here.report() for _ in range(3)]
    for number in range(6):
        one, other = chance.sample(people, 2)
        findings = [{"kind": "same_person", "identity_id": one, "runner_up": {"identity_id": other}}]
        findings += [{"kind": "same_person", "identity_id": other, "identity_kind": "victim"}]
        here.case(f"case-{number}", one, evidence=json.dumps({"findings": findings}))
    rotation = KeyRotation(here.database, KEY, here.office.audit)
    jobs = [rotation.hanging, lambda: rotation.wrap_anew("operator:ops")]
    for one in (*taken, *fresh):
        jobs += [lambda one=one: here.erasure.withdraw(one.report_id, "withdrawn", "reporter")] * 2
        jobs.append(lambda one=one: consents.correct(one.report_id, "a@b.example", (), ("acct-new",)))
        jobs.append(lambda one=one: consents.extend(one.report_id, 24, "2"))
        jobs.append(lambda one=one: here.messages.write(one.report_id, "And one thing more"))
    for one in fresh:
        jobs.append(lambda one=one: here.review.approve(one.report_id, "lea"))
    for identity_id in people:
        jobs.append(lambda one=identity_id: here.look_backs.ask([one], "operator:ops"))
        jobs.append(lambda one=identity_id: here.gallery.add_own_account(one, "acct-more"))
    for number in range(6):
        who = chance.choice(list(PEOPLE))
        jobs.append(lambda n=number, who=who: here.office.decide(f"case-{n}", who, "confirmed", note="It is Mara"))
        jobs.append(lambda n=number: here.office.cases.comment(f"case-{n}", "mo", "Is it Mara?"))
        jobs += [here.look_backs.take, here.office.decisions.finish_due]
        jobs.append(lambda: here.erasure.expire(here.office.clock.now))
    chance.shuffle(jobs)
    assert at_once(jobs) == []
    after_a_while(here)
    assert [left(here, one.number) for one in (*taken, *fresh)] == [[]] * 8
    with here.database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM identities")) == 0
    assert here.office.audit.verify() is None


def held_up(here, *jobs):
    """Runs the jobs one after the other while somebody else counts up the gallery's changes: each comes as far as it
    gets without, and they end when that is over. What they raised that is no answer of ours."""
    if not here.database.postgresql:
        pytest.skip("SQLite lets one write at a time")
    started: list[threading.Thread] = []
    wrong: list[Exception] = []
    with here.database.write() as session:
        session.get(GalleryStateRow, 1, with_for_update=True)
        for count, job in enumerate(jobs, 1):
            started.append(threading.Thread(target=lambda job=job: wrong.extend(at_once([job], 1))))
            started[-1].start()
            wait_for_locks(here, count)
    for thread in started:
        thread.join(10)
    return wrong


def wait_for_locks(here, count):
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    for _ in range(500):
        with here.database.engine.connect() as connection:
            if connection.scalar(waiting) >= count:
                return
        threading.Event().wait(0.01)
    raise AssertionError(f"{count} transactions should wait by now")


def test_a_look_back_that_is_taken_up_while_its_person_withdraws_is_just_not_there(here):
    taken, _ = here.protect()
    Outbox(here.database).drain(lambda rows: None)
    found = []
    withdraw = lambda: here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")  # noqa: E731
    assert held_up(here, withdraw, lambda: found.append(here.look_backs.take())) == []
    assert found == [[]]


def test_a_change_that_was_under_way_is_not_announced_after_the_person_is_gone(here):
    taken, identity_id = here.protect()
    change = lambda: here.gallery.add_own_account(identity_id, "acct-more")  # noqa: E731
    assert held_up(here, change, lambda: here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")) == []
    waiting = []
    Outbox(here.database).drain(waiting.extend)
    assert [(one.key, one.value) for one in waiting] == [(identity_id, None)]


def test_what_is_asked_or_changed_for_somebody_who_is_gone_is_told_so(here, consents):
    taken, identity_id = here.protect()
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    assert here.look_backs.ask([identity_id], "operator:ops") == []
    with pytest.raises(ReportErased):
        consents.correct(taken.report_id, "", (), ("acct-new",))
    with pytest.raises(ReportRefused):
        consents.extend(taken.report_id, 24, "2")
    with pytest.raises(ReportErased):
        here.messages.write(taken.report_id, "Hello?")


def test_who_withdraws_while_their_own_accounts_go_to_the_gallery_is_told_that_all_is_erased(here, consents):
    taken, identity_id = here.protect()
    add = here.gallery.add_own_account

    def too_late(*known, **more):
        here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
        return add(*known, **more)

    here.gallery.add_own_account = too_late
    with pytest.raises(ReportErased):
        consents.correct(taken.report_id, "", (), ("acct-new",))
    assert left(here, identity_id) == []


class Approving:
    """The database, in which somebody approves the report before the first write."""

    def __init__(self, here, report_id):
        self.read, self._here, self._report_id, self.approved = here.database.read, here, report_id, None

    def write(self):
        self.approved = self.approved or self._here.review.approve(self._report_id, "lea")
        return self._here.database.write()


def test_own_accounts_that_are_corrected_while_the_report_is_approved_reach_the_gallery(here):
    taken = here.report()
    meanwhile = Approving(here, taken.report_id)
    consents = ReportConsents(meanwhile, KEY, here.gallery, here.office.audit, clock=here.office.clock)
    consents.correct(taken.report_id, "", (), ("acct-new",))
    assert here.gallery.show(meanwhile.approved).own_accounts == ("acct-new",)


def test_what_moderators_write_about_somebody_who_is_gone_is_erased_within_a_minute(here):
    taken, identity_id = here.protect()
    for name in ("case-1", "case-2"):
        here.case(name, identity_id)
    here.office.decide("case-1", "mo", "confirmed")
    made = here.office.decide("case-1", "mia", "confirmed", note="Looks like Mara")
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    here.office.cases.comment("case-2", "mo", "That was Mara")
    here.office.decisions.undo(made.decision_id, "mia")
    here.office.decide("case-1", "mia", "confirmed", note="Mara, I am sure")
    assert left(here, taken.number)
    after_a_while(here)
    assert left(here, taken.number) == []
    assert here.office.cases.get("case-1").state == "closed"


def test_an_appeal_is_answered_with_a_note_that_goes_with_its_text_when_the_answer_is_given(here, appeals):
    taken, identity_id = here.protect()
    case_id = here.case("case-1", identity_id, decision="confirmed")
    appeals.receive(case_id, "It is me.", "lea")
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    here.office.cases.comment(case_id, "leo", "Their passport says otherwise")
    here.erasure.expire(here.office.clock.now)
    assert left(here, taken.number) == [] and here.office.cases.comments(case_id, "leo")
    assert [one.text for one in appeals.of_case(case_id)] == ["It is me."], "or nobody could answer it"
    here.office.decide(case_id, "leo", "confirmed", note="It is Mara, not them")
    here.office.clock.pass_by(timedelta(minutes=2))
    here.office.decisions.finish_due()
    found = {where for where, _ in left(here, taken.number)}
    assert found == {"appeals", "comments and notes on cases", "handles and display names"}
    here.erasure.expire(here.office.clock.now)
    assert left(here, taken.number) == [] and here.office.cases.comments(case_id, "leo") == []
    assert [(one.text, one.state) for one in appeals.of_case(case_id)] == [("", "upheld")]


def test_what_the_holder_of_their_own_account_says_goes_too_when_it_is_answered(here, appeals):
    taken, identity_id = here.protect()
    case_id = here.case("case-1", identity_id, decision="confirmed", account_id="acct-mara", display_name="Mara")
    appeals.receive(case_id, "I am Mara herself.", "lea")
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    here.erasure.expire(here.office.clock.now)
    assert [one.text for one in appeals.of_case(case_id)] == ["I am Mara herself."]
    here.office.decide(case_id, "leo", "not_this_person", note="Mara, as she says")
    after_a_while(here)
    assert [(one.text, one.state) for one in appeals.of_case(case_id)] == [("", "reversed")]
    case = here.office.cases.get(case_id)
    assert (case.identity_id, case.display_name) == (None, None)
    assert [one.note for one in here.office.decisions.history(case_id)] == [None] * 3


def test_an_appeal_against_what_was_decided_on_the_erased_does_not_go_on_about_another(here, appeals):
    taken, gone = here.protect()
    other = here.gallery.add_identity("Iris Nowak", "celebrity")
    findings = [
        {"kind": "same_person", "identity_id": gone, "similarity": 0.7, "face_box": [1, 2, 3, 4]},
        {"kind": "look_alike_risk", "identity_id": other, "similarity": 0.6},
    ]
    case_id = here.case("case-1", gone, decision="confirmed", evidence=json.dumps({"findings": findings}))
    appeals.receive(case_id, "It is me, not Mara.", "lea")
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    assert here.office.cases.get(case_id).identity_id == gone
    here.office.decide(case_id, "leo", "not_this_person")
    after_a_while(here)
    assert [one.text for one in appeals.of_case(case_id)] == [""] and left(here, taken.number) == []


def test_a_case_that_comes_in_late_and_names_the_erased_beside_another_goes_on_about_the_other(here):
    taken, gone = here.protect()
    other = here.gallery.add_identity("Iris Nowak", "celebrity")
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    findings = [
        {"kind": "same_person", "identity_id": other, "runner_up": {"identity_id": gone, "similarity": 0.6}},
        {"kind": "same_person", "identity_id": gone, "similarity": 0.7, "face_box": [1, 2, 3, 4]},
    ]
    late = new_case("case-late", identity_id=other, evidence=json.dumps({"findings": findings}))
    assert here.office.cases.open(late, CasePicture(b"jpeg", {}))
    here.erasure.expire(here.office.clock.now)
    case = here.office.cases.get("case-late")
    assert (case.state, case.identity_id) == ("open", other) and gone not in json.dumps(case.evidence)


def test_which_account_was_the_persons_own_is_not_to_be_found_any_more(here):
    taken, identity_id = here.protect()
    here.gallery.add_own_account(identity_id, "acct-console", by="mo")
    here.gallery.remove_own_account(identity_id, "acct-console", by="mo")
    for number, account in enumerate(("acct-mara", "acct-genuine", "acct-thief")):
        decision = "confirmed" if account == "acct-thief" else "genuine_owner"
        here.case(f"case-{number}", identity_id, decision=decision, account_id=account)
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    linked = "SELECT account_id FROM cases WHERE identity_id IS NOT NULL OR evidence LIKE :gone OR id IN"
    linked += " (SELECT case_id FROM case_decisions WHERE identity_id IS NOT NULL)"
    with here.database.read() as session:
        found = session.scalars(text(linked), {"gone": f"%{identity_id}%"}).all()
        assert found == ["acct-thief"], "of strangers only"
        audit = session.scalars(text("SELECT subject || details FROM audit_log")).all()
    assert not [entry for entry in audit if "acct-" in entry]


def test_what_a_lead_wrote_on_a_test_case_goes_with_the_person(here):
    taken, identity_id = here.protect()
    case_id = here.case("case-1", identity_id, decision="confirmed")
    GoldenCases(here.database, here.office.audit, clock=here.office.clock).mark(
        case_id, "confirmed", "Mara's mole", "lea"
    )
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    with here.database.read() as session:
        golden = session.scalars(select(GoldenCaseRow)).one()
        assert golden.why == "" and golden.retired_at is not None


def test_who_is_approved_in_an_older_copy_before_the_replay_is_erased_with_the_new_identity(here):
    taken = here.report()
    told = Erased("ers_1", taken.report_id, None, "withdrawn", {}, here.office.clock.now)
    identity_id = here.review.approve(taken.report_id, "lea")
    assert here.erasure.again(told, "operator:ops")
    assert here.gallery.list_identities() == []
    assert left(here, taken.number) == left(here, identity_id) == []


def test_consent_that_is_extended_in_the_last_moment_does_not_end(here, consents):
    taken, identity_id = here.protect(months=6)
    here.office.clock.now = here.reading.get(taken.report_id).ends_at - timedelta(seconds=1)
    ended = here.office.clock.now + timedelta(seconds=1)
    due = here.erasure.due

    def extended_meanwhile(now):
        found = due(now)
        consents.extend(taken.report_id, 12, "2")
        return found

    here.erasure.due = extended_meanwhile
    assert here.erasure.expire(ended) == 0
    assert here.gallery.show(identity_id).status == "active"


@pytest.mark.parametrize("step", ["_receipt", "_erase"])
def test_a_withdrawal_that_is_cut_off_leaves_everything_as_it_was_and_succeeds_later(here, monkeypatch, step):
    taken, identity_id = here.protect()
    here.case("case-1", identity_id)
    before = counted(here)
    done = getattr(here.erasure, step)

    def cut_off(*known):
        done(*known)
        raise DatabaseAway("The database does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(here.erasure, step, cut_off)
        with pytest.raises(DatabaseAway):
            here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    assert counted(here) == before and here.reading.details(taken.report_id)
    assert here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    assert left(here, taken.number) == []


def counted(here):
    with here.database.read() as session:
        tables = Base.metadata.sorted_tables
        return {table.name: session.scalar(select(func.count()).select_from(table)) for table in tables}


def test_no_row_of_any_table_speaks_of_who_is_gone_but_for_those_with_a_reason(here, appeals):
    taken, identity_id = here.protect()
    here.case("case-1", identity_id, decision="confirmed", handle=CONTACT, display_name=WORDS)
    here.case("case-2", identity_id)
    here.office.cases.comment("case-2", "mo", WORDS)
    appeals.receive("case-1", WORDS, "lea")
    here.office.decide("case-1", "leo", "confirmed", note=WORDS)
    here.office.clock.pass_by(timedelta(minutes=1))
    here.office.decisions.finish_due()
    with here.database.read() as session:
        before = {table.name: session.execute(select(table)).all() for table in Base.metadata.sorted_tables}
    sealed = {value for rows in before.values() for row in rows for value in row if isinstance(value, bytes)}
    references = [row.id for row in before["gallery_references"]]
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    wanted = {identity_id, taken.report_id, taken.number, *references, *SAID}
    found = set()
    with here.database.read() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(select(table)):
                for column, value in row._mapping.items():
                    ids = isinstance(value, str) and [one for one in wanted if one in value]
                    if ids or (value in sealed if isinstance(value, bytes) else False):
                        found.add(f"{table.name}.{column}")
    assert found == {
        "audit_log.subject",  # who did what, by ids
        "audit_log.details",
        "case_decisions.identity_id",  # what was decided on strangers' accounts
        "cases.evidence",
        "cases.identity_id",
        "cases.reference_id",
        "decisions_to_send.value",  # one of them, on its way to the platform
        "erasures.identity_id",  # that they were erased
        "erasures.report_id",
        "outbox.key",  # the tombstone, before it is published
        "reports.id",  # so that the receipt can be read
        "reports.number",
        "reports.receipt",
    }


def test_the_console_forgets_the_fingerprints_of_pictures_that_were_erased_by_whomever(here):
    taken, identity_id = here.protect()
    here.case("case-1", identity_id)
    here.case("case-2", identity_id)  # which is compared with the first
    groups = here.office.cases._groups
    assert groups._cases == ["case-1"]
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    here.office.cases.erase_pictures(here.office.clock.now)
    assert groups._cases == [] and groups._hashes.size == 0
