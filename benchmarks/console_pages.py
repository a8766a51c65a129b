"""Every page of the console and every list of its API, each asked for many times by somebody who may."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

import urllib3

from benchmarks.console_shift import Times, milliseconds_of
from records.people.web_sessions import Session
from web.security import SESSION_COOKIE

API = "/api/v1"


def visit(address: str, logins: Mapping[str, tuple[str, Session]], token: str, times: int) -> Times:
    """Every page so many times. logins: by role; `token`: of a program that may read cases and decisions."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    pool = urllib3.connection_from_url(address, retries=False, timeout=60)

    def ask(who: str, path: str) -> str:
        secret = {"Authorization": f"Bearer {token}"} if who == "program" else {}
        cookie = {"Cookie": f"{SESSION_COOKIE}={logins[who][0]}"} if who in logins else {}
        answer = pool.request("GET", path, headers=secret | cookie, redirect=False)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status}")
        found[_kind(path)].append(milliseconds_of(answer))
        return answer.data.decode()

    for who, path in _pages(ask):
        for _ in range(times):
            ask(who, path)
    return {kind: all_of[1:] for kind, all_of in found.items()}  # the first one compiles a template


def _pages(ask: Callable[[str, str], str]) -> Iterator[tuple[str, str]]:
    """Who asks for what; the rest is found on the lists."""
    yield "nobody", "/login"
    for path in ("/queue", "/campaigns", "/search?q=account-77", "/search", "/quality/mine", "/account"):
        yield "moderator", path
    if campaign := re.search(r"/campaign/\w+/[\w-]+", ask("moderator", "/campaigns")):
        yield "moderator", campaign[0]
    for days in (7, 30, 90, 365):
        yield "lead", f"/quality?days={days}"
    yield "lead", "/appeals"
    appealed = re.search(r"/case/[0-9a-f-]{36}", ask("lead", "/appeals"))
    if appealed:
        yield "lead", appealed[0]
    for path in ("/identities", "/identities?q=Person+7", "/identities?state=active&kind=victim"):
        yield "curator", path
    if identity := re.search(r"/identity/idn_\w+", ask("curator", "/identities")):
        yield "curator", identity[0]
    for path in ("/people", "/tokens"):
        yield "administrator", path
    for path in ("/audit", "/audit?actor=mod-07&action=face_viewed", "/audit?action=login", "/audit?before=500"):
        yield "auditor", path
    lists = ("cases", "cases?queue=faces&state=open", "cases?account=account-77", "cases?state=closed&limit=200")
    for path in (*lists, "decisions", "decisions?limit=200", "queues"):
        yield "program", f"{API}/{path}"
    if appealed:
        yield "program", f"{API}/cases/{appealed[0].removeprefix('/case/')}"


def _kind(path: str) -> str:
    """The path, without ids."""
    return re.sub(r"idn_\w+|[0-9a-f-]{36}|(?<=picture/)[\w-]+", "…", path)
