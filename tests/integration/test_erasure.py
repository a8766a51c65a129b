"""Who withdraws is gone: from the gallery, the report and the cases, with a signed receipt; consent that ends does the
same by itself."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import make_url, select, text

from records.audit import AuditFilter, AuditLog
from records.casework.appeals import AppealRecords
from records.casework.cases import CasePicture
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.database import open_database
from records.errors import AppealRefused, ReportErased, UnknownErasure, UnknownIdentity, UnknownReport
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.keys.signing import SignatureWrong, SigningKeys, verify_json
from records.outbox import Outbox
from records.reports import erasures
from records.reports.erasure import ANSWER_DAYS, Erasure
from records.reports.remains import Remains
from records.reports.schema_reports import LookBackRow
from records.schema import IdentityRow
from tests.support.case_office import GRACE, new_case
from tests.support.protection import KEY, Protection


@pytest.fixture
def here(database):
    return Protection(database)


@pytest.fixture
def signing(database, here):
    return SigningKeys(database, KEY, clock=here.office.clock)


@pytest.fixture
def remains(database, signing):
    return Remains(database, signing)


def left(remains, asked):
    return [(check.where, check.says) for check in remains.checks(remains.find(asked)) if check.left]


def waiting(database):
    rows = []
    Outbox(database).drain(rows.extend)
    return rows


def case(database, case_id):
    with database.read() as session:
        row = session.get_one(CaseRow, case_id)
        return row.state, row.stage, row.identity_id, json.loads(row.evidence)["findings"]


def test_who_withdraws_is_gone_from_every_table_and_holds_a_signed_receipt(database, here, signing, remains):
    taken, identity_id = here.protect()
    confirmed = here.case("0" * 8 + "-1", identity_id, decision="confirmed")
    waits = here.case("0" * 8 + "-2", identity_id)
    here.office.cases.comment(waits, "mo", "Is this Mara?")
    receipt = here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")

    said = verify_json(receipt, signing.public_keys())
    assert (said["case_number"], said["request"]) == (taken.number, "withdrawn")
    assert said["erased_at"] == here.office.clock.now.isoformat(timespec="seconds")
    counted = {"identity_keys", "report_keys", "references", "embeddings", "reference_photos", "case_pictures"}
    assert counted <= said["erased"].keys() and said["erased"]["cases_closed"] == 1
    assert said["remains"] and all(one["why"] for one in said["remains"])

    assert left(remains, taken.number) == []
    report = here.reading.get(taken.report_id)
    assert (report.state, report.identity_id, report.receipt) == ("withdrawn", None, receipt)
    with pytest.raises(ReportErased):
        here.reading.details(taken.report_id)
    with pytest.raises(UnknownIdentity):
        here.gallery.show(identity_id)
    assert [here.office.cases.picture(one) for one in (confirmed, waits)] == [None, None]
    assert [(one.key, one.value) for one in waiting(database)] == [(identity_id, None)], "nothing but a tombstone"
    with database.read() as session:
        assert session.scalars(select(LookBackRow)).all() == []
        assert session.scalars(select(CaseDecisionRow.note)).all() == [None, None]
    (entry,) = here.office.audit.find(AuditFilter(taken.report_id, action="report_withdrawn"))
    assert (entry.actor, entry.details["identity"]) == ("reporter", identity_id)
    assert here.office.audit.verify() is None


def test_cases_close_without_a_decision_and_no_moderator_is_said_to_have_made_one(database, here):
    _, identity_id = here.protect()
    waits = here.case("case-open", identity_id)
    here.office.claims.claim(waits, "mo", "moderator")
    here.gallery.remove_identity(identity_id, by="operator:ops")
    state, _, about, findings = case(database, waits)
    assert (state, about) == ("closed", identity_id)
    assert [one["face_box"] for one in findings] == [None]
    assert here.office.decisions.history(waits) == []
    assert here.office.next_of("mia") is None
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM decisions_to_send")) == 0


def test_a_case_that_names_somebody_else_too_goes_on_without_the_erased_one(database, here):
    _, gone = here.protect()
    other = here.gallery.add_identity("Iris Nowak", "celebrity")
    findings = [
        {"kind": "same_person", "identity_id": gone, "identity_kind": "victim", "similarity": 0.7},
        {"kind": "look_alike_risk", "identity_id": other, "identity_kind": "celebrity", "similarity": 0.6}
        | {"runner_up": {"identity_id": gone, "similarity": 0.7}},
    ]
    evidence = json.dumps({"findings": findings, "threshold": 0.5, "sure_threshold": 0.6})
    here.case("case-two", gone, evidence=evidence)
    here.gallery.remove_identity(gone)
    state, _, about, kept = case(database, "case-two")
    assert (state, about, [one["identity_id"] for one in kept]) == ("open", other, [other])
    assert kept[0]["runner_up"] is None and here.office.cases.picture("case-two") is not None


def test_an_appeal_is_still_answered_though_its_pictures_are_gone(database, here):
    _, identity_id = here.protect()
    here.case("case-appealed", identity_id, decision="confirmed")
    appeals = AppealRecords(database, here.office.audit, here.office.queues, clock=here.office.clock)
    appeals.receive("case-appealed", "It is me.", "lea")
    here.gallery.remove_identity(identity_id)
    assert case(database, "case-appealed")[:2] == ("open", "appeal")
    assert here.office.cases.picture("case-appealed") is None
    here.erasure.expire(here.office.clock.now)
    assert case(database, "case-appealed")[0] == "open"
    assert [one.text for one in appeals.of_case("case-appealed")] == ["It is me."], "or nobody could answer it"


def test_an_escalated_appeal_is_answered_though_the_person_is_erased(database, here):
    _, identity_id = here.protect()
    here.case("case-appealed", identity_id, decision="confirmed")
    appeals = AppealRecords(database, here.office.audit, here.office.queues, clock=here.office.clock)
    appeals.receive("case-appealed", "It is me.", "lea")
    here.office.decide("case-appealed", "max", "escalated")
    here.gallery.remove_identity(identity_id)
    here.erasure.expire(here.office.clock.now)
    assert case(database, "case-appealed")[:2] == ("open", "lead")
    assert [one.text for one in appeals.of_case("case-appealed")] == ["It is me."], "or nobody could answer it"
    here.office.decide("case-appealed", "leo", "confirmed")
    here.office.clock.pass_by(GRACE)
    assert here.office.decisions.finish_due() == 1
    here.erasure.expire(here.office.clock.now)
    assert [(one.text, one.state) for one in appeals.of_case("case-appealed")] == [("", "upheld")]


def test_a_case_that_an_erasure_closed_cannot_be_appealed(database, here):
    _, identity_id = here.protect()
    here.case("case-waits", identity_id)
    here.gallery.remove_identity(identity_id)
    assert case(database, "case-waits")[0] == "closed"
    appeals = AppealRecords(database, here.office.audit, here.office.queues, clock=here.office.clock)
    with pytest.raises(AppealRefused) as refused:
        appeals.receive("case-waits", "It is me.", "mo")
    assert refused.value.reason == "appeal_of_nothing"


def test_a_review_that_comes_in_after_the_erasure_is_closed_with_its_picture_erased(database, here):
    _, identity_id = here.protect()
    here.case("case-early", identity_id)
    reference = here.gallery.show(identity_id).references[0].id
    here.gallery.remove_identity(identity_id)
    late = new_case("case-late", identity_id=identity_id, identity_kind="victim", reference_id=reference)
    assert here.office.cases.open(late, CasePicture(b"jpeg", {}))
    here.erasure.expire(here.office.clock.now)
    assert case(database, "case-late")[0] == "closed" and here.office.cases.picture("case-late") is None


def test_consent_that_ends_ends_matching_by_itself(here, database, remains):
    taken, identity_id = here.protect(months=6)
    ends = here.reading.get(taken.report_id).ends_at
    here.office.clock.now = ends - timedelta(seconds=1)
    assert here.erasure.expire(here.office.clock.now) == 0
    here.office.clock.now = ends
    assert here.erasure.expire(ends) == 1
    assert here.reading.get(taken.report_id).state == "expired"
    assert waiting(database)[-1].value is None
    assert left(remains, identity_id) == []
    (entry,) = here.office.audit.find(AuditFilter(taken.report_id, action="report_expired"))
    assert entry.actor == "system"
    assert here.erasure.expire(ends) == 0


def test_a_defect_over_one_report_keeps_nobody_else_matching(here, database):
    (spoilt, about), (taken, _) = here.protect(), here.protect()
    here.case("case-spoilt", about)
    with database.write() as session:
        session.get_one(CaseRow, "case-spoilt").evidence = "{"
    ends = here.reading.get(taken.report_id).ends_at
    with pytest.raises(ExceptionGroup) as failed:
        here.erasure.expire(ends)
    assert [one.__notes__ for one in failed.value.exceptions] == [[f"{spoilt.report_id} could not be erased."]]
    assert [here.reading.get(one.report_id).state for one in (spoilt, taken)] == ["protecting", "expired"]


def test_a_refused_report_is_erased_when_the_time_for_an_answer_is_over(here, remains):
    taken = here.report()
    here.review.refuse(taken.report_id, "lea", "other")
    here.office.clock.pass_by(timedelta(days=ANSWER_DAYS) - timedelta(seconds=1))
    assert here.erasure.expire(here.office.clock.now) == 0
    assert here.reading.details(taken.report_id).contact, "until then they can still be answered"
    here.office.clock.pass_by(timedelta(seconds=1))
    assert here.erasure.expire(here.office.clock.now) == 1
    assert here.reading.get(taken.report_id).state == "refused"
    assert left(remains, taken.number) == []


def test_a_report_that_nobody_decided_on_is_not_kept_for_ever(here):
    taken = here.report(months=6)
    here.office.clock.pass_by(timedelta(days=200))
    assert here.erasure.expire(here.office.clock.now) == 1
    assert here.reading.get(taken.report_id).state == "expired"


def test_who_withdraws_twice_or_at_once_gets_the_same_receipt(here):
    taken, _ = here.protect()
    with ThreadPoolExecutor(4) as together:
        receipts = set(
            together.map(lambda _: here.erasure.withdraw(taken.report_id, "withdrawn", "reporter"), range(4))
        )
    assert len(receipts) == 1 and len(here.erasure.list()) == 1
    with pytest.raises(UnknownReport):
        here.erasure.withdraw("rpt_none", "withdrawn", "reporter")


def test_an_identity_removed_by_hand_takes_its_report_with_it(here, remains):
    taken, identity_id = here.protect()
    celebrity = here.gallery.add_identity("Iris Nowak", "celebrity")
    here.gallery.remove_identity(identity_id, by="operator:ops")
    here.gallery.remove_identity(celebrity, by="operator:ops")
    assert here.reading.get(taken.report_id).state == "withdrawn"
    assert [one.request for one in here.erasure.list()] == ["operator", "operator"]
    assert left(remains, taken.number) == left(remains, celebrity) == []


def test_a_person_can_be_erased_after_the_master_key_is_lost(database, here, signing):
    taken, identity_id = here.protect()
    here.erasure.withdraw(here.report().report_id, "withdrawn", "reporter")
    another = MasterKey.of(b"\1" * 32)
    GalleryRecords(database, another, clock=here.office.clock).remove_identity(identity_id, by="operator:ops")
    assert verify_json(here.reading.get(taken.report_id).receipt, signing.public_keys())["request"] == "operator"


def test_verify_finds_whatever_is_left(database, here, remains):
    taken, identity_id = here.protect()
    with database.read() as session:
        (sealed,) = session.scalars(text("SELECT details FROM reports"))
        (wrapped,) = session.scalars(text("SELECT wrapped FROM identity_keys"))
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    assert left(remains, taken.number) == []
    with database.write() as session:
        session.execute(text("UPDATE reports SET details = :sealed"), {"sealed": sealed})
    assert [where for where, _ in left(remains, taken.number)] == ["reports.details"]
    with database.write() as session:
        session.execute(text("UPDATE reports SET details = NULL"))
        facts = {"name": taken.number, "kind": "victim", "status": "active", "sequence": 1, "reach": 1}
        now = here.office.clock.now
        session.add(IdentityRow(id=identity_id, created_at=now, updated_at=now, **facts))
        session.flush()
        kept = {"id": identity_id, "wrapped": wrapped, "now": now}
        session.execute(text("INSERT INTO identity_keys VALUES (:id, :wrapped, :now)"), kept)
    found = {where for where, _ in left(remains, taken.number)}
    assert "data key of the identity" in found and any(where.startswith("identities:") for where in found)
    with pytest.raises(UnknownErasure, match="unknown here"):
        remains.find("LK-2222-2222-2222")
    with pytest.raises(UnknownErasure, match="was not erased"):
        remains.find(here.report().number)


def test_a_receipt_that_was_changed_is_not_valid(database, here, remains, signing):
    taken, _ = here.protect()
    receipt = here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    for changed in (receipt.replace("withdrawn", "expired"), receipt.replace("Ed25519", "none"), "{}", "[]"):
        with pytest.raises(SignatureWrong):
            verify_json(changed, signing.public_keys())
    with database.write() as session:
        changed = receipt.replace('"identity_keys": 1', '"identity_keys": 2')
        session.execute(text("UPDATE reports SET receipt = :changed"), {"changed": changed})
    assert [where for where, _ in left(remains, taken.number)] == ["receipt"]


def copy_of(database, url, folder):
    """The URL of a copy of the whole database, as it is now."""
    if not database.postgresql:
        shutil.copy(folder / "likeness.db", folder / "older.db")
        return f"sqlite:///{folder / 'older.db'}"
    database.close()  # PostgreSQL copies what nobody is connected to
    name = make_url(url).database
    plain = make_url(url).set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}_older TEMPLATE {name}")
    return make_url(url).set(database=f"{name}_older").render_as_string(hide_password=False)


def test_who_was_erased_is_erased_again_in_an_older_copy(database, database_url, here, tmp_path):
    taken, identity_id = here.protect()
    only_sent = here.report()
    database.empty_log()
    older_url = copy_of(database, database_url, tmp_path)
    here.erasure.withdraw(taken.report_id, "withdrawn", "reporter")
    here.erasure.withdraw(only_sent.report_id, "withdrawn", "reporter")
    told = [json.loads(json.dumps(erasures.written(one))) for one in here.erasure.list()]
    older = open_database(older_url)
    restored = Erasure(older, KEY, AuditLog(older))
    assert GalleryRecords(older, KEY).show(identity_id)
    assert [restored.again(erasures.read(one), "operator:ops") for one in told] == [True, True]
    assert [restored.again(erasures.read(one), "operator:ops") for one in told] == [False, False]
    again = Remains(older, SigningKeys(older, KEY))
    assert left(again, taken.number) == left(again, only_sent.number) == []
    assert [(one.id, one.at) for one in restored.list()] == [(one.id, one.at) for one in here.erasure.list()]
    older.close()
