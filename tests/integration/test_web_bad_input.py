"""Whatever is sent to whichever page: an answer in words, never a fault of ours; on SQLite and on PostgreSQL."""

import logging
import re
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import insert

from records.announcer import utc_now
from records.people.schema_people import ModeratorRow
from tests.support.console_site import Visitor, make_desk, running_site
from web.app import make_app

ROLES = ("moderator", "lead", "curator", "administrator", "auditor")
BAD = ("", "a\0b", "\ud800", "-1", "9" * 30, "x" * 5_000, "../..", "nobody", "💥'\"<b>")
LEAVES = ("/logout",)
"""What ends the session that all others are asked in."""


@pytest.fixture
def seats(database):
    """The address of a site, and a visitor of each role with the token of their forms."""
    with database.write() as session:
        for role in ROLES:
            row = {"id": role, "login": role, "name": role.title(), "role": role, "settings": "{}", "failures": 0}
            session.execute(insert(ModeratorRow).values(row | {"created_at": utc_now()}))
    desk = make_desk(database)
    with running_site(desk) as site:
        visitors = []
        for role in ROLES:
            visitor = Visitor(site)
            visitor.cookies["__Host-likeness"], begun = desk.sessions.begin(role)
            visitors.append((visitor, begun.csrf_token))
        yield desk, visitors


def listed(routes, prefix=""):
    """Path and route of each page."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield prefix + route.path, route
        elif inner := getattr(route, "original_router", None) or getattr(route, "app", None):
            yield from listed(getattr(inner, "routes", ()), prefix + getattr(route, "path", ""))


def escaped(text):
    return quote(text.encode(errors="surrogatepass"), safe="")


def asked(path, route):
    """Addresses with one bad part each: of the path, or of the query."""
    for bad in BAD:
        if "{" in path and bad:
            yield re.sub(r"\{[^}]+\}", escaped(bad), path)
        for one in route.dependant.query_params:
            yield f"{re.sub(r'{[^}]+}', 'nobody', path)}?{one.alias}={escaped(bad)}"
    yield re.sub(r"\{[^}]+\}", "nobody", path)


@pytest.mark.timeout(600)
def test_no_address_and_no_form_finds_a_fault(seats, caplog):
    desk, visitors = seats
    faults, count = set(), 0
    for path, route in listed(make_app(desk).routes):
        if path in LEAVES:
            continue
        plain = re.sub(r"\{[^}]+\}", "nobody", path)
        forms = [{}] + [{one.alias: bad} for one in route.dependant.body_params for bad in BAD]
        for visitor, token in visitors:  # of those who may enter, the first
            asks, sends = "GET" in route.methods, "POST" in route.methods
            if (visitor.get(plain) if asks else visitor.post(plain, X_CSRF_Token=token)).status == 403:
                continue
            answers = [visitor.get(place) for place in dict.fromkeys(asked(path, route))] if asks else []
            answers += [visitor.post(plain, encoded(form), X_CSRF_Token=token) for form in forms] if sends else []
            count += len(answers)
            faults |= {f"{path}: {answer.status}" for answer in answers if answer.status == 500}
            break
    assert count > 300
    assert sorted(faults) == []
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def encoded(form):
    return {name: value.encode(errors="surrogatepass") for name, value in form.items()}
