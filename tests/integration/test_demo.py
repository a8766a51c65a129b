"""`make demo`: uploads end as they should, reviews are cases in the console, a victim is protected and erased again,
and nothing of it stays behind."""

import os
import pty
import re
import select
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from consumers.case_feed import new_case
from demo.console import USUAL_PORT, console_settings, demo_desk, wait_for_cases
from records.casework.cases import CasePicture
from records.database import open_database
from records.keys.open_master_key import open_master_key
from tests.support.console import review
from tests.support.console_site import Visitor
from tests.support.kafka_settings import kafka_settings
from tests.support.running_service import eventually

COMMAND = [sys.executable, "-m", "demo"]
CTRL_C = b"\x03"
ROOT = Path(__file__).parents[2]
ALL_WELL = (
    "16 of 16 uploads ended as expected, 9 of 9 reviews are cases for moderators, the victim's road went as it must"
)
ROAD = ["clear", "protecting", "review: same_picture", "You are protected", "a signed receipt", "clear", "Nothing that"]


@pytest.fixture
def surroundings(tansu, models, portraits, tmp_path):
    """The demo's variables: a home with all downloads in it, and settings of another deployment that must not count."""
    demo = tmp_path / "demo"
    demo.mkdir()
    (demo / "models").symlink_to(models)
    (demo / "portraits").symlink_to(next(iter(portraits.values())).parent)
    other = {"LIKENESS_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9", "LIKENESS_DATABASE__URL": "sqlite:////nowhere/at.all"}
    return os.environ | {"LIKENESS_HOME": str(tmp_path), "COLUMNS": "200"} | other


def test_without_a_terminal_it_tells_what_came_of_it_and_ends(surroundings):
    ran = subprocess.run(
        COMMAND, env=surroundings, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ALL_WELL in ran.stdout
    _, _, road = ran.stdout.partition("One victim's road")
    assert re.findall("|".join(ROAD), road) == ROAD
    assert "password" not in ran.stdout


def test_in_a_terminal_one_logs_in_to_the_console_and_works_its_cases_until_ctrl_c(surroundings, tmp_path):
    with in_terminal(surroundings) as (demo, terminal):
        shown = read_until(terminal, "Ctrl-C ends the demo.")
        assert ALL_WELL in shown
        address, login, password = re.search(r"console +(\S+) +login (\w+), password (\w+)", shown).groups()
        assert f"to report    {address}/report" in shown
        visitor = Visitor(address)
        assert visitor.get("/report").status == 200
        assert visitor.log_in(login, password).status == 303
        eventually(lambda: "9 cases wait" in visitor.get("/queue").data.decode())  # counts are kept a while
        family = psutil.Process(demo.pid).children(recursive=True)
        os.write(terminal, CTRL_C)
        assert "Ending." in read_until(terminal, "Ending.")
        assert demo.wait(60) == 0
    eventually(lambda: not any(process.is_running() for process in family))
    for log in ("consumer.log", "console.log"):
        last = (tmp_path / "demo" / "work" / log).read_text().splitlines()[-1]
        assert "Stopped." in last


def test_a_demo_that_is_killed_leaves_no_process_behind(surroundings):
    with in_terminal(surroundings) as (demo, terminal):
        read_until(terminal, "Enrolled")
        family = psutil.Process(demo.pid).children(recursive=True)
        assert family
        demo.kill()
    eventually(lambda: not any(process.is_running() for process in family))


@contextmanager
def in_terminal(surroundings):
    """The demo in a terminal of its own: its process, and the terminal's other end."""
    terminal, its_end = pty.openpty()
    demo = subprocess.Popen(
        ["setsid", "--ctty", *COMMAND], env=surroundings, cwd=ROOT, stdin=its_end, stdout=its_end, stderr=its_end
    )
    os.close(its_end)
    try:
        yield demo, terminal
    finally:
        demo.kill()
        demo.wait()
        os.close(terminal)


def read_until(terminal, words, seconds=240):
    """What the terminal shows until it shows these words, without colours."""
    shown, deadline = b"", time.monotonic() + seconds
    while words.encode() not in shown:
        assert time.monotonic() < deadline, shown.decode()
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 65_536)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())


class Nowhere:
    """A broker that is not there."""

    bootstrap_servers = "127.0.0.1:9"


def test_a_review_that_is_no_case_or_has_no_picture_is_missed(tmp_path):
    settings = kafka_settings(Nowhere, tmp_path)
    with closing(open_database(settings.database_url)) as database:
        database.migrate()
    open_master_key(settings.keys, settings.master_key_file, create=True)
    whole, bare, lost = (review() for _ in range(3))
    with demo_desk(settings) as desk:
        desk.cases.open(new_case(whole), CasePicture(b"jpeg", {}))
        desk.cases.open(new_case(bare), None)
        reviews = [{"review_id": one.review_id} for one in (whole, bare, lost)]
        assert wait_for_cases(desk, reviews, seconds=0.2) == 1
        assert wait_for_cases(desk, reviews[:1]) == 1


def test_a_console_port_that_somebody_has_is_left_to_them(tmp_path):
    settings = kafka_settings(Nowhere, tmp_path)
    with ExitStack() as stack:
        with suppress(OSError):  # somebody else on this machine may have it already
            stack.enter_context(socket.create_server(("127.0.0.1", USUAL_PORT)))
        moderation = console_settings(settings)
    assert moderation.web.port != USUAL_PORT
    assert moderation.http.port not in (settings.http.port, moderation.web.port)
