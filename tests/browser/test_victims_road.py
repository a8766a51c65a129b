"""The whole road of a victim, in a real browser and through the real processes: she reports on her telephone, a lead
approves, a stranger's upload is flagged, an earlier one is found; she sees that it helped, takes it back, is gone."""

import re
import time
from contextlib import closing, contextmanager

import pytest

from demo.broker import EmbeddedBroker, free_port
from demo.victim import held_up
from records.database import open_database
from records.errors import UnknownCase
from tests.browser.workplace import DESKTOP, PHONE, Clock, Workplace
from tests.support.console_process import KEY, ConsoleProcess
from tests.support.console_site import MASTER, PASSWORD
from tests.support.legs import running_leg
from tests.support.program import Program
from tests.support.running_service import (
    ServiceProcess,
    Topics,
    again,
    environment,
    eventually,
    make_topics,
    metric,
    service_settings,
    upload,
)
from web.desk import open_desk

CONTACT = "jacinda@example.org"
OWN = "acct-her-own"
REFERENCES = "likeness_gallery_references"
SOON = 60.0
"""Seconds that a busy machine may take for a step."""
GONE = 5.0
"""And for the withdrawal to reach a consumer, however busy it is."""


class LookBackProcess(ServiceProcess):
    command = "lookback"


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    yield from running_leg("embedded broker", lambda: EmbeddedBroker(tmp_path_factory.mktemp("tansu")))


@pytest.fixture
def settings(embedded, tmp_path, models):
    return service_settings(
        embedded,
        tmp_path / "home",
        models,
        keys=KEY,
        watermark={"read": "never"},
        web={"host": "127.0.0.1", "port": 0},
        console={"grace_seconds": 0},
        look_back={"pictures_per_second": 50.0},
    )


@contextmanager
def platform(settings, chromium):
    """The processes as a platform runs them, and browsers that come to their pages."""
    make_topics(settings)
    console = again(settings, http={"port": free_port()})
    look_back = again(settings, http={"port": free_port()})
    processes = ServiceProcess(settings), ConsoleProcess(console), LookBackProcess(look_back)
    try:
        for process in processes:
            process.start().wait_ready(2 * SOON)
        address = processes[1].address
        with closing(open_database(settings.database_url)) as database:
            desk = open_desk(settings, database, MASTER)
            yield Workplace(desk, Clock(), address, chromium.browser, database)
    finally:
        for process in processes:
            process.stop()


class Stranger:
    """Uploads avatars, and sees what comes of them."""

    def __init__(self, settings):
        self.topics = Topics(settings)

    def close(self):
        self.topics.close()

    def uploads(self, picture, account):
        """The event's id and its verdict."""
        sent = upload(account_id=account, picture=picture)
        self.topics.send(sent)
        return sent["event_id"], self.topics.screening(sent["event_id"], SOON)["verdict"]

    def review(self, event_id):
        """The review of an upload, by the upload itself or by a look-back."""
        return self.topics.until(lambda: self.topics.of(event_id, "review"), SOON)[0]


def test_a_victims_whole_road(settings, chromium, portraits, tmp_path):
    hers, another = (portraits[f"person_b_{number}.jpg"].read_bytes() for number in (1, 2))
    (tmp_path / "me.jpg").write_bytes(hers)
    with platform(settings, chromium) as place, closing(Stranger(settings)) as stranger:
        earlier, verdict = stranger.uploads(hers, "acct-early-thief")
        assert verdict == "clear", "nobody protects her yet"
        stranger.uploads(hers, OWN)

        telephone = place.seat(viewport=PHONE, device_scale_factor=2, has_touch=True, is_mobile=True)
        number, pin = report(place, telephone, tmp_path, another)
        assert metric(settings, REFERENCES) == 0, "nothing is in the gallery before somebody approves"
        approve(place, number)

        eventually(lambda: metric(settings, REFERENCES) == 1, SOON)
        later, verdict = stranger.uploads(another, "acct-late-thief")
        assert verdict == "review"
        flagged, looked_back = stranger.review(later), stranger.review(earlier)
        assert (flagged["trigger"], looked_back["trigger"]) == ("upload", "look_back")
        for found, kind in ((flagged, "same_person"), (looked_back, "same_picture")):
            assert (found["findings"][0]["kind"], found["findings"][0]["identity_name"]) == (kind, number)
        assert stranger.uploads(another, OWN)[1] == "clear", "her own account is never flagged"
        confirm(place.desk, flagged["review_id"])

        assert "Action was taken 1 time" in status(place, telephone, number, pin)
        for said in ("same_person", "similar", "acct-late-thief", "acct-early-thief"):
            assert said not in telephone.content(), "whom, where and how strongly is told to nobody"

        receipt = withdraw(telephone)
        withdrawn = time.monotonic()
        assert number in receipt
        eventually(lambda: metric(settings, REFERENCES) == 0, GONE)
        print(f"The consumer had forgotten her {time.monotonic() - withdrawn:.1f} s after she was shown the receipt.")
        assert stranger.uploads(another, "acct-late-thief")[1] == "clear"
        assert stranger.uploads(hers, "acct-early-thief")[1] == "clear"
        assert place.complaints == []
    ended = verify(settings, number, tmp_path / "me.jpg")
    assert ended.code == 0, ended.out + ended.err
    assert "Nothing that can be read is left" in ended.out


def report(place, page, folder, another):
    """She reports, as anybody would; the case number and the PIN that she is shown."""

    def go_on(text):
        with page.expect_navigation():
            button, link = (page.get_by_role(role, name=text, exact=True) for role in ("button", "link"))
            button.or_(link).first.click()

    place.go(page, "/report")
    page.check("[value=adult]")
    page.check("[value=photos]")
    go_on("Begin")
    page.check("[name=matching]")
    page.check("[name=months][value='12']")
    page.check("[name=contact]")
    page.fill("#email", CONTACT)
    go_on("Go on")
    page.set_input_files("#photo", str(folder / "me.jpg"))
    page.wait_for_selector(".photos li")
    go_on("Go on")
    page.fill("#links", "acct-early-thief")
    page.fill("#accounts", OWN)
    go_on("Go on")
    (folder / "held.jpg").write_bytes(held_up(another, page.inner_text(".code")))
    page.set_input_files("#photo", str(folder / "held.jpg"))
    go_on("Send this photo")
    go_on("Go on")
    page.check("[name=true]")
    go_on("Send the report")
    return page.inner_text("#number"), page.inner_text("#pin")


def approve(place, number):
    """A lead looks at the report in the console, and approves it."""
    place.desk.moderators.add("lea", "Lea Berg", "lead", PASSWORD)
    page = place.seat(viewport=DESKTOP)
    place.go(page, "/login")
    page.fill("[name=login]", "lea")
    page.fill("[name=password]", PASSWORD)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    place.go(page, "/reports")
    with page.expect_navigation():
        page.keyboard.press("n")  # check the oldest
    assert number in page.inner_text("main")
    page.keyboard.press("1")
    for box in page.locator("[data-panel=approve] [name=seen]").all():
        box.check()
    with page.expect_navigation():
        page.get_by_role("button", name="Protect").click()
    assert "They are protected" in page.inner_text("main")


def confirm(desk, case_id):
    """Two people decide that it is her, as the queue of victims wants it; the platform is told."""

    def there():
        try:
            return desk.cases.get(case_id)
        except UnknownCase:
            return None

    eventually(there, SOON)
    for login in ("mo", "mia"):
        made = desk.moderators.add(login, login.title(), "moderator", PASSWORD)
        desk.claims.claim(case_id, made.id, "moderator")
        desk.decisions.decide(case_id, made.id, "moderator", "confirmed", "same_person")
    eventually(lambda: desk.cases.get(case_id).state == "closed", SOON)


def status(place, page, number, pin):
    """What her status page says, once she has typed case number and PIN."""
    place.go(page, "/report/status")
    page.fill("[name=number]", number.lower().replace("-", " "))
    page.fill("[name=pin]", pin)
    with page.expect_navigation():
        page.get_by_role("button", name="Open my report").click()
    assert "You are protected" in page.inner_text("h1")
    return page.inner_text("main")


def withdraw(page):
    """She takes everything back; the receipt, as she downloads it."""
    with page.expect_navigation():
        page.locator("a[href='/report/status/withdraw']").click()
    page.check("[name=sure]")
    with page.expect_navigation():
        page.get_by_role("button", name="Erase everything now").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("receipt")).click()
    return download.value.path().read_text()


def verify(settings, number, photo):
    """`likeness erasure verify`, which also searches the database's raw bytes for her photo and her address."""
    variables = {name: text for name, text in environment(settings).items() if name.startswith("LIKENESS_")}
    program = Program(settings.home, **variables)
    database = settings.database_url.removeprefix("sqlite:///")
    return program("erasure", "verify", number, "--files", database, "--photo", photo, "--text", CONTACT)
