"""The console for tests: the real application behind a real server, and visitors who come to it over HTTP."""

import html
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
import urllib3
import uvicorn
from fastapi import APIRouter
from jinja2 import BytecodeCache, Environment

from config import load_settings
from records.announcer import utc_now
from records.audit import AuditLog
from records.database import Database
from records.errors import DatabaseAway
from records.keys.keyring import MasterKey
from records.people.moderators import Role
from web import rendering
from web.app import make_app
from web.desk import Desk, open_desk

MASTER = MasterKey.of(bytes(32))
PASSWORD = "correct horse battery staple"
Fields = Mapping[str, str] | Sequence[tuple[str, str]]
"""Of a form; in a sequence a field may come several times."""


class Compiled(BytecodeCache):
    """Templates that were compiled for one site serve the next ones, too."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket):
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket):
        self._kept[bucket.key] = bucket.bytecode_to_string()


rendering.Environment = partial(Environment, bytecode_cache=Compiled())


def make_desk(database: Database, clock=utc_now, enrols=None, **settings) -> Desk:
    """A desk over the database; `settings` as in load_settings. Nobody is tested, and nothing is sampled for a second
    judgement, unless they say so: tests tell cases apart, and their ids are new each time."""
    settings["console"] = {"golden_rate": 0, "double_review_rate": 0} | settings.get("console", {})
    return open_desk(load_settings(**settings), database, MASTER, enrols=enrols, keep_counts=timedelta(), clock=clock)


@contextmanager
def running_site(desk: Desk, *more: APIRouter, port: int = 0) -> Iterator[str]:
    """The address of the console of this desk, with more pages if need be, as long as the block lasts; at a given
    `port` until it is free again, else the server ends by itself a moment later."""
    app = make_app(desk)
    for router in more:
        app.include_router(router)
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True
    if port:
        thread.join(10)


class Visitor:
    """A browser without a screen: keeps cookies, sends forms as pages do, follows nothing by itself."""

    def __init__(self, site: str, *, address: str = "127.0.0.1", **headers: str) -> None:
        self.site = site
        self.headers = dict(headers)
        self.cookies: dict[str, str] = {}
        self._pool = urllib3.PoolManager(retries=False, timeout=20, source_address=(address, 0))

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, fields: Fields = (), *, form_of: str = "", **headers: str):
        """Sends a form; with `form_of`, with the hidden fields that this page has."""
        hidden = hidden_fields(self.get(form_of)) if form_of else {}
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | headers
        sent = [*hidden.items(), *(fields.items() if isinstance(fields, Mapping) else fields)]
        return self._ask("POST", path, urlencode(sent).encode(), headers)

    def upload(self, path: str, fields: Mapping[str, str], files: Sequence[tuple[str, str, bytes]], form_of: str = ""):
        """Sends a form with files: name of the field, of the file, and its bytes."""
        hidden = hidden_fields(self.get(form_of)) if form_of else {}
        parts = [*(hidden | dict(fields)).items(), *((field, (name, content)) for field, name, content in files)]
        body, kind = urllib3.encode_multipart_formdata(parts)
        return self._ask("POST", path, body, {"Content-Type": kind})

    def log_in(self, login: str, password: str = PASSWORD, code: str = "", **fields: str):
        return self.post("/login", {"login": login, "password": password, "code": code} | fields, form_of="/login")

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self._pool.request(method, urljoin(self.site, path), body=body, headers=sent, redirect=False)
        for line in answer.headers.getlist("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer


def entering(desk: Desk, site: str, people: Mapping[str, Role]) -> Callable[[str], Visitor]:
    """Gives visitors who are logged in; `people`: by login their roles, hired when they first come."""

    def enter(login: str) -> Visitor:
        if login not in [one.login for one in desk.moderators.list()]:
            desk.moderators.add(login, login.title(), people[login], PASSWORD)
        visitor = Visitor(site)
        visitor.log_in(login)
        return visitor

    return enter


def before_noting(monkeypatch: pytest.MonkeyPatch, audit: AuditLog, action: str, act: Callable[[], None]) -> None:
    """Has `act` done once: just before the next entry of this kind is added, which is not added when it raises."""
    append, waiting = audit.append, [act]

    def appended(actor, kind, *about):
        if kind == action and waiting:
            waiting.pop()()
        return append(actor, kind, *about)

    monkeypatch.setattr(audit, "append", appended)


def ask_at_once(visitor: Visitor, path: str, audit: AuditLog, action: str, monkeypatch: pytest.MonkeyPatch, fail=False):
    """The statuses of two requests for the path, the second of which comes while the view of the first is noted, and
    how many of the two were answered by then; with `fail` the first is not noted."""
    with ThreadPoolExecutor(1) as beside:
        second: list[Future] = []
        answered: list[int] = []

        def ask() -> None:
            second.append(beside.submit(visitor.get, path))
            answered.append(len(wait(second, timeout=0.5).done))
            if fail:
                no_database()

        before_noting(monkeypatch, audit, action, ask)
        first = visitor.get(path)
        return first.status, second[0].result().status, answered[0]


def no_database() -> None:
    """For `before_noting`."""
    raise DatabaseAway("Nobody answers there.")


def hidden_fields(page: urllib3.BaseHTTPResponse) -> dict[str, str]:
    """What all the page's forms carry, and which photos the page shows."""
    found = re.findall(r'<input type="hidden" name="(csrf_token|place|tray)" value="([^"]*)">', page.data.decode())
    return {name: html.unescape(value) for name, value in found}


def text_of(page: urllib3.BaseHTTPResponse) -> str:
    """What the page says, without its markup."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.data.decode())))


def place_of(answer: urllib3.BaseHTTPResponse) -> str:
    """Where a redirect leads."""
    assert answer.status == 303, (answer.status, text_of(answer)[:200])
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
