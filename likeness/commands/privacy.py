"""likeness privacy: who was shown what of a person, and the sheet that an impact assessment begins with."""

import json
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.table import Table

from config import load_settings
from likeness.console import out
from likeness.dead_letter_tables import printable
from likeness.privacy_sheet import privacy_sheet
from likeness.texts import decoded
from records.announcer import utc_now
from records.audit import AuditLog
from records.database import open_database
from records.faces_kept import inventory
from records.keys.open_master_key import open_master_key
from records.processing import readings

app = typer.Typer(help="Record of processing and impact sheet: reads, sheet.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command()
def reads(
    whom: Annotated[str, typer.Argument(help="The id of an identity or a report, or a case number.")],
    as_json: JsonOption = False,
) -> None:
    """Who was shown what of a person, when and for what purpose, the newest first; also of somebody who was erased."""
    with closing(open_database(load_settings().database_url)) as database:
        database.check()
        found = readings(AuditLog(database), decoded(whom, "Whom"))
    if as_json:
        for one in found:
            print(json.dumps(asdict(one) | {"at": one.at.isoformat()}, ensure_ascii=False))
        return
    table = Table("at (UTC)", "who", "what", "purpose", "entry")
    for one in found:
        table.add_row(f"{one.at:%Y-%m-%d %H:%M:%S}", *map(printable, (one.who, one.what, one.purpose)), str(one.entry))
    out.print(table)


@app.command()
def sheet(as_json: JsonOption = False) -> None:
    """What is kept of people here, why, for how long and under which key: Markdown, for GDPR 35 and PIPL 55."""
    settings = load_settings()
    with closing(open_database(settings.database_url)) as database:
        database.check()
        master_key = open_master_key(settings.keys, settings.master_key_file, create=False)
        made = privacy_sheet(settings, inventory(database), master_key, utc_now())
    if as_json:
        print(json.dumps(made.as_json(), ensure_ascii=False, indent=2))
    elif out.is_terminal:
        out.print(Markdown(made.as_markdown()))
    else:
        print(made.as_markdown())
