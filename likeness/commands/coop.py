"""likeness coop: the cases that ROOST Coop refused."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer
from rich.table import Table

from config import load_settings
from likeness.console import out
from records.casework.coop_reports import CoopReports
from records.database import open_database

app = typer.Typer(help="Cases that ROOST Coop refused: list, retry.", no_args_is_help=True)


@app.command("list")
def list_refused(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per case and line.")] = False,
) -> None:
    """The cases that Coop refused, and why."""
    with _opened() as reports:
        refused = reports.refused()
    if as_json:
        for one in refused:
            print(json.dumps({"case_id": one.case_id, "opened_at": one.created_at.isoformat(), "why": one.why}))
        return
    table = Table("case", "opened", "why")
    for one in refused:
        table.add_row(one.case_id, f"{one.created_at:%Y-%m-%d %H:%M}", one.why)
    out.print(table)


@app.command()
def retry() -> None:
    """Have the console send them again, once Coop's item type or the settings are mended."""
    with _opened() as reports:
        print(f"{reports.retry()} refused cases are sent again by the console.")


@contextmanager
def _opened() -> Iterator[CoopReports]:
    with closing(open_database(load_settings().database_url)) as database:
        database.migrate()
        yield CoopReports(database)
