"""One victim's road through the running parts: report, approval, a stranger's upload flagged, withdrawal, clear again.

Nobody's private photo is at hand, so a public figure stands in; and as there is but one portrait of him, the challenge
photo is that portrait in the mirror, with the code on a sheet below.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from config import Settings
from demo.console import LOGIN
from demo.events import DemoEvent
from demo.portraits import PORTRAITS
from demo.program import asked, wait_until_ready
from demo.uploads import Outcome, upload_all
from demo.visitor import PageRefused, Visitor
from web.desk import Desk

VICTIM = "impostor_1.jpg"
NOTE = f"A public figure stands in for a private person: {PORTRAITS[VICTIM].credit}."
STRANGER = "acct-2001"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stretch of the road. `right`: whether it went as it must."""

    title: str
    outcome: str
    seconds: float
    right: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the road leads through. `site`: of the console; `references`: that the gallery has before; `log`: of the
    screening consumer; `folder`, `port`: as in upload_all."""

    settings: Settings
    site: str
    desk: Desk
    password: str
    references: int
    log: Path
    folder: Path
    port: int


def victims_road(around: Surroundings, photo: bytes) -> list[Stage]:
    """The stages in order; after one that went wrong there are no more."""
    road, stages = _Road(around, photo), []
    for title, walk in road.stages():
        begun = time.monotonic()
        try:
            outcome, right = walk()
        except (PageRefused, TimeoutError, LookupError) as error:
            outcome, right = f"{type(error).__name__}: {error}", False
        stages.append(Stage(title, outcome, time.monotonic() - begun, right))
        if not right:
            break
    return stages


class _Road:
    def __init__(self, around: Surroundings, photo: bytes) -> None:
        self._around = around
        self._photo = photo
        self._victim = Visitor(around.site)
        self._number = self._pin = ""

    def stages(self) -> Iterator[tuple[str, Callable[[], tuple[str, bool]]]]:
        yield "a stranger uploads their photo", lambda: self._upload("clear")
        yield "they report it, with a photo and a challenge photo", self._report
        yield "a lead looks at it and approves", self._approve
        yield "every consumer knows the face", lambda: self._known(self._around.references + 1)
        yield "the stranger uploads it again", lambda: self._upload("same_picture")
        yield "their status page", lambda: self._status("protect")
        yield "they withdraw, with case number and PIN", self._withdraw
        yield "no consumer knows the face", lambda: self._known(self._around.references)
        yield "the stranger uploads it once more", lambda: self._upload("clear")
        yield "`likeness erasure verify` looks for what is left", self._verify

    def _report(self) -> tuple[str, bool]:
        visit = self._victim
        visit.send("/report", [("writer", "adult"), ("kind", "photos")], form_of="/report")
        visit.send("/report/consent", [("matching", "yes"), ("months", "12")], form_of="/report/consent")
        visit.send("/report/photos", form_of="/report/photos", file=("photo", self._photo))
        visit.send("/report/details", [("links", STRANGER)], form_of="/report/details")
        code = _found(r'class="code"[^>]*>\s*([0-9A-Z]+)', visit.read("/report/challenge"))
        challenge = ("photo", held_up(self._photo, code))
        visit.send("/report/challenge", form_of="/report/challenge", file=challenge)
        shown = visit.read(visit.send("/report/check", [("true", "yes")], form_of="/report/check"))
        self._number = _found(r'id="number"[^>]*>\s*([0-9A-Z-]+)', shown)
        self._pin = _found(r'id="pin"[^>]*>\s*([0-9 ]+)', shown)
        return f"case number {self._number} and a PIN", True

    def _approve(self) -> tuple[str, bool]:
        desk, lead = self._around.desk, Visitor(self._around.site)
        lead.send("/login", [("login", LOGIN), ("password", self._around.password)], form_of="/login")
        report = next(one for one in desk.report_reading.list(["standard"], ["received"]) if one.number == self._number)
        page = f"/reports/{report.id}"
        lead.send(f"{page}/begin", form_of=page)
        lead.send(f"{page}/approve", [("seen", "face"), ("seen", "code")], form_of=page)
        state = desk.report_reading.get(report.id).state
        return state, state == "protecting"

    def _known(self, references: int) -> tuple[str, bool]:
        wait_until_ready(self._around.settings, self._around.log, f"likeness_gallery_references {references}.0", 10)
        return f"{references} references", True

    def _upload(self, expected: str) -> tuple[str, bool]:
        identity = None if expected == "clear" else self._number
        event = DemoEvent("their photo", STRANGER, self._photo, expected, identity)
        around = self._around
        (outcome,) = upload_all(around.settings, [event], around.folder, around.port)
        return _told(outcome), outcome.matches(event)

    def _status(self, state: str) -> tuple[str, bool]:
        fields = [("number", self._number), ("pin", self._pin)]
        page = self._victim.read(self._victim.send("/report/status", fields, form_of="/report/status"))
        heading = " ".join(re.sub("<[^>]+>", " ", _found(r"<h1[^>]*>(.*?)</h1>", page)).split())
        return heading, state in heading.lower()

    def _withdraw(self) -> tuple[str, bool]:
        form = "/report/status/withdraw"
        self._victim.send(form, [("sure", "true")], form_of=form)
        receipt = self._victim.read("/report/status/receipt.json")
        return "a signed receipt", self._number in receipt

    def _verify(self) -> tuple[str, bool]:
        clean, said = asked(["erasure", "verify", self._number], self._around.settings)
        return said.removesuffix("."), clean


def _told(outcome: Outcome) -> str:
    found = ", ".join(finding["kind"] for finding in outcome.findings)
    return f"{outcome.verdict}: {found}" if found else outcome.verdict


def held_up(photo: bytes, code: str) -> bytes:
    """The portrait in the mirror, above a sheet of paper with the code on it."""
    face = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    assert face is not None
    scale = 700 / face.shape[1]
    face = cv2.resize(face[:, ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    sheet = np.full((220, 700, 3), 235, np.uint8)
    cv2.putText(sheet, code, (120, 140), cv2.FONT_HERSHEY_SIMPLEX, 3.2, (60, 40, 30), 9, cv2.LINE_AA)
    return bytes(cv2.imencode(".jpg", np.vstack([face, sheet]), [cv2.IMWRITE_JPEG_QUALITY, 92])[1])


def _found(pattern: str, page: str) -> str:
    """The group of the pattern. Raises LookupError."""
    found = re.search(pattern, page, re.DOTALL)
    if found is None:
        raise LookupError(f"the page does not show {pattern}")
    return found[1].strip()
