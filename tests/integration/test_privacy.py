"""The record of processing and the impact sheet: on SQLite and on PostgreSQL."""

import json
from datetime import timedelta

import pytest

from config import load_settings
from consumers.console_metrics import ConsoleMetrics
from likeness.doctor import records_checks
from likeness.doctor.records_checks import faces
from likeness.privacy_sheet import privacy_sheet
from records.announcer import utc_now
from records.audit import AuditLog
from records.casework.cases import CasePicture, CaseRecords
from records.faces_kept import People, inventory, people_with_faces
from records.gallery import GalleryRecords
from records.processing import readings
from records.reports.erasure import Erasure
from records.reports.intake import ReportIntake
from tests.support.case_office import KEPT, QUEUES, new_case
from tests.support.vault import MASTER, fill, new_report, photo

WHERE = ("gallery", "reports", "cases")


@pytest.fixture
def audit(database):
    return AuditLog(database)


def open_case(database, case_id, **facts):
    cases = CaseRecords(database, MASTER, QUEUES, keep_pictures=KEPT)
    cases.open(new_case(case_id, **facts), CasePicture(photo(1).photo_jpeg, {"avatar": []}))


def test_each_person_with_a_face_counts_wherever_it_is_kept(database, audit):
    gallery = GalleryRecords(database, MASTER)
    gallery.add_identity("Ada", "celebrity", references=[photo(1), photo(2)])
    gallery.add_identity("nobody's face", "celebrity")
    intake = ReportIntake(database, MASTER, audit)
    intake.take(new_report(photo(3), photo(4)))
    intake.take(new_report(kind="words", lane="specialist", challenge=None))
    open_case(database, "c1", account_id="thief")
    open_case(database, "c2", account_id="thief")
    assert people_with_faces(database) == People(gallery=1, reports=1, cases=1)
    found = inventory(database)
    assert (found.people.total, found.references, found.case_pictures) == (3, 2, 2)
    assert found.identities == {"celebrity": 2} and found.reports == {"received": 2}


def test_a_person_who_was_erased_counts_no_more(database, audit):
    vault = fill(database, MASTER)
    erasure = Erasure(database, MASTER, audit)
    erasure.remove_identity(vault.identity_id, "operator:ada")
    erasure.withdraw(vault.report_id, "withdrawn", "reporter")
    found = inventory(database)
    assert (found.people.gallery, found.people.reports) == (0, 0)
    assert found.erasures == {"operator": 1, "withdrawn": 1} and found.reports == {"withdrawn": 1}


def test_who_was_shown_what_of_a_person_is_told_with_the_purpose(database, audit):
    ada = GalleryRecords(database, MASTER).add_identity("Ada", "victim")
    grace = GalleryRecords(database, MASTER).add_identity("Grace", "victim")
    open_case(database, "c1", identity_id=ada)
    open_case(database, "c2", identity_id=grace)
    audit.append("mo", "face_viewed", "c1", {"picture": "reference", "reference_id": "r"})
    audit.append("mo", "face_viewed", "c2", {"picture": "reference"})
    audit.append("mo", "case_claimed", "c1")
    audit.append("lea", "face_viewed", ada, {"picture": "reference"})
    found = [(one.who, one.what, one.purpose) for one in readings(audit, ada)]
    assert found == [
        ("lea", "was shown a photo of the person", "care of the gallery"),
        ("mo", "was shown a photo of the person", "review of case c1"),
    ]


def test_the_record_outlives_the_person_and_is_found_by_case_number(database, audit):
    taken = ReportIntake(database, MASTER, audit).take(new_report(photo(1)))
    audit.append("mo", "report_viewed", taken.report_id, {"what": "contact"})
    audit.append("mo", "face_viewed", taken.report_id, {"picture": "challenge"})
    Erasure(database, MASTER, audit).withdraw(taken.report_id, "withdrawn", "reporter")
    for whom in (taken.report_id, taken.number, taken.number.lower().replace("-", " ")):
        assert [one.what for one in readings(audit, whom)] == ["was shown the challenge photo", "opened the report"]
    assert readings(audit, "nobody") == []


def test_the_sheet_tells_counts_and_the_retention_in_force_and_nobodys_data(database, audit):
    vault = fill(database, MASTER)
    mail = {"host": "mail.example.com", "sender": "no-reply@example.com"}
    settings = load_settings(console={"picture_days": 77}, look_back={"days": 5}, mail=mail)
    sheet = privacy_sheet(settings, inventory(database), MASTER, utc_now() + timedelta(seconds=1))
    text = sheet.as_markdown()
    to_mail = "| the mail server | contact, and that there is news, consent ends soon, or all is erased |"
    for said in (to_mail, "77 days", "all avatars of 5 days", "6, 12, 24 months", "GDPR 35", "PIPL 55", "100,000"):
        assert said in text
    told = json.loads(json.dumps(sheet.as_json()))
    assert told["counts"]["people"] == {"gallery": 1, "reports": 1, "cases": 1}
    assert told["counts"]["people_with_faces"] == 3
    assert {"identity_keys", "report_keys", "case_picture_keys"} <= set(told["counts"]["keys_since"])
    for secret in (vault.identity_id, vault.report_id, vault.case_id, "ada.lovelace", "acct-", "LK-1"):
        assert secret not in text and secret not in json.dumps(told)


def test_it_is_told_when_faces_of_all_avatars_are_not_kept(database):
    text = privacy_sheet(load_settings(), inventory(database), MASTER, utc_now()).as_markdown()
    assert "none (look_back.days = 0)" in text and "off by default" not in text


def test_the_doctor_speaks_up_when_so_many_faces_are_kept_that_they_must_be_filed(database, monkeypatch):
    assert faces(load_settings(), database).state == "ok"
    assert faces(load_settings(look_back={"days": 1}), database).state == "warn"
    GalleryRecords(database, MASTER).add_identity("Ada", "celebrity", references=[photo(1)])
    monkeypatch.setattr(records_checks, "FILING_AT", 1)
    assert faces(load_settings(), database).state == "warn"


def test_the_console_shows_how_many_faces_are_kept_and_where(database, audit):
    ReportIntake(database, MASTER, audit).take(new_report(photo(3)))
    metrics = ConsoleMetrics()
    metrics.show_people(people_with_faces(database))
    shown = {
        where: metrics.registry.get_sample_value("likeness_people_with_faces", {"where": where}) for where in WHERE
    }
    assert shown == {"gallery": 0, "reports": 1, "cases": 0}
