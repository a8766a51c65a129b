"""How fast the console's pages are at 100,000 cases.

`python -m benchmarks.console`: on SQLite and on PostgreSQL, first each page by itself, then one moderator at work.
Times are the server's own, from a request's arrival to its answer (Server-Timing). How many moderators one process
serves: benchmarks/console_load.py.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
from rich.table import Table
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.console_cases import MASTER_KEY, fill
from benchmarks.console_pages import visit
from benchmarks.console_shift import Times, work
from config import load_settings
from likeness.console import err, out
from likeness.page_server import PageServer
from records.audit import AuditLog
from records.database import open_database
from records.people.api_tokens import ApiTokens
from records.people.moderators import ModeratorRecords
from records.people.web_sessions import WebSessions
from tests.support.postgres import postgres_server
from web.app import make_app
from web.desk import open_desk

CASES = 100_000
CASES_ALONE = 100
VISITS = 60
DEMAND_MS = 50


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="benchmarks.console", description=__doc__)
    options.add_argument("--cases", type=int, default=CASES)
    options.add_argument("--serve", metavar="URL", help="only serve a database; for this program itself")
    chosen = options.parse_args(argv)
    if chosen.serve:
        _serve(chosen.serve)
        return
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as folder:
        _measure("SQLite", f"sqlite:///{Path(folder) / 'likeness.db'}", chosen)
    with postgres_server() as server:
        _measure("PostgreSQL", server.create_database(), chosen)


def _measure(name: str, url: str, chosen: argparse.Namespace) -> None:
    with closing(open_database(url)) as database:
        database.migrate()
        err.print(f"{name}: opening {chosen.cases} cases ...")
        fill(database, chosen.cases)
        people = ModeratorRecords(database, MASTER_KEY)
        sessions = WebSessions(database, lifetime=timedelta(hours=12), idle=timedelta(hours=12))
        everybody = people.list()
        login = next(sessions.begin(one.id) for one in everybody if one.role == "moderator")
        by_role = {str(one.role): sessions.begin(one.id) for one in everybody}
        token, _ = ApiTokens(database, AuditLog(database)).add("bench", ("cases:read",), by="bench")
        with _serving(url) as address:
            err.print(f"{name}: each page ...")
            pages = visit(address, by_role, token, VISITS)
            err.print(f"{name}: one moderator ...")
            work(address, *login, cases=5)  # the first pages compile templates
            shift = work(address, *login, cases=min(CASES_ALONE, chosen.cases // 20))
    _print(f"{name}, {chosen.cases:,} cases, each page", pages)
    _print(f"{name}, {chosen.cases:,} cases, one moderator at work", shift)


def _print(title: str, measured: Times) -> None:
    table = Table(title=f"{title}: server time, ms")
    table.add_column("page")
    for figure in ("pages", "p50", "p95", "p99"):
        table.add_column(figure, justify="right")
    for page, times in measured.items():
        table.add_row(page, str(len(times)), *(f"{np.percentile(times, q):.1f}" for q in (50, 95, 99)))
    out.print(table)
    slow = [page for page, times in measured.items() if np.percentile(times, 95) >= DEMAND_MS]
    out.print(f"Slower than {DEMAND_MS} ms at p95: {', '.join(slow) or 'none'}.")


@contextmanager
def _serving(url: str) -> Iterator[str]:
    """The console in a process of its own, so that who asks does not slow down who answers; gives its address."""
    command = [sys.executable, "-m", "benchmarks.console", "--serve", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        address = process.stdout.readline().strip()
        try:
            yield address
        finally:
            process.stdin.close()


def _serve(url: str) -> None:
    """Until stdin ends."""
    settings = load_settings()
    with closing(open_database(url)) as database:
        desk = open_desk(settings, database, MASTER_KEY)
        server = PageServer(_Timed(make_app(desk)), "127.0.0.1", 0)
        server.start()
        print(server.address, flush=True)
        sys.stdin.read()
        server.close()


class _Timed:
    """ASGI middleware: says in Server-Timing how long a page took."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()

        async def send_timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                took = 1000 * (time.perf_counter() - began)
                message["headers"] = [*message["headers"], (b"server-timing", f"page;dur={took:.2f}".encode())]
            await send(message)

        await self._app(scope, receive, send_timed)


if __name__ == "__main__":
    main()
