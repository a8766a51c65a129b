"""A database that hangs: pages say so within seconds, and come back by themselves."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from starlette.responses import Response

from records.database import open_database
from tests.support.console_site import PASSWORD, Visitor, make_desk, running_site
from web.deadline import DEADLINE_SECONDS, Deadline

MANY = 45
"""More than there are threads for pages."""


@pytest.fixture
def desk(postgres):
    with closing(open_database(postgres.create_database(migrated=True))) as database:
        database.migrate()
        yield make_desk(database)


def test_a_frozen_database_is_told_within_seconds_on_every_page_and_to_programs(desk, postgres):
    desk.moderators.add("mo", "Mo Li", "moderator", PASSWORD)
    token, _ = desk.tokens.add("Tool", ("cases:read",), by="operator:root")
    with running_site(desk) as site:
        visitor = Visitor(site)
        visitor.log_in("mo")
        assert visitor.get("/queue").status == 200
        with postgres.frozen(), ThreadPoolExecutor(MANY + 1) as people:
            began = time.monotonic()
            program = people.submit(Visitor(site, Authorization=f"Bearer {token}").get, "/api/v1/cases")
            pages = [one.result() for one in [people.submit(visitor.get, "/queue") for _ in range(MANY)]]
            told = program.result()
            took = time.monotonic() - began
        assert {page.status for page in pages} == {503}
        assert took < DEADLINE_SECONDS + 4
        assert all("The records do not answer" in page.data.decode() for page in pages)
        assert all("default-src 'none'" in page.headers["Content-Security-Policy"] for page in pages)
        assert (told.status, json.loads(told.data)["reason"]) == (503, "database_away")
        assert int(told.headers["Retry-After"]) > 0
        assert visitor.get("/queue").status == 200


def test_a_page_that_begins_in_the_moment_of_the_deadline_is_the_only_answer(monkeypatch):
    monkeypatch.setattr("web.deadline.DEADLINE_SECONDS", 0.2)
    said = []

    async def page(scope, receive, send):
        asyncio.get_running_loop().call_later(0.1, time.sleep, 0.2)  # a busy machine: both moments pass at once
        await asyncio.sleep(0.18)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"page"})

    async def say(message):
        said.append(message.get("status") or message.get("body"))

    app = Deadline(page, (), lambda request: Response("late", 503))
    asyncio.run(app({"type": "http", "path": "/queue"}, None, say))
    assert said == [200, b"page"]
