"""The gallery's pages over HTTP: who may look and change, adding people from real photos, suspending, erasing."""

import io
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import insert, select

from config import load_settings
from consumers.gallery_mirror import GalleryMirror
from consumers.open_detector import open_watched_looking
from detector.index import GalleryIndex
from likeness.console_enrolling import open_enrolling
from records.audit import AuditFilter
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.gallery import GalleryRecords
from records.references import ReferencePhoto
from records.schema import OutboxEntry
from tests.support.clock import START
from tests.support.console_site import (
    MASTER,
    PASSWORD,
    Visitor,
    ask_at_once,
    before_noting,
    entering,
    hidden_fields,
    make_desk,
    no_database,
    place_of,
    running_site,
    text_of,
)
from web.headers import FORM_BYTES

PEOPLE = {"cy": "curator", "lea": "lead", "ada": "administrator", "mo": "moderator", "aud": "auditor"}


def picture(shade=90):
    encoded = io.BytesIO()
    Image.new("RGB", (400, 300), (shade, 120, 150)).save(encoded, "JPEG")
    return encoded.getvalue()


def reference_photo(number):
    vector = np.zeros(128, np.float32)
    vector[number] = 1
    return ReferencePhoto(
        f"press {number}", f"{number:064x}", picture(number), 400, 300, (9, 9, 90, 90), 0.9, {"x@1": vector}
    )


@pytest.fixture
def desk(database, clock):
    return make_desk(database, clock)


@pytest.fixture
def log_in(desk, site):
    return entering(desk, site, PEOPLE)


@pytest.fixture
def ana(desk):
    return desk.gallery.add_identity("Ana Example", "celebrity", references=[reference_photo(n) for n in range(2)])


def press(visitor, identity_id, path, **fields):
    return visitor.post(f"/identity/{identity_id}/{path}", fields, form_of=f"/identity/{identity_id}")


def newest_change(desk, identity_id):
    """Whether the newest change of the identity that waits to be published is a tombstone."""
    changes = select(OutboxEntry.value).where(OutboxEntry.key == identity_id).order_by(OutboxEntry.sequence.desc())
    with desk.audit.database.read() as session:
        return "erased" if session.scalars(changes.limit(1)).one() is None else "state"


def test_curators_leads_and_administrators_come_in_and_others_are_turned_away(log_in, ana):
    for login, status in {"cy": 200, "lea": 200, "ada": 200, "mo": 403, "aud": 403}.items():
        visitor = log_in(login)
        assert [visitor.get(path).status for path in ("/identities", f"/identity/{ana}")] == [status] * 2


def test_only_who_works_with_faces_is_shown_photos_and_each_first_look_is_noted(log_in, desk, ana):
    reference = desk.gallery.show(ana).references[0].id
    photos = [f"/identity/{ana}/reference/{reference}/{name}.jpg" for name in ("face", "photo")]
    assert [log_in("ada").get(path).status for path in photos] == [403, 403]
    cy = log_in("cy")
    for path in photos * 2:
        answer = cy.get(path)
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "private, no-store")
        assert answer.data.startswith(b"\xff\xd8")
    (seen,) = desk.audit.find(AuditFilter(ana, action="face_viewed"))
    assert seen.details == {"picture": "reference", "reference_id": reference}


def test_a_photo_is_not_served_before_its_view_is_noted(log_in, desk, ana, monkeypatch):
    photo = f"/identity/{ana}/reference/{desk.gallery.show(ana).references[0].id}/face.jpg"
    cy = log_in("cy")

    def noted():
        return len(desk.audit.find(AuditFilter(ana, action="face_viewed")))

    before_noting(monkeypatch, desk.audit, "face_viewed", no_database)
    assert (cy.get(photo).status, noted()) == (503, 0)
    assert ask_at_once(cy, photo, desk.audit, "face_viewed", monkeypatch) == (200, 200, 0)
    assert (cy.get(photo).status, noted()) == (200, 1)


def test_people_are_found_by_name_id_kind_and_state_page_by_page(log_in, desk, ana):
    for number in range(60):
        desk.gallery.add_identity(f"Person {number:02}", "victim" if number % 2 else "celebrity")
    quiet = desk.gallery.find_identity("Person 07").id
    desk.gallery.set_suspended(quiet, True)
    cy = log_in("cy")
    first = cy.get("/identities")
    following = re.search(r'href="(/identities\?[^"]*last=[^"]*)"', first.data.decode())[1].replace("&amp;", "&")
    names = [re.findall(r"Person \d\d|Ana Example", text_of(page)) for page in (first, cy.get(following))]
    assert [len(one) for one in names] == [50, 11]
    assert sorted(names[0] + names[1]) == names[0] + names[1] and len(set(names[0] + names[1])) == 61
    found = {
        "q=son+0": 10,
        f"q={ana}": 1,
        "q=%25": 0,
        "kind=victim&q=son+0": 5,
        "state=suspended": 1,
        "state=quarantined": 0,
    }
    for query, count in found.items():
        assert len(re.findall(r'scope="row"', cy.get(f"/identities?{query}").data.decode())) == count, query


def lead_cases(desk, identity_id, reference_id, *decisions):
    """Closed cases that the reference led to, by what was decided."""
    decider = desk.moderators.list()[0].id
    with desk.audit.database.write() as session:
        for decision in decisions:
            case_id = str(uuid.uuid4())
            facts = {"event_id": case_id, "account_id": "a", "screened_at": START, "opened_at": START, "queue": "faces"}
            facts |= {"kind": "same_person", "identity_id": identity_id, "reference_id": reference_id, "priority": 1}
            facts |= {"held": False, "evidence": "{}", "double_review": False, "state": "closed", "stage": "first"}
            session.execute(insert(CaseRow).values(id=case_id, **facts))
            made = {"id": case_id, "case_id": case_id, "stage": "first", "identity_id": identity_id, "reason": "other"}
            made |= {"decision": decision, "decided_by": decider, "decided_at": START, "state": "final"}
            session.execute(insert(CaseDecisionRow).values(made))


def test_a_reference_whose_cases_are_mostly_dismissed_is_marked(log_in, desk, ana):
    cy = log_in("cy")
    first, second = (one.id for one in desk.gallery.show(ana).references)
    lead_cases(desk, ana, first, "not_this_person", "not_this_person", "not_this_person", "confirmed")
    lead_cases(desk, ana, second, "not_this_person", "not_this_person", "confirmed", "confirmed")
    page = text_of(cy.get(f"/identity/{ana}"))
    assert page.count("Causes false alarms") == 1
    assert "Cases it led 4 Dismissed 3 / 4" in page and "Cases it led 4 Dismissed 2 / 4" in page
    assert "Ana Example Celebrity Searched for False alarms 2 8 5" in text_of(cy.get("/identities"))


def test_suspended_people_are_searched_for_no_more_until_they_are_taken_up_again(log_in, desk, ana):
    lea = log_in("lea")
    for path, status, change in (("suspend", "suspended", "erased"), ("resume", "active", "state")):
        assert place_of(press(lea, ana, path)).startswith(f"/identity/{ana}?done=")
        assert (desk.gallery.show(ana).status, newest_change(desk, ana)) == (status, change)
    changes = [one.details for one in desk.audit.find(AuditFilter(ana, action="identity_changed"))]
    assert changes == [{"suspended": False}, {"suspended": True}]


def test_a_suspended_reference_is_compared_with_nothing_and_is_kept(log_in, desk, ana):
    cy = log_in("cy")
    first, second = (one.id for one in desk.gallery.show(ana).references)
    press(cy, ana, f"reference/{first}/suspend")
    (identity,) = desk.gallery.identities()
    assert [one.id for one in identity.references] == [second]
    press(cy, ana, f"reference/{second}/suspend")
    assert list(desk.gallery.identities()) == [] and newest_change(desk, ana) == "erased"
    press(cy, ana, f"reference/{first}/resume")
    (identity,) = desk.gallery.identities()
    assert [one.id for one in identity.references] == [first]
    press(cy, ana, f"reference/{second}/remove")
    assert [one.id for one in desk.gallery.show(ana).references] == [first]


def test_leads_suspend_and_release_and_only_curators_change_the_rest(log_in, desk, ana):
    reference = desk.gallery.show(ana).references[0].id
    lea, ada = log_in("lea"), log_in("ada")
    curators = ("reach", "accounts", "accounts/remove", "erase", f"reference/{reference}/suspend")
    fields = {"reach": "5", "account": "a", "name": "Ana Example"}
    assert [press(lea, ana, path, **fields).status for path in ("suspend", "resume", "release")] == [303] * 3
    assert {press(lea, ana, path, **fields).status for path in curators} == {403}
    assert {press(ada, ana, path, **fields).status for path in (*curators, "suspend", "release")} == {403}
    assert desk.gallery.show(ana).reach == 3


def test_own_accounts_and_reach_are_changed_and_told(log_in, desk, ana):
    cy = log_in("cy")
    press(cy, ana, "accounts", account=" acct-7 ")
    press(cy, ana, "reach", reach="5")
    assert (desk.gallery.show(ana).own_accounts, desk.gallery.show(ana).reach) == (("acct-7",), 5)
    assert "Nothing was changed" in text_of(cy.get(place_of(press(cy, ana, "accounts", account="  "))))
    press(cy, ana, "accounts/remove", account="acct-7")
    assert desk.gallery.show(ana).own_accounts == ()
    said = text_of(cy.get(f"/identity/{ana}"))
    assert "Own account removed acct-7" in said and "Reach set to 5" in said and "Cy, " in said


def test_erasing_asks_for_the_name_and_leaves_nothing(log_in, desk, ana):
    cy = log_in("cy")
    assert "not this person’s name" in text_of(cy.get(place_of(press(cy, ana, "erase", name="Ana"))))
    assert desk.gallery.show(ana)
    assert place_of(press(cy, ana, "erase", name="Ana Example")) == "/identities?erased=true"
    assert desk.gallery.list_identities() == [] and newest_change(desk, ana) == "erased"
    assert cy.get(f"/identity/{ana}").status == 410
    (noted,) = desk.audit.find(AuditFilter(ana, action="identity_removed"))
    (erased,) = desk.erasure.list()
    assert (noted.details, erased.request) == ({"erasure": erased.id}, "operator")


def test_a_mirror_of_the_gallery_follows_changes_suspensions_and_erasures(desk, ana):
    mirror = GalleryMirror(desk.gallery, lambda: GalleryIndex("x@1", 128))
    bea = desk.gallery.add_identity("Bea", "victim", references=[reference_photo(5)])
    assert mirror.index().references == 3
    desk.gallery.set_suspended(ana, True)
    assert mirror.index().references == 1
    desk.gallery.set_suspended(ana, False)
    first, second = (one.id for one in desk.gallery.show(ana).references)
    desk.gallery.suspend_reference(first, True)
    assert mirror.index().references == 2
    desk.gallery.suspend_reference(second, True)
    assert mirror.index().references == 1
    desk.gallery.remove_identity(bea)
    assert mirror.index().references == 0
    mirror.drop()
    assert not mirror.loaded


@pytest.fixture(scope="module")
def looking(models):
    settings = load_settings(home=models.parent)
    with closing(open_watched_looking(settings, lambda how: None)) as opened:
        yield opened


@pytest.fixture
def enrolling(database, clock, models, looking):
    """A desk that judges photos with the default model pack, in a worker process."""
    records = GalleryRecords(database, MASTER, clock=clock)
    with closing(open_enrolling(load_settings(home=models.parent), looking, records)) as enrols:
        yield make_desk(database, clock, enrols=enrols)


@pytest.fixture
def cy(enrolling):
    with running_site(enrolling) as address:
        yield entering(enrolling, address, PEOPLE)("cy")


def send(visitor, *photos, **fields):
    """Sends the form with the files (name, bytes)."""
    fields = {"name": "Emmanuel Macron", "provenance": "Wikimedia Commons, CC BY", "kind": "celebrity"} | fields
    known = fields.get("identity")
    form = f"/identities/add?identity={known}" if known else "/identities/add"
    return visitor.upload("/identities/photos", fields, [("photos", *photo) for photo in photos], form_of=form)


def test_a_celebrity_is_added_from_photos_and_each_photo_is_told_what_became_of_it(cy, enrolling, portraits):
    person = portraits["person_a_1.jpg"].read_bytes()
    flat = picture()
    answer = send(
        cy, ("one.jpg", person), ("again.jpg", person), ("flat.jpg", flat), ("notes.txt", b"no picture"), reach="5"
    )
    assert place_of(answer) == "/identities/tray"
    page = cy.get("/identities/tray")
    said = text_of(page)
    assert "1 of 4 photos can be added." in said
    assert "was sent twice" in said and "No face was found" in said and "This is no picture that can be read" in said
    assert cy.get("/identities/tray/0/0.jpg").data.startswith(b"\xff\xd8")
    assert enrolling.gallery.list_identities() == []
    added = place_of(cy.post("/identities/tray", {"face_0": "0", "face_1": "0"}, form_of="/identities/tray"))
    (one,) = enrolling.gallery.list_identities()
    assert added == f"/identity/{one.id}?done=added"
    assert (one.name, one.kind, one.references, one.reach) == ("Emmanuel Macron", "celebrity", 1, 5)
    (noted,) = enrolling.audit.find(AuditFilter(one.id, action="identity_added"))
    assert noted.details.keys() == {"references"}
    assert cy.get("/identities/tray").status == 410


def test_a_face_that_is_nearer_to_somebody_else_is_added_only_by_who_says_so(cy, enrolling, portraits):
    one, two = (portraits[f"person_a_{number}.jpg"].read_bytes() for number in (1, 2))
    send(cy, ("one.jpg", one))
    cy.post("/identities/tray", {"face_0": "0"}, form_of="/identities/tray")
    (macron,) = enrolling.gallery.list_identities()
    send(cy, ("two.jpg", two), name="Somebody Else")
    assert "This face is more like Emmanuel Macron" in text_of(cy.get("/identities/tray"))
    wrong = {"face_0": "0", "sure_0": "idn_other"}
    assert place_of(cy.post("/identities/tray", wrong, form_of="/identities/tray")) == "/identities/tray?look=true"
    assert len(enrolling.gallery.list_identities()) == 1
    cy.post("/identities/tray", {"face_0": "0", "sure_0": macron.id}, form_of="/identities/tray")
    assert {one.name for one in enrolling.gallery.list_identities()} == {"Emmanuel Macron", "Somebody Else"}


def test_of_two_faces_the_curator_chooses_one(cy, enrolling, portraits):
    photos = [Image.open(portraits[f"person_{who}_1.jpg"]).convert("RGB").resize((600, 700)) for who in "ab"]
    both = Image.new("RGB", (1200, 700))
    for number, photo in enumerate(photos):
        both.paste(photo, (600 * number, 0))
    encoded = io.BytesIO()
    both.save(encoded, "JPEG", quality=92)
    send(cy, ("both.jpg", encoded.getvalue()))
    assert "Several faces are in the photo" in text_of(cy.get("/identities/tray"))
    for choice in ("", "7"):
        cy.post("/identities/tray", {"face_0": choice}, form_of="/identities/tray")
        assert enrolling.gallery.list_identities() == []
    cy.post("/identities/tray", {"face_0": "1"}, form_of="/identities/tray")
    (one,) = enrolling.gallery.list_identities()
    (reference,) = enrolling.gallery.show(one.id).references
    (faces,) = enrolling.enrols.judge([encoded.getvalue()])
    assert reference.face_box == pytest.approx(faces[1].face.box) != pytest.approx(faces[0].face.box)


def test_more_photos_go_to_a_known_person_and_a_name_that_is_taken_is_told(cy, enrolling, portraits):
    one, two = (portraits[f"person_a_{number}.jpg"].read_bytes() for number in (1, 2))
    send(cy, ("one.jpg", one))
    cy.post("/identities/tray", {"face_0": "0"}, form_of="/identities/tray")
    (macron,) = enrolling.gallery.list_identities()
    answer = send(cy, ("two.jpg", two))
    assert answer.status == 422 and "somebody of this name already" in text_of(answer)
    send(cy, ("one.jpg", one), ("two.jpg", two), identity=macron.id)
    assert "1 of 2 photos can be added." in text_of(cy.get("/identities/tray"))
    cy.post("/identities/tray", {"face_1": "0"}, form_of="/identities/tray")
    assert len(enrolling.gallery.show(macron.id).references) == 2
    assert place_of(send(cy, ("two.jpg", two), another="true")) == "/identities/tray"


@pytest.mark.parametrize(
    ("fields", "photos", "said"),
    [
        ({"name": " "}, 1, "A name is missing"),
        ({"provenance": " "}, 1, "Say where the photos come from"),
        ({}, 0, "Choose 1 to 20 photos."),
        ({}, 21, "Choose 1 to 20 photos."),
    ],
)
def test_what_is_missing_is_said_and_what_was_typed_stays(cy, fields, photos, said):
    answer = send(cy, *[("x.jpg", b"x")] * photos, **fields)
    assert answer.status == 422 and said in text_of(answer)
    if "name" not in fields:
        assert 'value="Emmanuel Macron"' in answer.data.decode()


def test_only_curators_may_send_more_than_a_form(cy, enrolling):
    large = ("big.jpg", bytes(FORM_BYTES + 1))
    assert place_of(send(cy, large)) == "/identities/tray"
    enrolling.moderators.add("lea", "Lea", "lead", PASSWORD)
    lea = Visitor(cy.site)
    assert lea.upload("/identities/photos", {}, [("photos", *large)]).status == 413
    lea.log_in("lea")
    assert lea.upload("/identities/photos", {}, [("photos", *large)], form_of="/identities").status == 413
    too_much = [("photos", "big.jpg", bytes(20_000_001))] * 4
    answer = cy.upload("/identities/photos", {}, too_much, form_of="/identities/add")
    assert answer.status == 413 and "fewer photos" in text_of(answer)


def test_a_page_confirms_only_the_photos_that_it_shows(cy, enrolling, portraits):
    one, two = (portraits[f"person_{letter}_1.jpg"].read_bytes() for letter in "ab")
    send(cy, ("one.jpg", one), name="Person One")
    older = hidden_fields(cy.get("/identities/tray"))
    send(cy, ("two.jpg", two), name="Person Two")
    answer = cy.post("/identities/tray", older | {"face_0": "0"})
    assert answer.status == 410
    assert "not here any more" in text_of(answer)
    assert enrolling.gallery.list_identities() == []


def test_a_confirmation_that_is_sent_twice_adds_once(cy, enrolling, portraits):
    send(cy, ("one.jpg", portraits["person_a_1.jpg"].read_bytes()))
    form = hidden_fields(cy.get("/identities/tray")) | {"face_0": "0"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: cy.post("/identities/tray", form), range(4)))
    assert sorted(answer.status for answer in answers) == [303, 410, 410, 410]
    assert len(enrolling.gallery.list_identities()) == 1


def test_a_face_that_a_curator_is_about_to_add_is_noted_once_before_it_is_shown(cy, enrolling, portraits):
    one, two = (portraits[f"person_{letter}_1.jpg"].read_bytes() for letter in "ab")
    send(cy, ("one.jpg", one), ("two.jpg", two))
    for number in (0, 0, 1):
        assert cy.get(f"/identities/tray/{number}/0.jpg").status == 200
    assert cy.get("/identities/tray/2/0.jpg").status == 404
    assert [one.details for one in enrolling.audit.find(AuditFilter(action="face_viewed"))] == [
        {"picture": "upload", "photo": 2, "face": 1},
        {"picture": "upload", "photo": 1, "face": 1},
    ]
    send(cy, ("one.jpg", one))
    cy.get("/identities/tray/0/0.jpg")
    cy.post("/identities/tray", {"face_0": "0"}, form_of="/identities/tray")
    (added,) = enrolling.gallery.list_identities()
    send(cy, ("two.jpg", two), identity=added.id)
    cy.get("/identities/tray/0/0.jpg")
    (noted,) = enrolling.audit.find(AuditFilter(added.id, action="face_viewed"))
    assert noted.details == {"picture": "upload", "photo": 1, "face": 1}


def test_photos_that_nobody_confirms_are_gone_after_a_quarter_of_an_hour(cy, clock, portraits):
    send(cy, ("one.jpg", portraits["person_a_1.jpg"].read_bytes()))
    assert cy.get("/identities/tray").status == 200
    clock.now += timedelta(minutes=16)
    answer = cy.get("/identities/tray")
    assert answer.status == 410 and "Choose them again" in text_of(answer)


def test_where_photos_cannot_be_judged_the_page_says_who_can_mend_it(log_in):
    answer = log_in("cy").get("/identities/add")
    assert answer.status == 503 and "[policy]" in text_of(answer)
