"""A place where cases are worked in real browsers: the console behind a real server, drawn people, and their cases."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

from config import load_settings
from consumers.case_feed import new_case
from consumers.messages import Profile
from detector.fingerprint import hashes_to_search
from detector.looking import InProcesses
from likeness.console_enrolling import open_enrolling
from records.casework.cases import CasePicture
from records.database import Database, open_database
from records.gallery import GalleryRecords
from records.people.moderators import Moderator
from records.references import ReferencePhoto
from tests.browser.drawn_people import DrawnPicture, Person, draw
from tests.support.console import finding, review
from tests.support.console_site import MASTER, PASSWORD, make_desk, running_site
from web.desk import Desk
from web.security import SESSION_COOKIE

NAMES = ("Mara Lindqvist", "Noor Haddad", "Ines Carvalho", "Wen Jiayi", "Ola Adeyemi", "June Okafor", "Pavel Dvorak")
NAMES += ("Yuki Tanabe", "Elif Demir", "Samir Rahal", "Lena Hartmann", "Tomas Arrieta")
"""Of the drawn people, by seed; nobody known."""
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}

draw_once = lru_cache(maxsize=None)(draw)


class Clock:
    """The time of day, or of another day from `start` on, moved on by a test."""

    def __init__(self, start: datetime | None = None) -> None:
        self._ahead = start - datetime.now(UTC) if start else timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def pass_by(self, span: timedelta) -> None:
        self._ahead += span


@dataclass
class Workplace:
    """One console. `complaints`: what browsers had to say against its pages, and what left for other hosts."""

    desk: Desk
    clock: Clock
    address: str
    browser: Browser
    database: Database
    complaints: list[str] = field(default_factory=list)
    _people: dict[int, str] = field(default_factory=dict)
    _cases: int = 0

    def hire(self, login: str, role: str = "moderator", **settings: object) -> Moderator:
        """Somebody who may log in with PASSWORD."""
        made = self.desk.moderators.add(login, f"{login.title()} Berg", role, PASSWORD)
        self.desk.moderators.save_settings(made.id, settings)
        return self.desk.moderators.get(made.id)

    def person(self, seed: int, kind: str = "celebrity") -> str:
        """The id of a drawn person in the gallery, who is put there at first."""
        if seed not in self._people:
            photos = [_reference(drawn, number) for number, drawn in enumerate(_photos(seed))]
            self._people[seed] = self.desk.gallery.add_identity(NAMES[seed], kind, references=photos)
        return self._people[seed]

    def raise_case(self, seed: int = 0, *, shows: int | None = None, kind: str = "same_person", **facts: object) -> str:
        """The id of a new case: an avatar of the person `shows`, suspected to be `seed`. Further facts are the
        finding's, but for `profile`, `account_id`, `event_id`, `priority`, `held`, `person_kind`, `pictured` and
        `drawn` (cases of one number show one picture)."""
        self._cases += 1
        identity = self.person(seed, facts.pop("person_kind", "celebrity"))
        photographed = {one.photo_sha256: one.id for one in self.desk.gallery.show(identity).references}
        faces = {photographed.get(_digest(drawn)): drawn.face for drawn in _photos(seed)}
        avatar = draw_once(Person.of(seed if shows is None else shows), facts.pop("drawn", 100 + self._cases))
        about = {name: facts.pop(name) for name in set(facts) & set(ABOUT_CASE)}
        pictured = about.pop("pictured", True)
        first = NAMES[seed].split()[0].lower()
        about.setdefault("account_id", f"acct-{4180 + 37 * self._cases}")
        about.setdefault("event_id", f"upload-{self._cases:04d}")
        made = self.clock() - timedelta(days=3 + 5 * self._cases)
        handle = f"{first}.{self._cases}"
        about.setdefault("profile", Profile(handle=handle, display_name=NAMES[seed].split()[0], created_at=made))
        suspicion = {"similarity": 0.71, "threshold": 0.55, "face_box": avatar.box, "quality": 0.8}
        suspicion |= {
            "reference_id": photographed[_digest(_photos(seed)[0])],
            "runner_up": None,
            "identity_id": identity,
            **facts,
        }
        suspicion |= {"identity_name": NAMES[seed], "identity_kind": self.desk.gallery.show(identity).kind}
        now = self.clock()
        found = review(
            avatar.jpeg,
            findings=[finding(kind, **suspicion)],
            uploaded_at=now,
            screened_at=now,
            picture_width=avatar.width,
            picture_height=avatar.height,
            **about,
        )
        turns = hashes_to_search(np.asarray(Image.open(io.BytesIO(avatar.jpeg)))).tobytes()
        picture = CasePicture(avatar.jpeg, {"avatar": [avatar.face], "references": faces}, turns)
        assert self.desk.cases.open(new_case(found), picture if pictured else None)
        return str(found.review_id)

    def seat(self, login: str | None = None, **how: object) -> Page:
        """A page in a browser of its own, logged in as somebody; nowhere yet. `how`: as in Browser.new_context."""
        context: BrowserContext = self.browser.new_context(**{"viewport": DESKTOP, "locale": "en-GB"} | how)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("request", lambda request: self._heed_request(request.url))
        page.on("response", lambda answer: self._heed_answer(answer.request.resource_type, answer.status, answer.url))
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda said: self._heed_console(said.text, page.url))
        if login is not None:
            token, _ = self.desk.sessions.begin(self.desk.moderators.by_login(login).id)
            cookie = {"name": SESSION_COOKIE, "value": token, "url": self.address.replace("http:", "https:")}
            context.add_cookies([cookie | {"secure": True, "httpOnly": True, "sameSite": "Strict"}])
        return page

    def go(self, page: Page, path: str) -> Page:
        page.goto(self.address + path)
        return page

    def path(self, page: Page) -> str:
        return urlsplit(page.url).path

    def _heed_request(self, url: str) -> None:
        if not url.startswith((self.address, "data:")):
            self.complaints.append(f"asked another host: {url}")

    def _heed_answer(self, kind: str, status: int, url: str) -> None:
        if status >= 400 and kind in ("image", "script", "stylesheet", "font"):
            self.complaints.append(f"{status} for the {kind} {url}")

    def _heed_console(self, text: str, where: str) -> None:
        if not text.startswith("Failed to load resource"):  # says the same of pages that are errors on purpose
            self.complaints.append(f"{where}: {text}")


class Keys:
    """Somebody's hands at the keyboard; `pressed` counts."""

    def __init__(self, page: Page) -> None:
        self.page, self.pressed = page, 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.pressed += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def go_on(self, key: str) -> None:
        """Presses a key that leads to another page, and waits for that page."""
        with self.page.expect_navigation():
            self.press(key)

    def decide(self, decision: str = "1", reason: str = "1") -> None:
        self.press(decision, reason)
        self.go_on("Enter")


ABOUT_CASE = ("profile", "account_id", "event_id", "priority", "held", "pictured")


@contextmanager
def workplace(
    database_url: str,
    browser: Browser,
    looking: InProcesses | None = None,
    start: datetime | None = None,
    **console: object,
) -> Iterator[Workplace]:
    """A console over a database, new or of a workplace that closed at `start`; `console`: settings of [console] that
    differ. Fails if browsers complained."""
    database = open_database(database_url)
    database.migrate()
    clock = Clock(start)
    records = GalleryRecords(database, MASTER, clock=clock)
    enrols = open_enrolling(load_settings(), looking, records) if looking else None
    desk = make_desk(database, clock, enrols, console=console)
    with running_site(desk) as address:
        place = Workplace(desk, clock, address, browser, database)
        yield place
        for context in browser.contexts:
            context.close()
    if enrols:
        enrols.close()
    database.close()
    assert not place.complaints, place.complaints


def _photos(seed: int) -> list[DrawnPicture]:
    """The person's reference photos."""
    return [draw_once(Person.of(seed), 10 * seed + number) for number in range(2)]


def _digest(drawn: DrawnPicture) -> str:
    return hashlib.sha256(drawn.jpeg).hexdigest()


def _reference(drawn: DrawnPicture, number: int) -> ReferencePhoto:
    vector = np.random.default_rng(number).standard_normal(128).astype(np.float32)
    return ReferencePhoto(
        provenance=("Press photo", "Public profile")[number],
        photo_sha256=_digest(drawn),
        photo_jpeg=drawn.jpeg,
        width=drawn.width,
        height=drawn.height,
        face_box=drawn.box,
        quality=0.9,
        embeddings={"opencv-zoo": vector / np.linalg.norm(vector)},
    )
