"""A reporter's way back, on a telephone and without a script: status, messages, corrections, taking it all back."""

import io
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from sqlalchemy import update

from records.reports.consent import months_later
from records.reports.schema_reports import ReportRow
from tests.browser.test_for_everybody import CONTROLS, GRAVE, SMALLEST, TOO_SMALL, english_left
from tests.browser.workplace import PHONE
from tests.support.reports import face_photo, send_report

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "screenshots"
SHOWN = ("door-phone", "protecting-phone", "protecting-chinese", "extend-phone", "withdraw-phone")
"""What docs/reports.md shows."""
STATUS = "/report/status"
PLAIN_PHONE = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "java_script_enabled": False}
OWN = {"PIN", "LK", "nora", "real", "thief", "name", "example", "com"}
"""Words of Latin letters that belong into a page in Chinese: what the reporter wrote, and what shows how to."""


class Reporter:
    """Somebody with a telephone, and the report that they sent."""

    def __init__(self, place, **how):
        self.place, self.taken = place, send_report(place.desk.report_intake)
        self.page = place.go(place.seat(**PLAIN_PHONE | how), STATUS)

    def set(self, **values):
        """As others' work leaves the report."""
        with self.place.database.write() as session:
            session.execute(update(ReportRow).where(ReportRow.id == self.taken.report_id).values(values))

    def protect(self):
        gallery, now = self.place.desk.gallery, self.place.clock()
        identity_id = gallery.add_identity(self.taken.number, "victim", ["nora.real"], references=[face_photo(1)])
        ends_at = months_later(now, 12)
        self.set(state="protecting", identity_id=identity_id, decided_at=now, ends_at=ends_at)
        return identity_id

    def enter(self):
        self.page.fill("#number", self.taken.number.lower())
        self.page.fill("#pin", self.taken.pin)
        self.click("Open my report", "打开我的举报")

    def click(self, *names):
        """The button of one of these names, in whichever language; waits for the page after it."""
        for name in names:
            if (button := self.page.get_by_role("button", name=name, exact=True)).count():
                button.click()
                self.page.wait_for_load_state()
                return
        raise AssertionError(f"there is no button {names} on {self.page.url}")

    def says(self):
        return self.page.inner_text("main")


def test_a_report_is_looked_after_from_a_phone_without_any_script(place):
    reporter = Reporter(place)
    mo = place.hire("mo")
    reporter.enter()
    assert "We have your report" in reporter.says()
    reporter.page.fill("#text", "Please hurry.")
    reporter.click("Send")
    assert "Your message has been sent." in reporter.says() and "Please hurry." in reporter.says()
    place.desk.report_messages.write(reporter.taken.report_id, "We are on it.", mo.id)
    reporter.protect()
    place.go(reporter.page, STATUS)
    assert "You are protected" in reporter.says() and "We are on it." in reporter.says()
    reporter.page.click("text=Change your contact, accounts or links")
    reporter.page.fill("#accounts", "nora.real\nnora.too")
    reporter.click("Save")
    assert "Your changes are saved." in reporter.says()
    reporter.page.click("text=Take it all back")
    reporter.page.check("[name=sure]")
    reporter.click("Erase everything now")
    assert "Everything is erased" in reporter.says()
    with reporter.page.expect_download() as receipt:
        reporter.page.click("text=Download the receipt")
    assert receipt.value.suggested_filename == f"receipt-{reporter.taken.number}.json"
    reporter.click("Close my report")
    assert "Your report is closed on this device." in reporter.says()
    assert place.desk.gallery.list_identities() == []


def test_guessing_a_pin_locks_the_report_and_tells_nothing(place):
    reporter = Reporter(place)
    sentences = set()
    for _ in range(6):
        place.clock.pass_by(timedelta(seconds=10))
        reporter.page.fill("#number", reporter.taken.number)
        reporter.page.fill("#pin", "00000000" if reporter.taken.pin != "00000000" else "11111111")
        reporter.click("Open my report")
        sentences.add(reporter.page.inner_text("[role=alert]"))
    reporter.enter()
    sentences.add(reporter.page.inner_text("[role=alert]"))
    assert len(sentences) == 1
    place.clock.pass_by(timedelta(minutes=20))
    reporter.enter()
    assert "We have your report" in reporter.says()


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_every_page_is_for_everybody(place, tmp_path, locale):
    reporter = Reporter(place, locale=locale, java_script_enabled=True, device_scale_factor=2)
    mo, wrong, page = place.hire("mo"), [], reporter.page
    folder = SCREENSHOTS if os.environ.get("LIKENESS_SCREENSHOTS") else tmp_path

    def look(name):
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            found = Axe().run(page).response["violations"]
            wrong.extend(f"{name}, {theme}: {one['help']}" for one in found if one["impact"] in GRAVE)
        page.emulate_media(color_scheme="light")
        if page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]:
            wrong.append(f"{name} scrolls sideways")
        wrong.extend(f"{name}: {one}" for one in page.evaluate(TOO_SMALL, [CONTROLS, SMALLEST]))
        if locale == "zh-CN":
            wrong.extend(one for one in english_left(page) if latin(one) - OWN)
        file = f"{name}-{'chinese' if locale == 'zh-CN' else 'phone'}"
        if file in SHOWN:
            picture = Image.open(io.BytesIO(page.screenshot(animations="disabled", full_page=True)))
            picture.convert("RGB").save(folder / f"report-status-{file}.webp", quality=80, method=6)

    look("door")
    reporter.enter()
    look("received")
    identity_id = reporter.protect()
    place.desk.report_messages.write(
        reporter.taken.report_id, "你好。" if locale == "zh-CN" else "That photo is clear enough.", mo.id
    )
    place.desk.report_messages.write(reporter.taken.report_id, "谢谢！" if locale == "zh-CN" else "Thank you!")
    for number in range(2):
        place.desk.taught.record(identity_id, f"thief.{number}", "confirmed", mo.id, f"review-{number}")
    place.go(page, STATUS)
    look("protecting")
    reporter.set(ends_at=place.clock() + timedelta(days=9))
    for name in ("", "/extend", "/correct", "/withdraw"):
        place.go(page, STATUS + name)
        look(name.strip("/") or "ending")
    reporter.set(state="refused", reason="no_proof", identity_id=None)
    place.go(page, STATUS)
    look("refused")
    place.desk.erasure.withdraw(reporter.taken.report_id, "withdrawn", "reporter")
    place.go(page, STATUS)
    look("withdrawn")
    assert wrong == []


def latin(text):
    """The words of Latin letters in a text, but for case numbers."""
    return set(re.findall(r"[A-Za-z]{2,}", re.sub(r"LK(-\w{4}){3}", "", text)))
