"""Moderators as Locust drives them: each a logged-in browser that works through its shift.

Run by benchmarks.console_load, which names in LIKENESS_BENCH a file of JSON: the logins (token and form token each),
how many seconds a person looks at a case, and where to write what only this side can see: how often somebody was given
a case that another had in hand, and how many decisions were taken.
"""

import json
import os
import random
import re
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, events, task

from web.security import SESSION_COOKIE, TOKEN_HEADER

PLAN: dict[str, Any] = json.loads(Path(os.environ["LIKENESS_BENCH"]).read_text())
LOGINS: list[list[str]] = PLAN["logins"]
QUEUE_EVERY, SEARCH_EVERY = 10, 15
SPREAD = (0.5, 1.5)
"""A look at a case takes between half and one and a half times the mean."""

in_hand: dict[str, str] = {}
seen = {"held_twice": 0, "decided": 0}


class Moderator(FastHttpUser):
    """Takes a case, loads its pictures, thinks, compares, decides, and has the next one."""

    def on_start(self) -> None:
        self.token, csrf_token = LOGINS.pop()
        self.headers = {"Cookie": f"{SESSION_COOKIE}={self.token}", TOKEN_HEADER: csrf_token}
        self.cases = 0
        gevent.sleep(PLAN["think_seconds"] * random.random())
        self._get("queue", "/queue")
        self.place = self._post("next case", "/case/next")

    @task
    def work_a_case(self) -> None:
        found = re.match(r"/case/([0-9a-f-]{36})", self.place)
        if found is None:
            gevent.sleep(1)
            self.place = self._post("next case", "/case/next")
            return
        case = found[1]
        seen["held_twice"] += in_hand.get(case, self.token) != self.token
        in_hand[case] = self.token
        html = self._get("case", self.place)
        for picture in sorted(set(re.findall(r'<img[^>]+src="([^"]+)"', html))):
            self._get("picture", picture.replace("&amp;", "&"))
        gevent.sleep(PLAN["think_seconds"] * random.uniform(*SPREAD))
        self._get("comparison", f"/case/{case}/likeness?judgement=confirmed")
        self.cases += 1
        if self.cases % QUEUE_EVERY == 0:
            self._get("queue", "/queue")
        if self.cases % SEARCH_EVERY == 0:
            self._get("search", f"/search?q=account-{random.randrange(40_000)}")
        del in_hand[case]
        self.place = self._post("decision", f"/case/{case}/decide", decision="confirmed", reason="same_person")

    def _get(self, kind: str, path: str) -> str:
        with self.client.get(path, name=kind, headers=self.headers, allow_redirects=False) as answer:
            return answer.text or ""

    def _post(self, kind: str, path: str, **fields: str) -> str:
        """Where it leads."""
        with self.client.post(path, fields, name=kind, headers=self.headers, allow_redirects=False) as answer:
            seen["decided"] += kind == "decision" and answer.status_code == 303
            return str(answer.headers.get("Location", "")) if answer.headers else ""


@events.quitting.add_listener
def tell(**_: object) -> None:
    Path(PLAN["seen"]).write_text(json.dumps(seen))
