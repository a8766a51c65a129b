"""The report page in a real browser: on a telephone, with a camera, without scripts, in Chinese, by keyboard."""

import base64
import io
import os
import re
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw, ImageFont

from tests.browser.drawn_people import Person
from tests.browser.test_for_everybody import CONTROLS, GRAVE, SMALLEST, TOO_SMALL
from tests.browser.workplace import PHONE, draw_once
from web.security import DRAFT_COOKIE

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "screenshots"
TELEPHONE = {"viewport": PHONE, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
PROPER = {"PIN", "JPEG", "PNG", "WebP", "HEIC", "MB", "StopNCII", "org", "Take", "It", "Down", "name", "example", "com"}


@pytest.fixture
def me(tmp_path):
    """Files: two photos of one drawn person, one of a landscape, one of two people."""
    photos = {f"me{number}": draw_once(Person.of(4), 900 + number).jpeg for number in (1, 2)}
    photos["tree"] = encoded(Image.new("RGB", (600, 400), (80, 140, 90)))
    both = Image.new("RGB", (1440, 900))
    for side, seed in enumerate((4, 6)):
        both.paste(Image.open(io.BytesIO(draw_once(Person.of(seed), 910).jpeg)), (720 * side, 0))
    photos["both"] = encoded(both)
    for name, jpeg in photos.items():
        (tmp_path / f"{name}.jpg").write_bytes(jpeg)
    return {name: str(tmp_path / f"{name}.jpg") for name in photos}


ORIENTATION, CAMERA = 0x0112, 0x0110
"""EXIF's tags."""
SMALLER = """async () => {
  const script = document.querySelector("script[src*='report.js']").src.replace("report.js", "report_shrink.js");
  const { smaller } = await import(script);
  const [large, broken] = document.querySelector("input").files;
  const reader = new FileReader();
  reader.readAsDataURL(await smaller(large));
  await new Promise((done) => (reader.onload = done));
  return { first: reader.result.split(",")[1], untouched: (await smaller(broken)) === broken };
}"""


def encoded(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def held_up(code):
    """The person with the code on a sheet of paper, as the camera sees them: 4:3."""
    portrait = Image.open(io.BytesIO(draw_once(Person.of(4), 920).jpeg)).resize((576, 720))
    image = Image.new("RGB", (960, 720), portrait.getpixel((2, 2)))
    image.paste(portrait, (0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((620, 330, 930, 520), fill=(250, 250, 246), outline=(180, 180, 176), width=3)
    draw.text((650, 385), code, fill=(30, 40, 110), font=ImageFont.load_default(72))
    return encoded(image)


class Walk:
    """Looks at each page on the way: nothing grave, nothing wider than the telephone, every control can be hit."""

    def __init__(self, place, page, look):
        self.place, self.page, self.look, self.wrong = place, page, look, []

    def stop(self, name, *, axe=True, keep=True):
        page = self.page
        for theme in ("light", "dark") if axe else ():
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            for found in Axe().run(page).response["violations"]:
                if found["impact"] in GRAVE or any(tag.startswith("wcag") for tag in found["tags"]):
                    targets = [node["target"] for node in found["nodes"]]
                    self.wrong.append(f"{name}, {theme}: {found['id']}: {found['help']} {targets}")
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > PHONE["width"]:
            self.wrong.append(f"{name} is {wide} pixels wide")
        self.wrong += [f"{name}: {one}" for one in page.evaluate(TOO_SMALL, [CONTROLS, SMALLEST])]
        if folder := keep and os.environ.get("LIKENESS_SCREENSHOTS") and SCREENSHOTS:
            picture = Image.open(
                io.BytesIO(
                    page.screenshot(
                        animations="disabled", full_page=name in WHOLE, scale="css" if name in WHOLE else "device"
                    )
                )
            )
            picture.convert("RGB").save(folder / f"report-{name}-{self.look}.webp", quality=80, method=6)

    def click(self, text):
        with self.page.expect_navigation():
            button, link = (self.page.get_by_role(role, name=text, exact=True) for role in ("button", "link"))
            button.or_(link).first.click()


WHOLE = ("start", "photos", "challenge", "words")
"""Pages that are photographed from head to foot."""


def agree(page):
    page.check("[name=matching]")
    page.check("[name=months][value='12']")
    page.check("[name=contact]")
    page.fill("#email", "ana@example.org")


def test_a_report_is_made_on_a_telephone_with_its_camera(place, me, tmp_path):
    film = tmp_path / "camera.mjpeg"
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    flags.append(f"--use-file-for-fake-video-capture={film}")
    launched = place.browser.browser_type.launch(executable_path=shutil.which("chromium"), args=flags)
    with closing(launched):
        place.browser = launched
        page = place.seat(**TELEPHONE, permissions=["camera", "clipboard-write"])
        walk = Walk(place, page, "phone")
        place.go(page, "/report")
        assert not page.locator("#kind").is_visible(), "a choice that only grown-ups have"
        page.check("[value=adult]")
        page.check("[value=photos]")
        walk.stop("start")
        walk.click("Begin")
        walk.click("Go on")
        assert page.evaluate("document.activeElement.matches('[role=alert]')"), "what is missing is read out first"
        agree(page)
        walk.stop("consent")
        walk.click("Go on")
        page.set_input_files("#photo", [me["tree"], me["me1"], me["both"]])
        page.wait_for_selector(".photos li:nth-child(3)")
        assert page.locator(".photos li").count() == 3
        assert "We find no face in it" in page.inner_text(".photos li:nth-child(1)")
        assert "Which one is yours?" in page.inner_text(".photos li:nth-child(3)")
        walk.stop("photos")
        page.locator(".photos li:nth-child(3) [name=face]").first.check()
        walk.click("This is me")
        walk.click("Go on")
        page.fill("#links", "@thief.one")
        walk.stop("details")
        place.go(page, "/report")
        walk.stop("start, with a draft", keep=False)
        walk.click("Go on with your report")
        walk.click("Go on")
        code = page.inner_text(".code")
        film.write_bytes(held_up(code) * 5)
        walk.stop("challenge")
        page.click("[data-open]")
        page.click("[data-take]")
        walk.stop("camera", axe=False)
        with page.expect_navigation():
            page.click("[data-use]")
        assert page.locator("img.shown").evaluate("(one) => one.decode().then(() => one.naturalWidth)") > 300
        walk.click("Go on")
        page.check("[name=true]")
        walk.stop("check")
        walk.click("Send the report")
        assert re.fullmatch(r"LK(-[2-9A-Z]{4}){3}", number := page.inner_text("#number"))
        page.click("[data-copy]")
        page.wait_for_selector(".toast")
        walk.stop("sent")
        place.go(page, "/report")
        assert page.get_by_role("button", name="Throw it away").count() == 0, "the PIN was not noted yet"
        walk.stop("start, once it is sent", keep=False)
        walk.click("Show case number and PIN")
        pin = page.inner_text("#pin").replace(" ", "")
        walk.click("I have noted both")
        assert place.path(page) == "/report/status"
    (report,) = place.desk.report_reading.list(["standard"], ["received"])
    assert report.number == number and place.desk.report_access.enter(number, pin)
    assert len(place.desk.report_reading.photo_ids(report.id, "face")) == 2
    assert walk.wrong == [] and place.complaints == []


def test_the_same_way_works_without_scripts_and_in_chinese(place, me, tmp_path):
    page = place.seat(**TELEPHONE, java_script_enabled=False, locale="zh-CN")
    said = []

    def click(text):
        button, link = (page.get_by_role(role, name=text, exact=True) for role in ("button", "link"))
        button.or_(link).first.click()
        page.wait_for_load_state()
        said.append(page.inner_text("main"))

    place.go(page, "/report")
    assert page.get_attribute("html", "lang") == "zh-Hans"
    said.append(page.inner_text("main"))
    page.check("[value=adult]")
    page.check("[value=photos]")
    click("开始")
    agree(page)
    click("继续")
    page.set_input_files("#photo", me["tree"])
    click("检查这张照片")
    assert "没有找到面孔" in said[-1]
    page.set_input_files("#photo", me["me1"])
    click("检查这张照片")
    click("继续")
    click("继续")
    photo = tmp_path / "held.jpg"
    photo.write_bytes(held_up(code := page.inner_text(".code")))
    page.set_input_files("#photo", str(photo))
    click("提交这张照片")
    click("继续")
    page.check("[name=true]")
    click("提交举报")
    assert page.inner_text("#number").startswith("LK-")
    (report,) = place.desk.report_reading.list(["standard"], ["received"])
    assert report.language == "zh_Hans"
    own = re.compile(rf"LK[-2-9A-Z]+|{code}|\S+@example\.org|tree\.jpg|me1\.jpg")
    english = {word for text in said for word in re.findall(r"[A-Za-z]{2,}", own.sub("", text))}
    assert english - PROPER == set()
    assert place.complaints == []


def test_photos_that_stay_on_the_device_are_never_sent(place, me):
    page = place.seat(**TELEPHONE)
    bodies = []
    page.on("request", lambda request: bodies.append(request.post_data_buffer or b""))
    walk = Walk(place, page, "phone")
    place.go(page, "/report")
    page.check("[value=adult]")
    page.check("[value=hashes]")
    walk.click("Begin")
    page.check("[name=matching]")
    page.check("[name=months][value='6']")
    walk.click("Go on")
    page.set_input_files("#files", [me["me1"], me["tree"]])
    page.wait_for_selector(".photos li:nth-child(2) button")
    assert page.locator(".badge.good").count() == 1, "a plain picture has no code"
    walk.stop("codes")
    walk.click("Send the codes and go on")
    walk.click("Go on")
    page.check("[name=true]")
    walk.click("Send the report")
    (report,) = place.desk.report_reading.list(["standard"], ["received"])
    (photo_id,) = place.desk.report_reading.photo_ids(report.id, "face")
    kept = place.desk.report_reading.photo(report.id, photo_id)
    assert (len(kept.pdq), kept.width, kept.height) == (32, 720, 900)
    assert max(map(len, bodies)) < 2000
    assert walk.wrong == [] and place.complaints == []


def test_who_is_under_18_writes_and_is_never_asked_for_a_photo(place):
    page = place.seat(**TELEPHONE)
    walk = Walk(place, page, "phone")
    place.go(page, "/report")
    page.check("[value=minor]")
    assert not page.locator("#kind").is_visible()
    walk.click("Begin")
    assert page.locator("[type=file]").count() == 0
    page.fill("#words", "Somebody in another class made an account with my photo.")
    assert page.locator(":checked").count() == 0, "nothing is agreed to before"
    walk.stop("words")
    walk.click("Go on")
    assert "Choose how long." in page.inner_text("[role=alert]")
    page.check("[name=agreed]")
    page.check("[name=months][value='6']")
    walk.click("Go on")
    page.check("[name=true]")
    walk.click("Send the report")
    (report,) = place.desk.report_reading.list(["specialist"], ["received"])
    assert (report.kind, report.months, report.consent_contact) == ("words", 6, False)
    assert walk.wrong == [] and place.complaints == []


def test_where_the_camera_is_refused_the_file_takes_its_place(place, me, tmp_path):
    page = place.seat(**TELEPHONE)
    walk = Walk(place, page, "phone")
    place.go(page, "/report")
    page.check("[value=adult]")
    page.check("[value=photos]")
    walk.click("Begin")
    agree(page)
    walk.click("Go on")
    page.set_input_files("#photo", me["me1"])
    walk.click("Go on")
    walk.click("Go on")
    page.click("[data-open]")
    assert "The camera could not be opened" in page.locator("[data-camera] [role=alert]").inner_text()
    assert page.evaluate("document.activeElement.id") == "photo"
    walk.stop("camera refused", keep=False)
    photo = tmp_path / "held.jpg"
    photo.write_bytes(held_up(page.inner_text(".code")))
    page.set_input_files("#photo", str(photo))
    walk.click("Send this photo")
    assert page.locator("img.shown").is_visible()
    assert walk.wrong == []


def test_a_large_photo_is_made_smaller_before_it_is_sent_and_loses_where_it_was_taken(place, tmp_path):
    noise = Image.effect_noise((3000, 4000), 80).convert("RGB")
    exif = Image.Exif()
    exif[ORIENTATION], exif[CAMERA] = 6, "Whose telephone"
    noise.save(large := tmp_path / "large.jpg", quality=95, exif=exif)
    (tmp_path / "broken.heic").write_bytes(bytes(2_000_000))
    page = place.seat(**TELEPHONE)
    place.go(page, "/report")
    page.evaluate("document.querySelector('main').innerHTML = '<input type=file multiple>'")
    page.set_input_files("input", [str(large), str(tmp_path / "broken.heic")])
    sent = page.evaluate(SMALLER)
    photo = Image.open(io.BytesIO(base64.b64decode(sent["first"])))
    assert photo.size == (2048, 1536), "upright, and not larger than the server looks at"
    assert not photo.getexif() and len(sent["first"]) < large.stat().st_size / 2
    assert sent["untouched"], "what the browser cannot open is sent as it is"


def test_leaving_quickly_hides_the_page_at_once_and_back_does_not_lead_to_it(place):
    page = place.seat(**TELEPHONE)
    page.route("https://www.bing.com/**", lambda route: route.fulfill(body="elsewhere"))
    place.go(page, "/login")
    place.go(page, "/report")
    page.click("[data-leave]")
    page.wait_for_url("https://www.bing.com/**")
    page.go_back()
    assert place.path(page) == "/login"
    assert place.complaints == ["asked another host: https://www.bing.com/"]
    place.complaints.clear()


def test_the_draft_is_in_a_cookie_that_only_this_site_gets(place):
    page = place.seat()
    place.go(page, "/report")
    page.check("[value=minor]")
    with page.expect_navigation():
        page.click("button.primary")
    (cookie,) = [one for one in page.context.cookies() if one["name"] == DRAFT_COOKIE]
    kept = cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["expires"]
    assert kept == (True, True, "Strict", -1)
