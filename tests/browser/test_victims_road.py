"""The whole road of a victim, in a real browser and through the real processes: she reports on her telephone, a lead
approves, a stranger's upload is flagged, an earlier one is found, somebody who reports her photos as theirs is refused
and learns nothing; she sees that it helped, takes it back, is gone from every file."""

import base64
import io
import json
import re
import time
from contextlib import closing, contextmanager

import pytest
from PIL import Image

from demo.broker import free_port
from demo.victim import held_up
from likeness.raw_search import search, text_needles
from records.database import open_database
from records.errors import UnknownCase
from tests.browser.workplace import DESKTOP, PHONE, Clock, Workplace
from tests.support.console_process import KEY, ConsoleProcess
from tests.support.console_site import MASTER, PASSWORD
from tests.support.kafka_broker import ApacheKafka
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
WORDS = "My sister found my holiday photo there on Tuesday."
OWN = "acct-her-own"
REFERENCES = "likeness_gallery_references"
SOON = 60.0
"""Seconds that a busy machine may take for a step."""
GONE = 5.0
"""And for the withdrawal to reach a consumer, however busy it is."""


class LookBackProcess(ServiceProcess):
    command = "lookback"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    """Apache Kafka: the embedded broker has no files to search."""
    yield from running_leg("Apache Kafka", lambda: ApacheKafka(tmp_path_factory.mktemp("kafka")))


@pytest.fixture
def settings(kafka, tmp_path, models):
    return service_settings(
        kafka,
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
    """The processes as a platform runs them, and browsers that come to their pages; `logs`: what the processes say."""
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
            place = Workplace(desk, Clock(), address, chromium.browser, database)
            yield place, lambda: "".join(line for process in processes for line in process.log)
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


def test_a_victims_whole_road(settings, kafka, chromium, portraits, tmp_path):
    hers, another, abusers = (portraits[f"person_{name}.jpg"].read_bytes() for name in ("b_1", "b_2", "a_1"))
    hand, others_hand = tmp_path / "hand", tmp_path / "others-hand"
    for folder in (hand, others_hand):
        folder.mkdir()
        (folder / "me.jpg").write_bytes(hers)
    (hand / "another.jpg").write_bytes(another)
    stolen, stolen_too = (saved_anew(photo) for photo in (hers, another))
    with platform(settings, chromium) as (place, logs), closing(Stranger(settings)) as stranger:
        earlier, verdict = stranger.uploads(stolen, "acct-early-thief")
        assert verdict == "clear", "nobody protects her yet"
        stranger.uploads(stolen, OWN)

        telephone = on_telephone(place)
        number, pin = report(place, telephone, hand, another, CONTACT)
        open_report(place, telephone, number, pin)
        keep_copy(telephone, hand)
        assert metric(settings, REFERENCES) == 0, "nothing is in the gallery before somebody approves"
        lead = lead_at_work(place)
        approve(place, lead, number)

        eventually(lambda: metric(settings, REFERENCES) == 1, SOON)
        later, verdict = stranger.uploads(stolen_too, "acct-late-thief")
        assert verdict == "review"
        flagged, looked_back = stranger.review(later), stranger.review(earlier)
        assert (flagged["trigger"], looked_back["trigger"]) == ("upload", "look_back")
        for found, kind in ((flagged, "same_person"), (looked_back, "same_picture")):
            assert (found["findings"][0]["kind"], found["findings"][0]["identity_name"]) == (kind, number)
        assert stranger.uploads(stolen_too, OWN)[1] == "clear", "her own account is never flagged"
        confirm(place.desk, flagged["review_id"])

        abuser = on_telephone(place)
        case = report(place, abuser, others_hand, abusers, "somebody.else@example.org")
        refuse(place, lead, case[0], number)
        assert metric(settings, REFERENCES) == 1, "what an abuser sends never reaches the gallery"
        learned = open_report(place, abuser, *case)
        assert "cannot do what you ask for" in learned
        assert not re.search(rf"protected|already|alike|match|{number}", learned.split("Messages")[0])

        assert "Action was taken 1 time" in status(place, telephone)
        for said in ("same_person", "similar", "acct-late-thief", "acct-early-thief"):
            assert said not in telephone.content(), "whom, where and how strongly is told to nobody"
        segments = log_segments(settings, kafka)
        identity_id = flagged["findings"][0]["identity_id"]
        parts = [identity_id[start : start + 8] for start in range(4, 36, 8)]  # compression may break the whole
        assert lies_in([settings.home], [number]), "the search looks where the rows are"
        assert lies_in(segments, parts), "and where the messages are"

        receipt = withdraw(telephone)
        withdrawn = time.monotonic()
        assert number in receipt
        eventually(lambda: metric(settings, REFERENCES) == 0, GONE)
        print(f"The consumer had forgotten her {time.monotonic() - withdrawn:.1f} s after she was shown the receipt.")
        assert stranger.uploads(stolen_too, "acct-late-thief")[1] == "clear"
        assert stranger.uploads(stolen, "acct-early-thief")[1] == "clear"
        assert place.complaints == []
        photos = [*hand.glob("*.jpg"), *others_hand.glob("*.jpg")]
        assert len(photos) == 7
        assert [*settings.home.rglob("*.db-wal")], "the database is at work"
        assert_gone(settings, number, segments, photos)
    assert not any(said in logs() for said in (CONTACT, WORDS, number, pin, OWN))


def saved_anew(photo):
    """The picture as whoever copies it uploads it, which is the platform's: what is of her own file is hers alone."""
    encoded = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(encoded, "JPEG", quality=85)
    return encoded.getvalue()


def on_telephone(place):
    return place.seat(viewport=PHONE, device_scale_factor=2, has_touch=True, is_mobile=True)


def report(place, page, hand, face, contact):
    """Somebody reports with `me.jpg`, and their face before the camera; the case number and the PIN that they are
    shown. `hand`: the folder of their photos."""

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
    page.fill("#email", contact)
    go_on("Go on")
    page.set_input_files("#photo", str(hand / "me.jpg"))
    page.wait_for_selector(".photos li")
    go_on("Go on")
    page.fill("#links", "acct-early-thief")
    page.fill("#accounts", OWN)
    page.fill("#words", WORDS)
    go_on("Go on")
    (hand / "held.jpg").write_bytes(held_up(face, page.inner_text(".code")))
    page.set_input_files("#photo", str(hand / "held.jpg"))
    go_on("Send this photo")
    go_on("Go on")
    page.check("[name=true]")
    go_on("Send the report")
    return page.inner_text("#number"), page.inner_text("#pin")


def open_report(place, page, number, pin):
    """What the status page says, once case number and PIN were typed."""
    place.go(page, "/report/status")
    page.fill("[name=number]", number.lower().replace("-", " "))
    page.fill("[name=pin]", pin)
    with page.expect_navigation():
        page.get_by_role("button", name="Open my report").click()
    return page.inner_text("main")


def keep_copy(page, hand):
    """Downloads all that is held of her, and puts the pictures of it into her hand: those that we made of hers."""
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all that we hold about you").click()
    for number, picture in enumerate(json.loads(download.value.path().read_text())["pictures"]):
        (hand / f"copy-{number}.jpg").write_bytes(base64.b64decode(picture["jpeg"]))


def lead_at_work(place):
    place.desk.moderators.add("lea", "Lea Berg", "lead", PASSWORD)
    page = place.seat(viewport=DESKTOP)
    place.go(page, "/login")
    page.fill("[name=login]", "lea")
    page.fill("[name=password]", PASSWORD)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    return page


def check_oldest(place, page, number):
    """What the console says of the report that a lead begins to check."""
    place.go(page, "/reports")
    with page.expect_navigation():
        page.keyboard.press("n")
    said = page.inner_text("main")
    assert number in said
    return said


def approve(place, page, number):
    """A lead looks at the report in the console, and approves it."""
    check_oldest(place, page, number)
    page.keyboard.press("1")
    for box in page.locator("[data-panel=approve] [name=seen]").all():
        box.check()
    with page.expect_navigation():
        page.get_by_role("button", name="Protect").click()
    assert "They are protected" in page.inner_text("main")


def refuse(place, page, number, known):
    """A lead is warned of a face that is not the sender's and of whom the gallery knows, and refuses."""
    said = check_oldest(place, page, number)
    assert "This may be somebody else’s face." in said and f"This face is protected already, as {known}" in said
    page.keyboard.press("2")
    page.check("[data-panel=refuse] [value=already_protected]")
    with page.expect_navigation():
        page.locator("[data-panel=refuse] button.primary").click()
    assert "The report is refused." in page.inner_text("main")


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


def status(place, page):
    """What her status page says, once she has opened it."""
    place.go(page, "/report/status")
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


def log_segments(settings, kafka):
    """The folders of our topics, and of the broker's own."""
    prefix = settings.topics.uploads.partition("-")[0]
    return [*kafka._folder.rglob(f"{prefix}-*"), *kafka._folder.rglob("__*")]


def lies_in(paths, texts):
    return any(search(paths, {"text": [needle for text in texts for needle in text_needles(text)]}))


def assert_gone(settings, number, segments, photos):
    """`likeness erasure verify`, which also searches the raw bytes of all files that the road has written, of the
    database with its log and of the broker, for her photos, what she wrote and her address."""
    variables = {name: text for name, text in environment(settings).items() if name.startswith("LIKENESS_")}
    looked = [word for one in (settings.home, *segments) for word in ("--files", str(one))]
    looked += [word for one in photos for word in ("--photo", str(one))]
    looked += [word for one in (CONTACT, WORDS) for word in ("--text", one)]
    ended = Program(settings.home, **variables)("erasure", "verify", number, *looked)
    assert ended.code == 0, ended.out + ended.err
    assert "Nothing that can be read is left" in ended.out
