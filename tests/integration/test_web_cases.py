"""A moderator's work over HTTP: queue, case, judgement, undo, search; who is shown what; what is away or too late."""

import json
import re
import uuid
from datetime import timedelta
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from records.casework.cases import CasePicture, NewCase
from records.casework.golden_copies import GoldenMix
from records.references import ReferencePhoto
from tests.support.clock import START
from tests.support.console_site import (
    MASTER,
    ask_at_once,
    before_noting,
    entering,
    make_desk,
    no_database,
    place_of,
    running_site,
    text_of,
)
from tests.support.portraits import jpeg
from web.console.face_crops import SIDE, FacePlace, face_crop

PEOPLE = {"mia": "moderator", "max": "moderator", "lea": "lead", "aud": "auditor"}
AVATAR_BOX, REFERENCE_BOX = [300, 200, 120, 150], [100, 80, 90, 110]


def picture(shade):
    """A picture of 800 x 600 pixels with a disc where its face is said to be."""
    pixels = np.full((600, 800, 3), shade, np.uint8)
    cv2.circle(pixels, (360, 275), 60, (200, 160, 140), -1)
    return jpeg(pixels)


def reference_photo(number):
    vector = np.zeros(8, np.float32)
    vector[number] = 1
    photo = picture(60 + number)
    return ReferencePhoto(f"press {number}", f"{number:064x}", photo, 800, 600, REFERENCE_BOX, 0.9, {"test@1": vector})


@pytest.fixture
def desk(database, clock):
    return make_desk(database, clock)


@pytest.fixture
def gallery(desk):
    """Ana, a celebrity with three references, and Eva, a victim with one."""
    records = desk.gallery
    ana = records.add_identity("Ana Example", "celebrity", references=[reference_photo(n) for n in range(3)])
    eva = records.add_identity("Eva Sample", "victim", references=[reference_photo(4)])
    references = {one: [each.id for each in records.show(one).references] for one in (ana, eva)}
    return SimpleNamespace(ana=ana, eva=eva, references=references)


@pytest.fixture
def log_in(site, desk):
    return entering(desk, site, PEOPLE)


@pytest.fixture
def mia(log_in):
    return log_in("mia")


def finding(identity_id, reference_id, **facts):
    plain = {"kind": "same_person", "priority": 60, "identity_id": identity_id, "identity_kind": "celebrity"}
    plain |= {"reference_id": reference_id, "similarity": 0.71, "threshold": 0.55, "face_box": [600, 400, 240, 300]}
    return plain | facts


@pytest.fixture
def open_case(desk, gallery, clock):
    """Opens a case, by default about Ana; gives its id. Uploads were twice as large as what is stored of them."""

    def make(*findings, shown=True, **facts):
        clock.pass_by(seconds=1)
        about = findings or (finding(gallery.ana, gallery.references[gallery.ana][0]),)
        evidence = {"findings": about, "faces": 1, "picture_width": 1600, "picture_height": 1200}
        evidence |= {"model_pack": "test@1", "threshold": 0.55, "sure_threshold": 0.6, "gallery_version": 3}
        case_id = str(uuid.uuid4())
        new = {"id": case_id, "event_id": f"event-{case_id}", "account_id": "acct-1", "handle": "ana_real"}
        new |= {"display_name": "Ana <3", "account_created_at": START - timedelta(days=3), "uploaded_at": START}
        new |= {"screened_at": START, "kind": about[0]["kind"], "identity_id": about[0].get("identity_id")}
        new |= {"identity_kind": about[0].get("identity_kind"), "priority": 50, "held": False}
        faces = {"avatar": [{"box": AVATAR_BOX, "landmarks": None}], "references": {}}
        stored = CasePicture(picture(120), faces) if shown else None
        assert desk.cases.open(NewCase(**new | {"evidence": json.dumps(evidence)} | facts), stored)
        return case_id

    return make


def start(visitor, **fields):
    """Presses Start; where it leads."""
    return place_of(visitor.post("/case/next", fields, form_of="/queue"))


def decide(visitor, case_id, decision="confirmed", reason="other", **fields):
    sent = {"decision": decision, "reason": reason} | fields
    return visitor.post(f"/case/{case_id}/decide", sent, form_of=f"/case/{case_id}")


def id_in(path):
    return re.search(r"/case/([0-9a-f-]{36})", path)[1]


def images_of(page):
    return re.findall(r'<img[^>]+src="([^"]+)"', page.data.decode())


def actions(desk, subject):
    """What the audit log says was done to the subject, oldest first."""
    return [entry.action for entry in reversed(desk.audit.read(subject=subject))]


def decided_as(desk, case_id):
    """The latest decision in the audit log, and what it says was judged first."""
    entry = next(one for one in desk.audit.read(subject=case_id) if one.action == "case_decided")
    return entry.details["decision"], entry.details.get("first_judgement")


def test_a_shift_goes_from_case_to_case_and_ends_at_the_queue(mia, open_case, desk):
    first, second = open_case(priority=90), open_case(priority=20)
    assert "2 cases wait" in text_of(mia.get("/queue"))
    assert id_in(start(mia)) == first
    onward = place_of(decide(mia, first))
    assert id_in(onward) == second
    assert "Decided: Impersonation." in text_of(mia.get(onward))
    end = place_of(decide(mia, second, "not_this_person", "different_face"))
    assert end.startswith("/queue?")
    page = text_of(mia.get(end))
    assert "Nothing is left for you here" in page
    assert "Decided: Not this person." in page
    assert actions(desk, first) == ["case_claimed", "case_decided"]


def test_a_queue_can_be_worked_alone(mia, open_case, gallery):
    open_case(priority=90)
    victim = open_case(
        finding(gallery.eva, gallery.references[gallery.eva][0], identity_kind="victim"),
        finding(gallery.ana, gallery.references[gallery.ana][0]),
        priority=10,
    )
    place = start(mia, queue="victims")
    assert id_in(place) == victim
    assert place.endswith("?queue=victims")
    assert place_of(decide(mia, victim, queue="victims")).startswith("/queue?")


def test_the_page_says_why_the_case_is_there_in_words(mia, open_case, gallery):
    ana = gallery.references[gallery.ana][0]
    case_id = open_case(
        finding(gallery.ana, ana, kind="look_alike_risk", runner_up={"identity_id": gallery.eva, "similarity": 0.7}),
        finding(gallery.ana, ana, kind="name_claim", name_claim={"field": "handle", "text": "ana_real"}),
        {"kind": "foreign_watermark", "priority": 30, "foreign_text": {"text": "@other", "box": [2, 4, 60, 20]}},
    )
    start(mia)
    page = text_of(mia.get(f"/case/{case_id}"))
    assert "Does this avatar show Ana Example?" in page
    assert "The face is like Ana Example’s, and nearly as like Eva Sample’s: compare with care." in page
    assert "The handle “ana_real” claims to be Ana Example, and the face is like theirs." in page
    assert "The picture carries the mark “@other”" in page
    assert "Ana <3" in page
    assert "3 days ago" in page


def test_no_similarity_is_shown_before_the_first_judgement(mia, open_case):
    case_id = open_case()
    start(mia)
    assert "0.71" not in mia.get(f"/case/{case_id}").data.decode()
    judged = text_of(mia.get(f"/case/{case_id}?judgement=confirmed"))
    assert "More alike than look-alikes usually are." in judged
    assert "0.71" in judged
    assert "0.71" in text_of(mia.get(f"/case/{case_id}/likeness?judgement=not_this_person"))


@pytest.mark.parametrize("road", ["?judgement={}", "?suspect=1&judgement={}", "/likeness?judgement={}"])
def test_what_was_judged_before_the_number_was_seen_is_in_the_audit_log(mia, open_case, desk, road):
    case_id = open_case()
    start(mia)
    mia.get(f"/case/{case_id}")
    for judgement in ("confirmed", "confirmed", "not_this_person"):  # Judge anew is a link
        assert "0.71" in text_of(mia.get(f"/case/{case_id}" + road.format(judgement)))
        mia.get(f"/case/{case_id}")
    decide(mia, case_id, "not_this_person", "look_alike", first="not_this_person")
    noted = [one.details for one in desk.audit.read(subject=case_id) if one.action == "likeness_shown"]
    assert noted == [{"judgement": "confirmed"}]
    assert decided_as(desk, case_id) == ("not_this_person", "confirmed")


def test_the_number_is_not_told_for_what_is_no_judgement_and_no_such_text_reaches_the_log(mia, open_case, desk):
    case_id = open_case()
    start(mia)
    for judgement in ("", "?judgement=", "?judgement=Ana+Example", "?judgement=skip"):
        refused = mia.get(f"/case/{case_id}/likeness{judgement}", Accept="application/json")
        assert (refused.status, b"0.71" in refused.data) == (422, False)
        page = mia.get(f"/case/{case_id}{judgement}")
        assert (page.status, b"0.71" in page.data) == (200, False)
    decide(mia, case_id, first="Ana Example")
    assert actions(desk, case_id) == ["case_claimed", "case_decided"]
    assert decided_as(desk, case_id) == ("confirmed", None)


def test_where_the_number_is_shown_at_once_no_judgement_is_noted(database, clock, open_case):
    desk = make_desk(database, clock, console={"judge_first": False})
    with running_site(desk) as address:
        mia, case_id = entering(desk, address, PEOPLE)("mia"), open_case()
        start(mia)
        for path in ("", "?judgement=confirmed", "/likeness", "/likeness?judgement=Ana+Example"):
            assert "0.71" in text_of(mia.get(f"/case/{case_id}{path}"))
        decide(mia, case_id)
    assert actions(desk, case_id) == ["case_claimed", "case_decided"]
    assert decided_as(desk, case_id) == ("confirmed", None)


def test_the_number_is_not_told_when_the_judgement_cannot_be_noted(mia, open_case, desk, monkeypatch):
    case_id = open_case()
    start(mia)
    for path in ("?judgement=confirmed", "/likeness?judgement=confirmed"):
        monkeypatch.setattr(desk.audit, "append_in", lambda *_: no_database())
        away = mia.get(f"/case/{case_id}{path}")
        assert (away.status, b"0.71" in away.data) == (503, False)


def test_only_who_holds_the_case_is_served_its_pictures_and_leads_once_it_is_decided(mia, log_in, open_case):
    case_id = open_case()
    start(mia)
    pictures = images_of(mia.get(f"/case/{case_id}"))
    assert len(pictures) >= 4
    visitors = {login: log_in(login) for login in ("lea", "max", "aud")} | {"mia": mia}

    def served():
        return {login: {one.get(path).status for path in pictures} for login, one in visitors.items()}

    assert served() == {"mia": {200}, "lea": {409}, "max": {409}, "aud": {403}}
    for login in ("lea", "max"):
        assert not images_of(visitors[login].get(f"/case/{case_id}"))
        revealed = visitors[login].post(f"/case/{case_id}/revealed", form_of=f"/case/{case_id}")
        assert revealed.status == 409
    mia.post(f"/case/{case_id}/release", form_of=f"/case/{case_id}")
    assert served() == {"mia": {409}, "lea": {409}, "max": {409}, "aud": {403}}, "nobody holds it"
    mia.post(f"/case/{case_id}/claim", form_of=f"/case/{case_id}")
    decide(mia, case_id)
    assert served() == {"mia": {409}, "lea": {200}, "max": {409}, "aud": {403}}
    assert images_of(visitors["lea"].get(f"/case/{case_id}"))


def test_pictures_are_kept_by_no_browser_and_each_is_noted_once_a_claim(mia, open_case, desk):
    case_id = open_case()
    start(mia)
    face, reference = images_of(mia.get(f"/case/{case_id}"))[:2]
    for path in (face, face, reference, f"/case/{case_id}/avatar.jpg"):
        answer = mia.get(path)
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers["Content-Type"] == "image/jpeg"
    views = [entry for entry in desk.audit.read(subject=case_id) if entry.action == "face_viewed"]
    assert sorted(one.details["picture"] for one in views) == ["avatar", "reference"]
    assert all(one.details.keys() == {"picture"} for one in views), "which photo would tell whom the case was about"
    decision_id = place_of(decide(mia, case_id)).rpartition("after=")[2].partition("&")[0]
    mia.post(f"/decision/{decision_id}/undo", form_of="/queue")
    mia.get(face)
    assert actions(desk, case_id).count("face_viewed") == 3


def test_a_face_is_not_served_before_its_view_is_noted(mia, open_case, desk, monkeypatch):
    case_id = open_case()
    start(mia)
    for face in images_of(mia.get(f"/case/{case_id}"))[:2]:
        noted = actions(desk, case_id).count("face_viewed")
        before_noting(monkeypatch, desk.audit, "face_viewed", no_database)
        assert mia.get(face).status == 503
        assert actions(desk, case_id).count("face_viewed") == noted
        assert [mia.get(face).status for _ in range(2)] == [200, 200]
        assert actions(desk, case_id).count("face_viewed") == noted + 1


def test_a_face_that_is_asked_for_twice_at_once_is_noted_once_and_not_served_before(mia, open_case, desk, monkeypatch):
    case_id = open_case()
    start(mia)
    first, second = images_of(mia.get(f"/case/{case_id}"))[:2]
    assert ask_at_once(mia, first, desk.audit, "face_viewed", monkeypatch) == (200, 200, 0)
    assert actions(desk, case_id).count("face_viewed") == 1
    assert ask_at_once(mia, second, desk.audit, "face_viewed", monkeypatch, fail=True) == (503, 200, 0)
    assert actions(desk, case_id).count("face_viewed") == 2


def test_a_reference_of_another_person_is_not_served_through_the_case(mia, open_case, gallery):
    case_id = open_case()
    start(mia)
    elsewhere = gallery.references[gallery.eva][0]
    assert mia.get(f"/case/{case_id}/reference/{elsewhere}/face.jpg").status == 410


def test_showing_a_picture_clearly_is_noted(mia, open_case, desk):
    case_id = open_case()
    start(mia)
    assert "blurred" in mia.get(f"/case/{case_id}").data.decode()
    shown = place_of(mia.post(f"/case/{case_id}/revealed", form_of=f"/case/{case_id}"))
    assert re.search(r'<main[^>]+class="[^"]*\bclear\b', mia.get(shown).data.decode())
    assert "picture_revealed" in actions(desk, case_id)


def test_a_face_is_cut_out_where_the_upload_had_it(mia, open_case):
    case_id = open_case()
    start(mia)
    crop = cv2.imdecode(np.frombuffer(mia.get(f"/case/{case_id}/face.jpg").data, np.uint8), cv2.IMREAD_COLOR)
    assert crop.shape == (SIDE, SIDE, 3)
    middle = crop[SIDE // 2 - 20 : SIDE // 2 + 20, SIDE // 2 - 20 : SIDE // 2 + 20].mean(axis=(0, 1))
    assert np.abs(middle - (140, 160, 200)).max() < 12  # the disc's colour, blue first
    marks = mia.get(f"/case/{case_id}/avatar.svg").data.decode()
    assert 'viewBox="0 0 800 600"' in marks
    assert 'x="300.0" y="200.0" width="120.0" height="150.0"' in marks


def test_aligned_faces_have_the_same_size_and_stand_upright(engine, portraits):
    eyes = []
    for name in ("person_a_1.jpg", "person_a_2.jpg"):
        photo = portraits[name].read_bytes()
        found = engine.detect(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1])
        place = FacePlace(tuple(found.boxes[0]), tuple(map(tuple, found.landmarks[0])))
        crop = cv2.imdecode(np.frombuffer(face_crop(photo, place), np.uint8), cv2.IMREAD_COLOR)
        right, left = engine.detect(np.ascontiguousarray(crop[:, :, ::-1])).landmarks[0][:2]
        eyes.append(left - right)
    widths = [eye[0] for eye in eyes]
    assert max(widths) / min(widths) < 1.12
    assert all(abs(eye[1]) < 0.08 * eye[0] for eye in eyes)


def test_a_decision_can_be_undone_until_the_platform_is_told(mia, open_case, desk, clock):
    case_id = open_case()
    start(mia)
    decision_id = re.search("after=([^&]+)", place_of(decide(mia, case_id)))[1]
    back = mia.post(f"/decision/{decision_id}/undo", form_of="/queue")
    assert id_in(place_of(back)) == case_id
    assert "Your judgement" in text_of(mia.get(f"/case/{case_id}"))
    decision_id = re.search("after=([^&]+)", place_of(decide(mia, case_id)))[1]
    clock.pass_by(seconds=31)
    late = mia.post(f"/decision/{decision_id}/undo", form_of="/queue")
    assert late.status == 409
    assert "It is too late to undo this" in text_of(late)
    assert actions(desk, case_id).count("decision_undone") == 1


def test_a_decision_without_a_reason_is_refused_and_the_case_stays(mia, open_case):
    case_id = open_case()
    start(mia)
    refused = decide(mia, case_id, reason="")
    assert refused.status == 422
    assert "choose a reason" in text_of(refused)
    assert "Your judgement" in text_of(mia.get(f"/case/{case_id}"))


def test_a_form_that_is_sent_twice_decides_once(mia, open_case, desk):
    case_id = open_case()
    start(mia)
    decide(mia, case_id)
    again = decide(mia, case_id, "bad_picture")
    assert again.status == 409
    assert "no longer yours" in text_of(again)
    assert [made.decision for made in desk.decisions.history(case_id)] == ["confirmed"]


def test_who_has_lost_the_claim_is_told_and_offered_the_next_case(mia, log_in, open_case, clock):
    case_id = open_case()
    start(mia)
    assert mia.post(f"/case/{case_id}/renew", form_of=f"/case/{case_id}").status == 200
    clock.pass_by(minutes=6)
    assert id_in(start(log_in("max"))) == case_id
    lost = mia.post(f"/case/{case_id}/renew", form_of=f"/case/{case_id}", Accept="application/json")
    assert lost.status == 409
    page = text_of(mia.get(f"/case/{case_id}?lost=true"))
    assert "no longer in your hands" in page
    assert "Take the next case" in page
    assert decide(mia, case_id).status == 409


def test_a_skipped_case_goes_to_somebody_else(mia, log_in, open_case, desk):
    case_id = open_case()
    start(mia)
    gone = mia.post(f"/case/{case_id}/skip", {"reason": "distressing"}, form_of=f"/case/{case_id}")
    assert place_of(gone).startswith("/queue?")
    assert id_in(start(log_in("max"))) == case_id
    assert "case_skipped" in actions(desk, case_id)


def test_a_case_that_is_given_back_is_free(mia, log_in, open_case):
    case_id = open_case()
    start(mia)
    assert place_of(mia.post(f"/case/{case_id}/release", form_of=f"/case/{case_id}")) == "/queue"
    assert id_in(start(log_in("max"))) == case_id


def test_a_particular_case_can_be_taken_unless_somebody_has_it(mia, log_in, open_case):
    open_case(priority=90)
    wanted = open_case(priority=10)
    assert "Take this case" in text_of(mia.get(f"/case/{wanted}"))
    assert id_in(place_of(mia.post(f"/case/{wanted}/claim", form_of=f"/case/{wanted}"))) == wanted
    taken = log_in("max").post(f"/case/{wanted}/claim", form_of=f"/case/{wanted}")
    assert taken.status == 409
    assert "Somebody else works on this case" in text_of(taken)


def test_a_case_is_offered_to_those_alone_who_may_take_it(mia, log_in, open_case, desk, clock):
    case_id = open_case()
    max_, lea = log_in("max"), log_in("lea")

    def offered_to():
        path, everybody = f"/case/{case_id}", {"mia": mia, "max": max_, "lea": lea}
        return {name for name, one in everybody.items() if "Take this case" in text_of(one.get(path))}

    assert offered_to() == {"mia", "max", "lea"}
    start(mia)
    assert offered_to() == set(), "it is in Mia's hands"
    decide(mia, case_id)
    clock.pass_by(seconds=31)
    assert desk.decisions.finish_due() == 1
    desk.appeals.receive(case_id, "This is me.", desk.moderators.by_login("lea").id)
    assert offered_to() == {"max", "lea"}, "Mia has decided on it"


def test_the_second_pair_of_eyes_does_not_see_what_the_first_decided(mia, log_in, open_case, gallery):
    case_id = open_case(finding(gallery.eva, gallery.references[gallery.eva][0], identity_kind="victim"))
    start(mia)
    assert "Here a second person judges too" in text_of(mia.get(f"/case/{case_id}"))
    decide(mia, case_id, "confirmed", "same_photo", note="plainly stolen")
    second = log_in("max")
    assert id_in(start(second)) == case_id
    page = text_of(second.get(f"/case/{case_id}"))
    assert "Second pair of eyes" in page
    assert "plainly stolen" not in page
    assert "Decisions on this case" not in page


def test_earlier_cases_say_how_they_ended(mia, open_case):
    earlier, other = open_case(priority=90), open_case(priority=20)
    start(mia)
    decide(mia, earlier, "genuine_owner", "verified_before")
    page = mia.get(f"/case/{other}")
    assert f"/case/{earlier}" in page.data.decode()
    assert re.search("Other cases of this account Same person .{1,40} Genuine owner", text_of(page))


def test_how_alike_the_faces_are_is_told_to_who_holds_the_case_and_to_leads_once_it_is_decided(mia, log_in, open_case):
    case_id = open_case()
    start(mia)
    path, everybody = f"/case/{case_id}/likeness?judgement=confirmed", (mia, log_in("lea"), log_in("max"))
    assert [one.get(path).status for one in everybody] == [200, 409, 409]
    onlooker = everybody[1].get(f"/case/{case_id}?judgement=confirmed")
    assert (onlooker.status, b"0.71" in onlooker.data) == (200, False), "the lead may have to judge it yet"
    decide(mia, case_id)
    assert [one.get(path).status for one in everybody] == [409, 200, 409]


def test_a_lead_is_told_who_works_on_a_case_and_others_are_not(mia, log_in, open_case):
    case_id = open_case()
    start(mia)
    assert "Mia works on this case" in text_of(log_in("lea").get(f"/case/{case_id}"))
    assert "Mia works" not in text_of(log_in("max").get(f"/case/{case_id}"))


def test_what_others_wrote_is_hidden_from_the_second_reviewer_until_the_case_is_closed(
    mia, log_in, open_case, gallery, desk, clock
):
    about_eva = finding(gallery.eva, gallery.references[gallery.eva][0], identity_kind="victim")
    case_id = open_case(about_eva)
    path = f"/case/{case_id}"
    start(mia)
    mia.post(f"{path}/comment", {"text": "Clearly her."}, form_of=path)
    decide(mia, case_id)
    mia.post(f"{path}/comment", {"text": "I confirmed it."}, form_of=path)
    second = log_in("max")
    start(second)

    def read_by(visitor):
        said = text_of(visitor.get(path))
        return "Clearly her." in said, "I confirmed it." in said

    assert read_by(second) == (False, False)
    assert read_by(mia) == (True, True), "her own"
    decide(second, case_id)
    assert read_by(second) == (False, False), "the decision can be taken back still"
    clock.pass_by(seconds=30)
    desk.decisions.finish_due()
    assert read_by(second) == (True, True)


def test_nobody_who_works_on_a_test_finds_its_answer_in_other_cases_or_at_its_sources_address(
    mia, log_in, open_case, gallery, desk, clock
):
    source, other = (open_case(finding(gallery.ana, gallery.references[gallery.ana][0])) for _ in range(2))
    max_, lea = log_in("max"), log_in("lea")
    start(max_)
    decide(max_, source)
    max_.post(f"/case/{other}/release", form_of=f"/case/{other}")
    clock.pass_by(seconds=30)
    desk.decisions.finish_due()
    lea.post(f"/case/{source}/golden", {"expected": "confirmed", "why": "It is her."}, form_of=f"/case/{source}")
    desk.claims._golden = GoldenMix(MASTER, 1.0)
    copy = id_in(start(mia))
    assert copy not in (source, other)
    assert f"/case/{source}" in max_.get(f"/case/{other}").data.decode()
    page = mia.get(f"/case/{other}")
    assert f"/case/{source}" not in page.data.decode() and f"/case/{copy}" in page.data.decode()
    assert place_of(mia.get(f"/case/{source}")) == f"/case/{copy}"
    assert f"/case/{copy}" in mia.get(f"/search?q={copy}").data.decode()


def test_a_decision_is_called_final_only_once_it_is(mia, open_case, desk, clock):
    case_id = open_case()
    start(mia)
    decide(mia, case_id)
    clock.pass_by(seconds=30)
    assert "Being sent" in text_of(mia.get("/queue"))
    desk.decisions.finish_due()
    assert "Final" in text_of(mia.get("/queue"))


def test_comments_are_for_all_who_see_the_case_and_noted_without_their_text(mia, log_in, open_case, desk):
    case_id = open_case()
    start(mia)
    for text in ("see <b>acct-9</b>, too", "  "):
        mia.post(f"/case/{case_id}/comment", {"text": text}, form_of=f"/case/{case_id}")
    (noted,) = [one for one in desk.audit.read(case_id) if one.action == "case_commented"]
    assert noted.details == {}
    page = text_of(log_in("max").get(f"/case/{case_id}"))
    assert "Mia" in page
    assert "see <b>acct-9</b>, too" in page


def test_a_case_whose_picture_is_gone_can_still_be_decided(mia, open_case, clock, desk):
    case_id = open_case()
    clock.pass_by(days=desk.settings.console.picture_days + 1)
    mia.log_in("mia")
    start(mia)
    assert "The avatar is not here any more" in text_of(mia.get(f"/case/{case_id}"))
    assert mia.get(f"/case/{case_id}/face.jpg").status == 410
    assert "Pictures are kept for a limited time" in text_of(mia.get(f"/case/{case_id}/avatar.jpg"))
    assert place_of(decide(mia, case_id, "bad_picture")).startswith("/queue")


def test_a_case_about_somebody_who_was_erased_meanwhile_is_closed_and_says_so(mia, open_case, gallery, desk):
    case_id = open_case()
    start(mia)
    reference = images_of(mia.get(f"/case/{case_id}"))[1]
    assert mia.get(reference).status == 200
    desk.gallery.remove_identity(gallery.ana)
    assert mia.get(reference).status == 409  # the case is in nobody's hands; and not from memory either
    page = text_of(mia.get(f"/case/{case_id}"))
    assert "Ana Example" not in page
    assert "has been erased from the gallery" in page
    answer = decide(mia, case_id, "bad_picture")
    assert answer.status == 409, "nobody is left to decide about"
    assert desk.cases.get(case_id).state == "closed"


def test_a_decision_is_about_the_person_that_the_page_shows(mia, open_case, gallery, desk):
    case_id = open_case(
        finding(gallery.ana, gallery.references[gallery.ana][0]),
        finding(gallery.eva, gallery.references[gallery.eva][0], priority=40),
    )
    start(mia)
    page = mia.get(f"/case/{case_id}?suspect=1")
    assert "Does this avatar show Eva Sample?" in text_of(page)
    shown = re.search('name="identity" value="([^"]+)"', page.data.decode())[1]
    decide(mia, case_id, identity=shown)
    assert [made.identity_id for made in desk.decisions.history(case_id)] == [gallery.eva]


def test_a_lead_takes_what_was_escalated_and_cannot_escalate_it_again(mia, log_in, open_case):
    case_id = open_case()
    start(mia)
    decide(mia, case_id, "escalated", "unsure")
    lead = log_in("lea")
    assert id_in(start(lead)) == case_id
    page = lead.get(f"/case/{case_id}")
    assert "For a lead" in text_of(page)
    assert 'value="escalated"' not in page.data.decode()


def test_cases_are_found_by_what_the_platform_calls_them_and_the_search_is_noted(mia, open_case, gallery, desk):
    case_id = open_case()
    for text in ("acct-1", f"event-{case_id}", gallery.ana, case_id, f" {case_id[:8]} "):
        assert f"/case/{case_id}" in mia.get(f"/search?q={text.replace(' ', '+')}").data.decode()
    assert "Nothing was found" in text_of(mia.get("/search?q=nobody"))
    noted = [(entry.subject, entry.details) for entry in desk.audit.read() if entry.action == "search"]
    assert [details.get("by") for _, details in noted[::-1]] == [
        ["account"],
        ["event"],
        ["identity"],
        ["case"],
        ["case"],
        None,
    ]
    assert [(subject, details["found"]) for subject, details in noted] == [("cases", 0)] + 5 * [(case_id, 1)]


def test_the_log_that_is_never_erased_keeps_nothing_of_what_was_searched_for(mia, open_case, gallery, desk):
    for _ in range(2):
        open_case()
    for text in ("acct-1", gallery.ana, "acct-mara", "Mara Sample", "mara@example.org"):
        mia.get(f"/search?q={text.replace(' ', '+')}")
    kept = [(entry.subject, entry.details) for entry in desk.audit.read() if entry.action == "search"]
    by = [("cases", {"by": [one], "found": 2}) for one in ("identity", "account")]
    assert kept == 3 * [("cases", {"found": 0})] + by, "nor which cases it led to: one would tell whom another is about"


def test_an_unknown_case_says_how_to_find_it(mia):
    page = mia.get(f"/case/{uuid.uuid4()}")
    assert page.status == 404
    assert "Search for it by account" in text_of(page)


def test_cases_are_for_those_who_work_them(log_in, open_case):
    case_id = open_case()
    auditor = log_in("aud")
    assert {auditor.get(path).status for path in ("/queue", f"/case/{case_id}", "/search?q=acct-1")} == {403}


def test_the_queue_tells_what_is_late(mia, open_case, clock):
    open_case()
    clock.pass_by(days=2)
    mia.log_in("mia")
    assert re.search(r"Faces Waiting 1 In work 0 Late 1 Oldest 2 days ago late", text_of(mia.get("/queue")))


def test_the_case_that_comes_next_stays_free(mia, log_in, open_case):
    first, second = open_case(priority=90), open_case(priority=20)
    start(mia)
    mia.get(f"/case/{first}")
    assert mia.get(f"/case/{second}/face.jpg").status == 409
    assert id_in(start(log_in("max"))) == second


def test_pages_are_in_chinese_for_those_who_read_it(site, mia, open_case):
    case_id = open_case()
    start(mia)
    page = mia.get(f"/case/{case_id}", Accept_Language="zh-CN")
    assert "该头像是Ana Example吗？" in text_of(page)
    assert "您的判断" in text_of(page)
