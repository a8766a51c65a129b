"""likeness audit: prove that the log of what people did is whole, and read it."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from config import load_settings
from likeness.console import err, out, progress
from likeness.dead_letter_tables import printable
from likeness.texts import decoded
from records.audit import AuditLog
from records.audit_export import check_export
from records.database import open_database

app = typer.Typer(help="The audit log: verify, list.", no_args_is_help=True)


@app.command()
def verify(
    file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Check this export of the log, and ask no database."),
    ] = None,
) -> None:
    """Prove the log, or an export of it, whole; exit code 1 and the first broken entry if it is not."""
    if file is not None:
        _verify_export(file)
        return
    with _opened() as log, progress() as bar:
        newest = log.read(limit=1)
        task = bar.add_task("Verifying", total=None)
        broken = log.verify(lambda done, total: bar.update(task, completed=done, total=total))
    if broken is not None:
        err.print(f"The audit log is broken from entry {broken.number} on. {broken.why}", soft_wrap=True)
        raise typer.Exit(1)
    if not newest:
        print("The audit log is whole: it has no entry yet.")
        return
    (last,) = newest
    print(f"The audit log is whole, from entry 1 to entry {last.number}, whose hash is {last.hash}.")


@app.command("list")
def list_entries(
    subject: Annotated[
        str | None, typer.Option(help="Only about this: the id of a case, an identity or a moderator.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only by this one: a moderator's id, or operator:LOGIN.")] = None,
    before: Annotated[int | None, typer.Option(min=1, help="Only entries with a lower number.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per entry and line, with its hash.")] = False,
) -> None:
    """The newest entries. It does not verify them."""
    subject, actor = (
        None if given is None else decoded(given, option)
        for given, option in ((subject, "--subject"), (actor, "--actor"))
    )
    with _opened() as log:
        entries = log.read(subject, actor, before, limit)
    if as_json:
        for entry in entries:
            print(json.dumps(asdict(entry) | {"at": entry.at.isoformat()}, ensure_ascii=False))
        return
    table = Table("number", "at (UTC)", "actor", "action", "subject", "details")
    for entry in entries:
        details = " ".join(f"{name}={value}" for name, value in entry.details.items())
        at = f"{entry.at:%Y-%m-%d %H:%M:%S}"
        texts = (entry.actor, entry.action, entry.subject, details)
        table.add_row(str(entry.number), at, *map(printable, texts))
    out.print(table)


def _verify_export(file: Path) -> None:
    with file.open(encoding="utf-8", errors="replace") as lines:
        found = check_export(lines)
    if found.broken is not None:
        err.print(f"The export is broken from line {found.broken} on. {found.why}", soft_wrap=True)
        raise typer.Exit(1)
    if not found.entries:
        print("The export is whole: it has no entry.")
        return
    left_out = f"; {found.left_out} between them were not asked for" if found.left_out else ""
    print(
        f"The export is whole: {found.entries} of the entries {found.first} to {found.last}{left_out}. "
        f"The hash of entry {found.last} is {found.last_hash}."
    )


@contextmanager
def _opened() -> Iterator[AuditLog]:
    """The log; not a byte of the database is changed for it. Raises SchemaMismatch where no table has been made yet."""
    with closing(open_database(load_settings().database_url)) as database:
        database.check()
        yield AuditLog(database)
