"""Reports in the console over HTTP: who may work them, what is shown and noted, and what each decision does."""

import re
from contextlib import closing

import pytest
from sqlalchemy import func, select

from config import load_settings
from consumers.case_feed import new_case
from consumers.open_detector import open_watched_looking
from likeness.console_enrolling import open_enrolling
from records.audit import AuditFilter
from records.gallery import GalleryRecords
from records.references import PictureHash
from records.reports.contents import Details
from records.schema import IdentityRow, OutboxEntry
from tests.support.console import review
from tests.support.console_site import (
    MASTER,
    Visitor,
    before_noting,
    entering,
    make_desk,
    no_database,
    place_of,
    running_site,
    text_of,
)
from tests.support.sent_reports import (
    CODE,
    challenge_photo,
    new_report,
    picture_hash,
    report_photo,
    unit_vector,
)

PEOPLE = {"mo": "moderator", "mia": "moderator", "lea": "lead", "cy": "curator", "ada": "administrator"}
PEOPLE |= {"aud": "auditor"}
FACE = unit_vector(1)
SEEN = (("seen", "face"), ("seen", "code"))


@pytest.fixture(scope="module")
def looking(models):
    with closing(open_watched_looking(load_settings(home=models.parent), lambda how: None)) as opened:
        yield opened


@pytest.fixture
def database_url(tmp_path):
    """SQLite's: what differs between databases is in test_records_report_review.py."""
    return f"sqlite:///{tmp_path / 'likeness.db'}"


@pytest.fixture
def desk(database, clock, models, looking):
    """A desk that compares faces by the default model pack's thresholds."""
    records = GalleryRecords(database, MASTER, clock=clock)
    with closing(open_enrolling(load_settings(home=models.parent), looking, records)) as enrols:
        yield make_desk(database, clock, enrols=enrols)


@pytest.fixture
def log_in(desk, site):
    return entering(desk, site, PEOPLE)


@pytest.fixture
def mo(log_in):
    return log_in("mo")


@pytest.fixture
def send(desk):
    """The id of a new report."""
    return lambda *photos, **facts: desk.report_intake.take(new_report(photos, **facts)).report_id


@pytest.fixture
def honest(send):
    """Two photos and a challenge photo of one face."""
    photos = [report_photo(number, unit_vector(10 + number, FACE, 0.7)) for number in range(2)]
    return send(*photos, challenge=challenge_photo(FACE))


@pytest.fixture
def abusive(send):
    """Somebody else's photos, and a challenge photo of one's own."""
    photos = [report_photo(number, unit_vector(20 + number, FACE, 0.05)) for number in range(2)]
    return send(*photos, challenge=challenge_photo(FACE))


def press(visitor, report_id, path, fields=(), page=""):
    """Sends a form of the report's page, or one that another `page` of theirs lends its token to."""
    return visitor.post(f"/reports/{report_id}/{path}", fields, form_of=page or f"/reports/{report_id}")


def begin(visitor, report_id):
    assert place_of(press(visitor, report_id, "begin")) == f"/reports/{report_id}"


def said(visitor, report_id, query=""):
    return text_of(visitor.get(f"/reports/{report_id}{query}"))


def count(desk, row):
    with desk.audit.database.read() as session:
        return session.scalar(select(func.count()).select_from(row))


def test_moderators_and_leads_work_reports_and_others_are_turned_away(log_in, honest):
    for login, status in {"mo": 200, "lea": 200, "cy": 403, "ada": 403, "aud": 403}.items():
        visitor = log_in(login)
        assert [visitor.get(path).status for path in ("/reports", f"/reports/{honest}")] == [status] * 2


def test_reports_of_minors_are_for_specialists_alone_and_who_tries_is_noted(log_in, desk, send):
    minors = send(kind="words", lane="specialist", details=Details(contact="a@example.org", words="My son is 14."))
    mo, lea = log_in("mo"), log_in("lea")
    assert "Minors" not in text_of(mo.get("/reports"))
    assert mo.get(f"/reports/{minors}").status == 403
    assert press(mo, minors, "begin", page="/reports").status == 403
    noted = desk.audit.find(AuditFilter(f"/reports/{minors}", action="forbidden"))
    assert [one.details for one in noted] == [{"role": "moderator", "lane": "specialist"}] * 2
    begin(lea, minors)
    page = said(lea, minors)
    assert "My son is 14." in page and "Protect this person" not in page and "Close the report" in page


def test_the_list_tells_what_waits_how_old_and_what_is_new(log_in, clock, desk, honest, send):
    mo = log_in("mo")
    send(kind="hashes", hashes=[picture_hash(1)], language="zh_Hans", lane="platform")
    clock.pass_by(hours=25)
    mo = log_in("mo")
    page = text_of(mo.get("/reports"))
    assert "Reports 2 waiting" in page, "the navigation tells how many wait"
    number = desk.report_reading.get(honest).number
    assert re.search(rf"{number} Photos English 1 day ago late Waits", page)
    assert "Photos that stayed with them 简体中文" in page
    desk.report_messages.write(honest, "Is there news?")
    assert "1 new message" in text_of(mo.get("/reports"))


def test_nothing_of_the_person_is_shown_before_somebody_says_that_they_check_it(mo, desk, honest):
    page = said(mo, honest)
    assert "Begin to check" in page and "dating.example" not in page and "acct-mara" not in page
    photo = desk.report_reading.photo_ids(honest, "face")[0]
    assert mo.get(f"/reports/{honest}/photo/{photo}/face.jpg").status == 410
    assert mo.get(f"/reports/{honest}/likeness").status == 410
    assert press(mo, honest, "approve", SEEN).status == 410
    begin(mo, honest)
    assert "dating.example" in said(mo, honest)
    assert desk.report_reading.get(honest).state == "checking"


def test_pictures_are_served_to_who_works_the_lane_kept_by_no_browser_and_noted_once(log_in, desk, honest, send):
    mo = log_in("mo")
    begin(mo, honest)
    photo = desk.report_reading.photo_ids(honest, "face")[0]
    challenge = desk.report_reading.photo_ids(honest, "challenge")[0]
    paths = [
        f"/reports/{honest}/{kind}/{one}/{name}.jpg"
        for kind, one in (("photo", photo), ("challenge", challenge))
        for name in ("face", "photo")
    ]
    for path in paths * 2:
        answer = mo.get(path)
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "private, no-store")
        assert answer.data.startswith(b"\xff\xd8")
    seen = desk.audit.find(AuditFilter(honest, action="face_viewed"))
    assert {one.details["photo_id"]: one.details["picture"] for one in seen} == {photo: "photo", challenge: "challenge"}
    assert len(seen) == 2
    assert log_in("cy").get(paths[0]).status == 403
    other = send(report_photo(5, FACE), challenge=challenge_photo(FACE))
    assert mo.get(paths[0].replace(honest, other)).status == 410


@pytest.mark.parametrize("what", ["photo", "challenge", "report"])
def test_nothing_of_a_report_is_shown_before_the_view_is_noted(mo, clock, desk, honest, monkeypatch, what):
    begin(mo, honest)
    clock.pass_by(minutes=15)  # another look at the report is a new one
    action, path = "report_viewed", f"/reports/{honest}"
    if what != "report":
        one = desk.report_reading.photo_ids(honest, "face" if what == "photo" else what)[0]
        action, path = "face_viewed", f"{path}/{what}/{one}/face.jpg"

    def noted():
        return len(desk.audit.find(AuditFilter(honest, action=action)))

    before = noted()
    before_noting(monkeypatch, desk.audit, action, no_database)
    assert (mo.get(path).status, noted()) == (503, before)
    assert (mo.get(path).status, noted()) == (200, before + 1)
    assert (mo.get(path).status, noted()) == (200, before + 1)


def test_how_to_reach_the_reporter_is_shown_on_demand_and_noted(mo, desk, honest):
    begin(mo, honest)
    assert "mara@example.org" not in said(mo, honest)
    assert "mara@example.org" in said(mo, honest, "?contact=true")
    newest, *_ = desk.audit.find(AuditFilter(honest, action="report_viewed"))
    assert newest.details == {"what": "contact"}


def test_likeness_is_told_after_the_judgement_and_in_words(mo, honest):
    begin(mo, honest)
    assert "What the comparison says" not in said(mo, honest)
    judged = said(mo, honest, "?judgement=approve")
    assert judged.count("More alike than look-alikes usually are.") >= 2
    assert "What the comparison says" in text_of(mo.get(f"/reports/{honest}/likeness"))


def test_an_honest_report_is_approved_and_the_person_is_in_the_gallery(log_in, desk, honest):
    mo = log_in("mo")
    begin(mo, honest)
    page = said(mo, honest)
    assert CODE in page and "This may be somebody else’s face" not in page
    assert place_of(press(mo, honest, "approve", SEEN)) == "/reports?done=protecting"
    report = desk.report_reading.get(honest)
    (identity,) = desk.gallery.list_identities()
    assert (report.state, identity.id, identity.name) == ("protecting", report.identity_id, report.number)
    page = said(mo, honest)
    assert "Protected" in page and "Waits its turn" in page
    photo_paths = re.findall(r"/reports/\S+\.jpg", mo.get(f"/reports/{honest}").data.decode())
    assert photo_paths == []
    assert log_in("cy").get(f"/identity/{report.identity_id}").status == 200


def test_who_reports_another_persons_photos_is_shown_in_red_and_refused(mo, desk, abusive):
    begin(mo, abusive)
    page = mo.get(f"/reports/{abusive}")
    assert 'class="message bad"' in page.data.decode()
    assert "This may be somebody else’s face. The faces in photos 1, 2 are not like" in text_of(page)
    refused = press(mo, abusive, "approve", SEEN)
    assert refused.status == 409 and "not like that of the challenge photo" in text_of(refused)
    assert press(mo, abusive, "refuse").status == 422
    assert place_of(press(mo, abusive, "refuse", {"reason": "abusive", "text": "Report your own photos only."}))
    assert desk.report_reading.get(abusive).reason == "abusive"
    assert count(desk, IdentityRow) == count(desk, OutboxEntry) == 0
    assert desk.report_reading.photo_ids(abusive, "face") == desk.report_reading.photo_ids(abusive, "challenge") == []
    assert [one.text for one in desk.report_messages.read(abusive)] == ["Report your own photos only."]
    assert "Report your own photos only." in said(mo, abusive)


def test_the_photo_of_another_is_left_out_and_the_rest_approved(mo, desk, send):
    mixed = send(report_photo(1, FACE), report_photo(2, unit_vector(9)), challenge=challenge_photo(FACE))
    begin(mo, mixed)
    assert "The face in photo 2 is not like" in said(mo, mixed)
    other = desk.report_reading.photo_ids(mixed, "face")[1]
    assert place_of(press(mo, mixed, "approve", (*SEEN, ("leave", other))))
    (identity,) = desk.gallery.list_identities()
    assert identity.references == 1


def test_somebody_who_is_sure_may_approve_all_the_same(mo, desk, abusive):
    begin(mo, abusive)
    assert place_of(press(mo, abusive, "approve", (*SEEN, ("despite", "true"))))
    assert len(desk.gallery.list_identities()) == 1


@pytest.mark.parametrize("seen", [(), (("seen", "face"),), (("seen", "code"),), (("seen", "checked"),)])
def test_nobody_is_protected_before_all_was_looked_at(mo, desk, honest, seen):
    begin(mo, honest)
    assert press(mo, honest, "approve", seen).status == 422
    assert desk.gallery.list_identities() == []


def test_without_a_challenge_photo_nobody_is_protected_unless_the_platform_says_how_it_made_sure(mo, desk, send):
    bare = send(report_photo(1, FACE))
    begin(mo, bare)
    assert "There is no challenge photo" in said(mo, bare)
    assert press(mo, bare, "approve", (*SEEN, ("seen", "checked"))).status == 409
    vouched = send(report_photo(1, FACE), lane="trusted_flagger", details=Details(checked="We met her at our office."))
    begin(mo, vouched)
    assert "We met her at our office." in said(mo, vouched)
    assert press(mo, vouched, "approve", SEEN).status == 422
    assert place_of(press(mo, vouched, "approve", {"seen": "checked"}))


@pytest.mark.parametrize(("read", "words"), [("HELLO", "Another text than the code"), (None, "No text was read")])
def test_what_the_machine_could_not_read_a_person_reads(mo, send, read, words):
    report = send(report_photo(1, FACE), challenge=challenge_photo(FACE, read))
    begin(mo, report)
    assert words in said(mo, report)


def test_whom_the_gallery_has_already_is_told_in_words_with_their_accounts(log_in, mo, desk, honest, send):
    desk.gallery.add_identity("Ana Example", "celebrity", ["acct-ana"], references=[report_photo(50, FACE)])
    begin(mo, honest)
    page = said(mo, honest)
    assert "This face is protected already, as Ana Example. More alike than look-alikes usually are." in page
    assert "acct-ana" in page and "Look at them" not in page
    assert "0." not in re.findall(r"This face is protected already.*?curator", page)[0]
    assert "Look at them" in said(log_in("lea"), honest)
    press(mo, honest, "approve", SEEN)
    again = send(report_photo(0, FACE), challenge=challenge_photo(FACE), details=Details(accounts=("acct-ana",)))
    begin(mo, again)
    page = said(mo, again)
    assert "perhaps the same person reported twice" in page and desk.report_reading.get(honest).number in page
    assert "A photo of this report is one of theirs." in page, "the same file was sent before"
    assert "acct-ana, which the reporter calls their own, belongs to Ana Example already" in page


def test_a_hash_that_the_gallery_has_already_is_told_too(mo, desk, send):
    known = report_photo(50, FACE)
    desk.gallery.add_identity("Ana Example", "celebrity", references=[known])
    hashes = [PictureHash(known.fingerprint.picture, 90, 400, 300)]
    report = send(kind="hashes", hashes=hashes)
    begin(mo, report)
    page = said(mo, report)
    assert "A photo of this report is one of theirs." in page and "nobody can see whose face is in them" in page
    assert press(mo, report, "approve", SEEN).status == 422
    assert place_of(press(mo, report, "approve", {"seen": "unseen_photos"}))


def test_a_minors_report_is_closed_with_words_for_them(log_in, desk, send):
    lea = log_in("lea")
    minors = send(kind="words", lane="specialist", details=Details(contact="a@example.org"))
    begin(lea, minors)
    assert "message_empty" in place_of(press(lea, minors, "close"))
    assert desk.report_reading.get(minors).state == "checking"
    assert press(lea, minors, "approve", SEEN).status == 422
    assert place_of(press(lea, minors, "close", {"text": "The platform has removed the account."}))
    assert desk.report_reading.get(minors).state == "closed"
    assert [one.text for one in desk.report_messages.read(minors)] == ["The platform has removed the account."]


def test_whoever_is_under_18_after_all_is_handed_to_the_specialists_and_reads_so(log_in, site, desk, honest):
    mo, lea, mia = log_in("mo"), log_in("lea"), log_in("mia")
    begin(mo, honest)
    assert "Hand it to the specialists" in said(mo, honest)
    photo = desk.report_reading.photo_ids(honest, "face")[0]
    assert press(mo, honest, "specialists").status == 422
    handed = press(mo, honest, "specialists", {"sign": "says_under_18", "text": "Somebody else answers you."})
    assert place_of(handed) == "/reports?done=specialists"
    page = text_of(mo.get("/reports?done=specialists"))
    assert "The specialists have the report." in page and desk.report_reading.get(honest).number not in page
    for late in ("approve", "refuse", "specialists"):
        assert press(mia, honest, late, (*SEEN, ("sign", "says_under_18")), page="/reports").status == 403
    assert press(lea, honest, "specialists", {"sign": "says_under_18"}, page="/reports").status == 409
    begin(lea, honest)
    assert lea.get(f"/reports/{honest}/photo/{photo}/photo.jpg").status == 410
    page = said(lea, honest)
    assert "Close the report" in page and "Protect this person" not in page and "Somebody else answers you." in page

    taken, reporter = desk.report_intake.renew_pin(honest, "system"), Visitor(site)
    reporter.post("/report/status", {"number": taken.number, "pin": taken.pin}, form_of="/report/status")
    page = text_of(reporter.get("/report/status"))
    assert "who works with reports about young people" in page and "Somebody else answers you." in page


def test_of_two_moderators_the_second_is_told_that_it_is_decided(log_in, mo, desk, honest):
    begin(mo, honest)
    mia = log_in("mia")
    assert "Also opened by Mo." in said(mia, honest)
    press(mo, honest, "refuse", {"reason": "no_proof"})
    late = press(mia, honest, "refuse", {"reason": "other"}, page="/reports")
    assert late.status == 409 and "Somebody has decided on this report" in text_of(late)
    assert desk.report_reading.get(honest).reason == "no_proof"


def test_messages_go_to_and_fro_without_names(mo, desk, honest):
    begin(mo, honest)
    desk.report_messages.write(honest, "When will you look?")
    assert "The reporter" in said(mo, honest) and "When will you look?" in said(mo, honest)
    assert "message_empty" in place_of(press(mo, honest, "message", {"text": " "}))
    assert place_of(press(mo, honest, "message", {"text": "Today."})) == f"/reports/{honest}?said=message"
    assert [one.text for one in desk.report_messages.read(honest)] == ["When will you look?", "Today."]


def test_cases_of_the_accounts_that_are_named_are_shown(mo, desk, honest):
    desk.cases.open(new_case(review(account_id="fake-mara")), None)
    desk.cases.open(new_case(review(account_id="acct-mara")), None)
    begin(mo, honest)
    assert len(re.findall(r'href="/case/[^"]+"', mo.get(f"/reports/{honest}").data.decode())) == 2


def test_a_report_that_does_not_exist_says_so(mo):
    assert mo.get("/reports/rpt_nobody").status == 404


def test_settings_say_who_works_reports(database, clock):
    desk = make_desk(database, clock, reports={"roles": ["lead"]})
    with running_site(desk) as address:
        mo = entering(desk, address, PEOPLE)("mo")
        assert "Reports" not in text_of(mo.get("/queue"))
        assert mo.get("/reports").status == 403
