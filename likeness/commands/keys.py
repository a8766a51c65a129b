"""likeness keys: which master key is in force, put a new one in its place, and keep copies of the wrapped keys."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from config import load_settings
from likeness.console import err, out, progress
from likeness.errors import BadInput
from likeness.operator_name import operator
from records.announcer import utc_now
from records.audit import AuditLog
from records.database import Database, open_database
from records.keys.copies import copy_keys, put_back
from records.keys.keyring import MasterKey
from records.keys.open_master_key import open_master_key
from records.keys.rotation import KeyRotation
from records.reports.erasure import Erasure

app = typer.Typer(help="The master key: status, rotate, retire; copies of the wrapped keys.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class _Opened:
    database: Database
    master_key: MasterKey
    audit: AuditLog

    @property
    def rotation(self) -> KeyRotation:
        return KeyRotation(self.database, self.master_key, self.audit)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False) -> None:
    """Which keys there are, the current one first, and how many rows of each table hang on which."""
    with _opened() as opened:
        ids = opened.master_key.ids
        hanging = opened.rotation.hanging()
    if as_json:
        tables = {one.table: {key or "none": rows for key, rows in one.rows.items()} for one in hanging}
        print(json.dumps({"keys": ids, "rows": tables}))
        return
    print(
        f"{opened.master_key.source.name}: {ids[0]} is the current key"
        + "".join(f", {key} an older one" for key in ids[1:])
        + "."
    )
    table = Table("table", *ids, "opened by none")
    for one in hanging:
        table.add_row(one.table, *(str(one.rows[key]) for key in (*ids, None)))
    out.print(table)


@app.command()
def rotate() -> None:
    """Put a new master key in place and wrap all data keys by it, while everything runs; goes on if it was stopped."""
    with _opened() as opened, progress() as bar:
        made = opened.rotation.begin(operator())
        task = bar.add_task("Wrapping anew", total=None)
        anew = opened.rotation.wrap_anew(operator(), lambda done, of: bar.update(task, completed=done, total=of))
        current, *older = opened.master_key.ids
    said = f"{current} is the current key now. " if made else f"{current} is the current key. "
    then = f" `likeness keys retire` destroys what it follows: {', '.join(older)}." if older else ""
    print(f"{said}{anew} rows were wrapped anew.{then}")


@app.command()
def retire() -> None:
    """Destroy the master keys before the current one; refused while anything hangs on them."""
    with _opened() as opened:
        gone = opened.rotation.retire(operator())
    print(f"Destroyed: {', '.join(gone)}." if gone else "There is no older key.")


@app.command()
def copy(file: Annotated[Path, typer.Argument(dir_okay=False, help="A new file.")]) -> None:
    """Copy the wrapped keys into a file, to be kept apart from copies of the database; keep the newest one only."""
    settings = load_settings()
    with closing(open_database(settings.database_url)) as database:
        database.check()
        lines = 0
        try:
            with file.open("x", encoding="ascii") as target:
                file.chmod(0o600)
                for line in copy_keys(database, utc_now()):
                    target.write(f"{line}\n")
                    lines += 1
        except OSError as error:
            raise BadInput(f"{file} cannot be written: {error.strerror}.") from error
    print(f"{lines - 2} keys are in {file}. Destroy the copies before it.")


@app.command("put-back")
def put_back_copy(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What `likeness keys copy` made.")],
) -> None:
    """After a restore: take the keys from the newest copy of them, and erase again whom that copy does not know."""
    with _opened() as opened:
        with file.open(encoding="utf-8", errors="replace") as lines:
            done = put_back(opened.database, lines)
        erasure = Erasure(opened.database, opened.master_key, opened.audit)
        for identity_id in done.identities:
            erasure.remove_identity(identity_id, operator())
        for report_id in done.reports:
            erasure.withdraw(report_id, "operator", operator())
    print(
        f"{done.put} keys are those of {done.made_at:%Y-%m-%d %H:%M} UTC, {done.dropped} that were erased by then are "
        f"gone, and with them {len(done.identities)} identities and {len(done.reports)} reports."
    )
    if done.identities or done.reports:
        err.print("Run `likeness erasure replay` too: it gives each erasure its own date and request back.")


@contextmanager
def _opened() -> Iterator[_Opened]:
    settings = load_settings()
    with closing(open_database(settings.database_url)) as database:
        database.check()
        master_key = open_master_key(settings.keys, settings.master_key_file, create=False)
        yield _Opened(database, master_key, AuditLog(database))
