"""Moderators at work, as their browsers ask: a page, its pictures, the comparison, the decision, the next page."""

import random
import re
from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import urllib3

from records.people.web_sessions import Session
from web.security import SESSION_COOKIE, TOKEN_FIELD

Times = Mapping[str, list[float]]
"""Server time of each request in ms, by kind of page."""
QUEUE_EVERY, SEARCH_EVERY, RENEW_EVERY = 10, 15, 5


def work(address: str, token: str, session: Session, *, cases: int) -> Times:
    """The logged-in moderator works so many cases without a pause."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    _Browser(address, token, session, times).shift(cases)
    return times


class _Browser:
    def __init__(self, address: str, token: str, session: Session, times: defaultdict[str, list[float]]) -> None:
        parts = urlsplit(address)
        self._pool = urllib3.HTTPConnectionPool(str(parts.hostname), parts.port, retries=False, timeout=60)
        self._headers = {"Cookie": f"{SESSION_COOKIE}={token}", "Content-Type": "application/x-www-form-urlencoded"}
        self._csrf = session.csrf_token
        self._times = times

    def shift(self, cases: int) -> None:
        rng = random.Random(0)
        self._get("queue", "/queue")
        place = self._post("next case", "/case/next", {})
        for number in range(1, cases + 1):
            if not (found := re.match(r"/case/([0-9a-f-]{36})", place)):
                return
            case = f"/case/{found[1]}"
            html = self._get("case", place)
            for picture in re.findall(r'<img src="([^"]+)"[^>]*fetchpriority', html.replace("\n", " ")):
                self._get("face", picture.replace("&amp;", "&"))
            self._get("comparison", f"{case}/likeness?judgement=confirmed")
            if number % RENEW_EVERY == 0:
                self._post("heartbeat", f"{case}/renew", {})
            if number % QUEUE_EVERY == 0:
                self._get("queue", "/queue")
            if number % SEARCH_EVERY == 0:
                self._get("search", f"/search?q=account-{rng.randrange(40_000)}")
            place = self._post("decision", f"{case}/decide", {"decision": "confirmed", "reason": "same_person"})

    def _get(self, kind: str, path: str) -> str:
        return self._ask(kind, "GET", path, None).data.decode("utf-8", "replace")

    def _post(self, kind: str, path: str, fields: Mapping[str, str]) -> str:
        """Where it leads."""
        body = urlencode({TOKEN_FIELD: self._csrf, **fields}).encode()
        return self._ask(kind, "POST", path, body).headers.get("Location", "")

    def _ask(self, kind: str, method: str, path: str, body: bytes | None) -> urllib3.BaseHTTPResponse:
        answer = self._pool.request(method, path, body=body, headers=self._headers, redirect=False)
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status}")
        self._times[kind].append(milliseconds_of(answer))
        return answer


def milliseconds_of(answer: urllib3.BaseHTTPResponse) -> float:
    """The server's own time."""
    return float(answer.headers["Server-Timing"].partition("dur=")[2])
