"""A moderator decides on a report: what enters the gallery, what is erased, and who wins when two decide at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import func, select

from records.audit import AuditFilter, AuditLog
from records.errors import ReportErased, ReportRefused, UnknownReport
from records.gallery import GalleryRecords
from records.gallery_pages import GalleryPages
from records.keys.keyring import MasterKey
from records.people.moderators import ModeratorRecords
from records.reports.contents import Details
from records.reports.intake import ReportIntake
from records.reports.look_backs import LookBacks
from records.reports.reading import ReportReading
from records.reports.review import ReportReview
from records.reports.schema_reports import ReportPhotoRow
from records.schema import IdentityRow, OutboxEntry
from tests.support.clock import Clock
from tests.support.sent_reports import PACK, challenge_photo, new_report, picture_hash, report_photo, unit_vector

FACE = unit_vector(1)
KEY = MasterKey.of(bytes(32))
REASONS = ("not_their_face", "other")


@pytest.fixture
def clock():
    return Clock(datetime(2026, 8, 31, 12, tzinfo=UTC))


@pytest.fixture
def audit(database, clock):
    return AuditLog(database, clock=clock)


@pytest.fixture
def look_backs(database, audit, clock):
    return LookBacks(database, KEY, audit, back=timedelta(days=7), clock=clock)


@pytest.fixture
def review(database, audit, look_backs, clock):
    return ReportReview(database, KEY, audit, look_backs, reasons=REASONS, clock=clock)


@pytest.fixture
def reading(database):
    return ReportReading(database, KEY)


@pytest.fixture
def gallery(database, clock):
    return GalleryRecords(database, KEY, clock=clock)


@pytest.fixture
def mo(database):
    return moderator(database, "mo")


@pytest.fixture
def send(database, audit, clock):
    """The id of a report that is sent now."""
    intake = ReportIntake(database, KEY, audit, clock=clock)
    return lambda *photos, **facts: intake.take(new_report(photos, **facts)).report_id


@pytest.fixture
def sent(send):
    """A report with two photos and a challenge photo of one face."""
    photos = [report_photo(number, unit_vector(10 + number, FACE, 0.7)) for number in range(2)]
    return send(*photos, challenge=challenge_photo(FACE))


def moderator(database, login):
    return ModeratorRecords(database, KEY).add(login, login.title(), "moderator", "correct horse battery staple").id


def count(database, row):
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(row))


def test_who_begins_lets_the_reporter_know_that_somebody_checks(review, reading, audit, mo, sent):
    assert reading.get(sent).state == "received"
    review.begin(sent, mo)
    review.begin(sent, mo)
    assert reading.get(sent).state == "checking"
    assert {one.actor for one in audit.find(AuditFilter(sent, action="report_viewed"))} == {mo}


def test_an_approved_report_is_in_the_gallery_under_the_case_number_and_until_consent_ends(
    database, review, reading, gallery, look_backs, mo, sent, audit
):
    identity_id = review.approve(sent, mo)
    report = reading.get(sent)
    assert (report.state, report.identity_id, report.decided_by) == ("protecting", identity_id, mo)
    assert report.ends_at == datetime(2027, 8, 31, 12, tzinfo=UTC)
    identity = gallery.show(identity_id)
    assert (identity.name, identity.kind, identity.status, identity.reach) == (report.number, "victim", "active", 1)
    assert identity.own_accounts == ("acct-mara",)
    (searched,) = gallery.identities(PACK)
    faces = sorted((one.embeddings[PACK] for one in searched.references), key=lambda face: face[0])
    sent_faces = sorted((unit_vector(10 + number, FACE, 0.7) for number in range(2)), key=lambda face: face[0])
    assert np.allclose(faces, sent_faces)
    assert all(one.fingerprint for one in searched.references)
    with database.read() as session:
        ((key, change),) = session.execute(select(OutboxEntry.key, OutboxEntry.value))
    assert key == identity_id and "mara" not in change
    assert [one.identity_id for one in look_backs.of_identity(identity_id)] == [identity_id]
    (noted,) = audit.find(AuditFilter(sent, action="report_decided"))
    assert noted.details == {"decision": "approved", "identity": identity_id, "left_out": 0}


def test_once_approved_the_report_itself_holds_no_photo_and_can_still_be_answered(review, reading, mo, sent):
    photo, challenge = reading.photo_ids(sent, "face")[0], reading.photo_ids(sent, "challenge")[0]
    review.approve(sent, mo)
    assert reading.photo_ids(sent, "face") == reading.photo_ids(sent, "challenge") == []
    with pytest.raises(ReportErased):
        reading.photo(sent, photo)
    with pytest.raises(ReportErased):
        reading.challenge(sent, challenge)
    assert reading.details(sent).contact == "mara@example.org"


def test_photos_that_are_left_out_become_no_references(review, reading, gallery, mo, sent):
    _, second = reading.photo_ids(sent, "face")
    identity_id = review.approve(sent, mo, leave_out=[second])
    assert len(gallery.show(identity_id).references) == 1


def test_nothing_is_approved_without_a_photo_that_is_left(review, reading, mo, sent):
    with refused("nothing_to_protect"):
        review.approve(sent, mo, leave_out=reading.photo_ids(sent, "face"))
    assert reading.get(sent).state == "received"


def test_the_same_file_sent_twice_is_one_reference(review, gallery, mo, send):
    twice = send(report_photo(1, FACE), report_photo(1, FACE), challenge=challenge_photo(FACE))
    assert len(gallery.show(review.approve(twice, mo)).references) == 1


def test_photos_without_proof_are_not_approved_unless_the_sender_says_how_they_made_sure(database, review, mo, send):
    with refused("no_proof"):
        review.approve(send(report_photo(1, FACE)), mo)
    with refused("no_proof"):
        review.approve(send(report_photo(1, FACE), lane="platform"), mo)
    with refused("no_proof"):
        review.approve(send(report_photo(1, FACE), details=Details(checked="We saw a passport.")), mo)
    assert count(database, IdentityRow) == count(database, OutboxEntry) == 0
    checked = Details(checked="We compared a selfie with the account's verified photo.")
    assert review.approve(send(report_photo(1, FACE), lane="platform", details=checked), mo)


def test_a_refused_report_keeps_no_photo_and_nothing_of_it_was_ever_in_the_gallery(
    database, review, reading, audit, mo, sent
):
    review.refuse(sent, mo, "not_their_face")
    report = reading.get(sent)
    assert (report.state, report.reason, report.identity_id) == ("refused", "not_their_face", None)
    assert count(database, ReportPhotoRow) == count(database, IdentityRow) == count(database, OutboxEntry) == 0
    assert reading.details(sent).contact == "mara@example.org"
    (noted,) = audit.find(AuditFilter(sent, action="report_decided"))
    assert noted.details == {"decision": "refused", "reason": "not_their_face"}


@pytest.mark.parametrize("reason", ["", "because"])
def test_nobody_refuses_without_a_reason_of_the_list(review, reading, mo, sent, reason):
    with refused("refusal_reason_missing"):
        review.refuse(sent, mo, reason)
    assert reading.get(sent).state == "received"
    assert len(reading.photo_ids(sent, "face")) == 2


def test_a_minors_report_is_closed_and_never_approved(review, reading, mo, send, sent):
    minors = send(kind="words", lane="specialist")
    with refused("nothing_to_protect"):
        review.approve(minors, mo)
    review.close(minors, mo)
    assert reading.get(minors).state == "closed"
    with refused("nothing_to_close"):
        review.close(sent, mo)


@pytest.mark.parametrize("lane", ["standard", "platform"])
def test_a_child_who_reported_as_an_adult_is_handed_to_the_specialists_without_a_photo_of_them_left(
    database, review, reading, audit, mo, send, lane
):
    child = send(report_photo(1, FACE), challenge=challenge_photo(FACE), lane=lane)
    review.begin(child, mo)
    review.to_specialists(child, mo, "says_under_18")
    report = reading.get(child)
    assert (report.kind, report.lane, report.state) == ("words", "specialist", "received")
    assert count(database, ReportPhotoRow) == count(database, IdentityRow) == count(database, OutboxEntry) == 0
    assert reading.details(child).contact == "mara@example.org", "they can be answered"
    (noted,) = audit.find(AuditFilter(child, action="report_decided"))
    assert noted.details == {"decision": "to_specialists", "reason": "says_under_18"}
    with refused("nothing_to_protect"):
        review.approve(child, mo)
    with refused("with_specialists"):
        review.to_specialists(child, mo, "says_under_18")
    review.close(child, mo)


def test_nobody_is_taken_for_a_minor_without_a_sign_that_can_be_noted(review, reading, mo, sent):
    with refused("refusal_reason_missing"):
        review.to_specialists(sent, mo, "Mara is 14")
    assert (reading.get(sent).kind, len(reading.photo_ids(sent, "face"))) == ("photos", 2)
    review.approve(sent, mo)
    with refused("report_decided"):
        review.to_specialists(sent, mo, "looks_under_18")


def test_hashes_of_photos_that_stayed_with_the_person_protect_them(review, gallery, mo, send):
    hashes = [picture_hash(number) for number in range(3)]
    identity_id = review.approve(send(kind="hashes", hashes=hashes), mo)
    (searched,) = gallery.identities()
    assert searched.id == identity_id
    assert {one.fingerprint.picture for one in searched.references} == {one.pdq for one in hashes}
    assert all(not one.embeddings for one in searched.references)


def test_what_is_decided_is_not_decided_again(review, mo, sent):
    review.approve(sent, mo)
    for decide in (review.begin, review.approve, review.close, lambda *who: review.refuse(*who, "other")):
        with refused("report_decided"):
            decide(sent, mo)
    with pytest.raises(UnknownReport):
        review.begin("rpt_nobody", mo)


def test_of_two_moderators_who_decide_at_once_one_wins(database, review, reading, gallery, mo, sent):
    mia = moderator(database, "mia")

    def told(decide):
        try:
            return decide()
        except ReportRefused as refused:
            return refused.reason

    decisions = [lambda: review.approve(sent, mo), lambda: review.refuse(sent, mia, "other")] * 2
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(told, decisions))
    assert answers.count("report_decided") == 3
    state = reading.get(sent).state
    assert len(gallery.list_identities()) == (state == "protecting")


def test_whose_own_account_an_account_is_already_is_told(database, gallery):
    for name, accounts in (("Bea", ["b", "shared"]), ("Ana", ["a", "shared"]), ("Cleo", [])):
        gallery.add_identity(name, "victim", accounts)
    owners = GalleryPages(database, keep=timedelta()).owners_of(["shared", "b", "nobody's"])
    assert owners == {"shared": ["Ana", "Bea"], "b": ["Bea"]}


def refused(reason):
    return pytest.raises(ReportRefused, check=lambda error: error.reason == reason)
