"""A moderator decides on reports by keyboard: real faces, an honest report, and one of somebody else's photos."""

import pytest

from detector.enrolment import Candidate
from records.references import ReferencePhoto
from tests.browser.workplace import Keys
from tests.support.handwriting import with_code
from tests.support.sent_reports import CODE, new_report


@pytest.fixture
def send(place, portraits):
    """The id of a report with this portrait, and a challenge photo that is made of another portrait."""
    enrols = place.desk.enrols

    def sent(photo, challenge):
        ((face,),) = enrols.judge([portraits[photo].read_bytes()])
        seen = enrols.look_at_challenge(with_code(portraits[challenge].read_bytes(), CODE), CODE)
        return place.desk.report_intake.take(new_report([reference(face)], seen)).report_id

    return sent


def reference(face: Candidate) -> ReferencePhoto:
    return ReferencePhoto(
        "Sent with a report",
        face.sha256,
        face.jpeg,
        face.width,
        face.height,
        face.face.box,
        face.face.quality,
        {"opencv-zoo@1": face.embedding},
        face.fingerprint,
    )


def test_reports_are_checked_and_decided_by_keyboard_and_the_abusive_one_never_reaches_the_gallery(place, send):
    place.hire("mo")
    honest, abusive = send("person_a_1.jpg", "person_a_2.jpg"), send("person_b_1.jpg", "person_a_2.jpg")
    keys = Keys(place.go(place.seat("mo"), "/queue"))
    keys.go_on("v")
    keys.go_on("n")
    assert place.path(keys.page) == f"/reports/{honest}"
    said = keys.page.inner_text("main")
    assert CODE in said and "somebody else’s face." not in said.split("Your judgement")[0]
    assert "What the comparison says" not in said, "likeness is told after the judgement"
    keys.press("1")
    keys.page.wait_for_selector(".likeness .bar.sure, .likeness .bar.above")
    keys.press("Enter")
    assert place.path(keys.page) == f"/reports/{honest}", "nothing is sent before all is ticked"
    keys.press("1", "2")
    keys.go_on("Enter")
    assert "They are protected" in keys.page.inner_text("main")
    (identity,) = place.desk.gallery.list_identities()

    keys.go_on("n")
    assert place.path(keys.page) == f"/reports/{abusive}"
    assert "This may be somebody else’s face." in keys.page.inner_text(".message.bad")
    keys.press("1", "1", "2")
    keys.go_on("Enter")
    assert "not like that of the challenge photo" in keys.page.inner_text("main")
    place.go(keys.page, f"/reports/{abusive}")
    keys.press("2")
    keys.page.wait_for_selector(".likeness .bar.below")
    keys.press("5")
    keys.go_on("Enter")
    assert "The report is refused." in keys.page.inner_text("main")
    assert place.desk.report_reading.get(abusive).reason == "abusive"
    assert [one.id for one in place.desk.gallery.list_identities()] == [identity.id]


def test_it_works_without_scripts(place, send):
    place.hire("mo")
    report = send("person_a_1.jpg", "person_a_2.jpg")
    page = place.go(place.seat("mo", java_script_enabled=False), f"/reports/{report}")
    page.get_by_role("button", name="Begin to check").click()
    page.get_by_role("button", name="Show clearly").click()
    page.get_by_role("button", name="Protect this person").click()
    assert page.locator(".likeness .bar").count() == 1
    for box in page.locator("#approve input[type=checkbox]").all():
        box.check()
    page.get_by_role("button", name="Protect", exact=False).last.click()
    assert place.desk.report_reading.get(report).state == "protecting"
    noted = [one.action for one in place.desk.audit.read(report)]
    assert "picture_revealed" in noted and noted.count("face_viewed") == 2


def test_whoever_writes_that_they_are_a_child_is_handed_to_the_specialists_by_keyboard(place, send):
    place.hire("mo")
    child = send("person_b_1.jpg", "person_b_2.jpg")
    keys = Keys(place.go(place.seat("mo"), "/reports"))
    keys.go_on("n")
    keys.press("3")
    assert not keys.page.locator(".likeness").count(), "it does not matter whose face it is"
    keys.press("Enter")
    assert place.path(keys.page) == f"/reports/{child}", "nothing is sent without a sign"
    keys.press("1")
    keys.go_on("Enter")
    assert "The specialists have the report." in keys.page.inner_text("main")
    assert place.desk.report_reading.get(child).lane == "specialist"
    assert place.desk.report_reading.photo_ids(child, "face") == []
