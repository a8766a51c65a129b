"""The moderation console of the demo: where it listens, whether every review became a case, and who may log in."""

import secrets
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from config import Settings
from demo.broker import free_port
from records.database import open_database
from records.errors import UnknownCase
from records.keys.open_master_key import open_master_key
from web.desk import Desk, open_desk

USUAL_PORT = 8080
LOGIN = "demo"


def console_settings(settings: Settings) -> Settings:
    """Those of the screening consumer, with ports for a second process beside it."""
    return settings.model_copy(
        update={
            "http": settings.http.model_copy(update={"port": free_port()}),
            "web": settings.web.model_copy(update={"host": "127.0.0.1", "port": _console_port()}),
        }
    )


@contextmanager
def demo_desk(settings: Settings) -> Iterator[Desk]:
    """The records that the console's pages work with."""
    with closing(open_database(settings.database_url)) as database:
        yield open_desk(settings, database, open_master_key(settings.keys, settings.master_key_file, create=False))


def wait_for_cases(desk: Desk, reviews: Sequence[Mapping[str, Any]], seconds: float = 30.0) -> int:
    """How many of the reviews are cases with their picture: all as soon as they are, else those after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        count = sum(_is_case(desk, str(review["review_id"])) for review in reviews)
        if count == len(reviews) or time.monotonic() > deadline:
            return count
        time.sleep(0.1)


def add_lead(desk: Desk) -> str:
    """Adds somebody who may work every queue, under the login `LOGIN`; the password, which nobody else knows."""
    password = secrets.token_hex(8)
    desk.moderators.add(LOGIN, "Demo", "lead", password)
    return password


def _is_case(desk: Desk, case_id: str) -> bool:
    try:
        desk.cases.get(case_id)
    except UnknownCase:
        return False
    return desk.cases.picture(case_id) is not None


def _console_port() -> int:
    """The usual one, or a free one when somebody has it."""
    try:
        socket.create_server(("127.0.0.1", USUAL_PORT)).close()
    except OSError:
        return free_port()
    return USUAL_PORT
