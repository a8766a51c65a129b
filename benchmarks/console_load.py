"""What one `likeness serve` carries: fifty moderators over 100,000 cases, on PostgreSQL and on SQLite.

`python -m benchmarks.console_load`: first as people work, a case every fifteen seconds each; then as fast as it goes.
The process is the real one, with a Kafka broker behind it; Locust is the moderators. Times are the moderators' own,
from a request to the whole answer. `--write` puts the tables into docs/console.md. Needs the extra `bench`.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from kafka import TopicPartition
from rich.table import Table
from sqlalchemy import text

from benchmarks.console_cases import MASTER_KEY, fill
from config import Settings
from consumers.kafka import make_consumer, read_to_end
from demo.broker import EmbeddedBroker
from likeness.console import err, out
from records.database import Database, open_database
from records.people.moderators import ModeratorRecords
from records.people.web_sessions import WebSessions
from tests.chaos import report
from tests.support.console_process import ConsoleProcess, console_settings
from tests.support.models import cache
from tests.support.postgres import postgres_server
from tests.support.running_service import eventually

PAGE = Path(__file__).parents[1] / "docs" / "console.md"
THINK_SECONDS = 15.0
HEAD = ("page", "requests a second", "p50, ms", "p95, ms", "p99, ms", "errors")


@dataclass(frozen=True, slots=True)
class Load:
    """One run: of each kind of page its cells of HEAD, the last of all together; and what must be so."""

    title: str
    rows: Sequence[Sequence[str]]
    errors: int
    held_twice: int
    decided: int
    settled: int
    sent: int

    @property
    def sentence(self) -> str:
        return (
            f"{self.title}: {self.decided:,} decisions, of which {self.settled:,} settled a case (the others await a "
            f"second person) and {self.sent:,} were sent to Kafka; cases in two hands: {self.held_twice}; "
            f"errors: {self.errors}."
        )


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="benchmarks.console_load", description=__doc__)
    options.add_argument("--cases", type=int, default=100_000)
    options.add_argument("--moderators", type=int, default=50)
    options.add_argument("--seconds", type=int, default=60, help="of each run")
    options.add_argument("--write", action="store_true", help="put the tables into docs/console.md")
    chosen = options.parse_args(argv)
    loads: list[Load] = []
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as folder, EmbeddedBroker(Path(folder)) as broker:
        with postgres_server() as server:
            loads += _measure(server.name, server.create_database(), broker, Path(folder) / "postgresql", chosen)
        url = f"sqlite:///{Path(folder) / 'likeness.db'}"
        loads += _measure("SQLite", url, broker, Path(folder) / "sqlite", chosen)
    for load in loads:
        _print(load)
    if chosen.write:
        report.write(PAGE, [line for load in loads for line in _written(load)], "load")
        out.print(f"Written to {PAGE.name}.")
    if any(load.held_twice or load.errors or load.sent != load.settled for load in loads):
        raise SystemExit(1)


def _measure(name: str, url: str, broker: EmbeddedBroker, home: Path, chosen: argparse.Namespace) -> Iterator[Load]:
    unmixed = {"grace_seconds": 1, "golden_rate": 0, "double_review_rate": 0}
    settings = console_settings(broker, home, cache() / "models", database={"url": url}, console=unmixed)
    with closing(open_database(url)) as database:
        database.migrate()
        err.print(f"{name}: opening {chosen.cases} cases ...")
        fill(database, chosen.cases)
        with ConsoleProcess(settings) as console:
            told, settled = 0, _settled(database)
            for how, think in (("a case every 15 s each", THINK_SECONDS), ("as fast as it goes", 0.0)):
                err.print(f"{name}: {chosen.moderators} moderators, {how} ...")
                title = f"{name}, {chosen.cases:,} cases, {chosen.moderators} moderators, {how}"
                rows, seen = _run(console.address, _logins(database, chosen.moderators), think, chosen.seconds, home)
                eventually(lambda: _waiting(database) == 0, 120, pause=1.0)
                sent = len(_decisions(settings)) - told
                told, settled, before = told + sent, _settled(database), settled
                errors = sum(int(row[-1]) for row in rows[:-1])
                yield Load(title, rows, errors, seen["held_twice"], seen["decided"], settled - before, sent)


def _logins(database: Database, count: int) -> list[tuple[str, str]]:
    people = ModeratorRecords(database, MASTER_KEY)
    sessions = WebSessions(database, lifetime=timedelta(hours=12), idle=timedelta(hours=12))
    begun = [sessions.begin(one.id) for one in people.list() if one.role == "moderator"][:count]
    return [(token, session.csrf_token) for token, session in begun]


def _run(
    address: str, logins: Sequence[tuple[str, str]], think: float, seconds: int, folder: Path
) -> tuple[list[tuple[str, ...]], dict[str, int]]:
    """Cells of HEAD by kind of page, and what Locust's side saw."""
    seen, plan = folder / "seen.json", folder / "plan.json"
    seen.unlink(missing_ok=True)
    plan.write_text(json.dumps({"logins": logins, "think_seconds": think, "seen": str(seen)}))
    command = [sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("console_locust.py")), "--headless"]
    command += ["--host", address, "-u", str(len(logins)), "-r", str(len(logins)), "-t", f"{seconds}s"]
    command += ["--stop-timeout", "30", "--csv", str(folder / "load"), "--only-summary", "--loglevel", "WARNING"]
    environment = os.environ | {"LIKENESS_BENCH": str(plan)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if not seen.exists():  # that a request failed is told by the table
        raise RuntimeError(f"Locust ended with {ended.returncode}: {ended.stderr[-2000:]}")
    with (folder / "load_stats.csv").open() as file:
        rows = [
            (
                line["Name"] if line["Name"] != "Aggregated" else "all",
                f"{float(line['Requests/s']):.1f}",
                *(f"{float(line[quantile]):.0f}" for quantile in ("50%", "95%", "99%")),
                line["Failure Count"],
            )
            for line in csv.DictReader(file)
        ]
    return rows, json.loads(seen.read_text())


def _waiting(database: Database) -> int:
    """Decisions that are not final or not sent yet."""
    with database.read() as session:
        pending = session.scalar(text("SELECT count(*) FROM case_decisions WHERE state = 'pending'")) or 0
        return pending + (session.scalar(text("SELECT count(*) FROM decisions_to_send")) or 0)


def _settled(database: Database) -> int:
    """Decisions that the platform is told."""
    with database.read() as session:
        return session.scalar(text("SELECT count(*) FROM case_decisions WHERE state = 'final'")) or 0


def _decisions(settings: Settings) -> list[object]:
    """All messages on review-decisions."""
    with closing(make_consumer(settings.kafka)) as consumer:
        topic = settings.topics.decisions
        consumer.assign([TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)])
        return [record for records in read_to_end(consumer, threading.Event()) for record in records]


def _print(load: Load) -> None:
    table = Table(*HEAD, title=load.title)
    for row in load.rows:
        table.add_row(*row)
    out.print(table)
    out.print(load.sentence)


def _written(load: Load) -> list[str]:
    head = [f"| {' | '.join(HEAD)} |", "|---|" + "---:|" * (len(HEAD) - 1)]
    return [load.sentence, "", *head, *(f"| {' | '.join(row)} |" for row in load.rows), ""]


if __name__ == "__main__":
    main()
