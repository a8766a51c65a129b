"""likeness erasure: look whether anything is left of somebody who was erased, and erase again after a restore."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from config import Settings, load_settings
from likeness.broker_asked import asking_kafka
from likeness.console import err, out
from likeness.erasure_milvus import look_at_milvus
from likeness.erasure_topic import look_at_topics
from likeness.errors import BadInput
from likeness.operator_name import operator
from likeness.raw_search import files_below, photo_needles, search, text_needles
from likeness.texts import decoded, filled
from records.audit import AuditLog
from records.database import Database, open_database
from records.keys.keyring import MasterKey
from records.keys.open_master_key import open_master_key
from records.keys.sealing import SealingKeys
from records.keys.signing import SigningKeys
from records.reports import erasures
from records.reports.erasure import Erasure
from records.reports.remains import Check, Remains

app = typer.Typer(help="Erased people: verify, list, erase again after a restore.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class _Opened:
    settings: Settings
    database: Database
    erasure: Erasure
    remains: Remains
    sealing: SealingKeys
    master_key: MasterKey


@app.command()
def verify(
    case: Annotated[str, typer.Argument(metavar="CASE", help="Case number, or id of the report or the identity.")],
    files: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            help="Search raw bytes: database, broker logs, backups; a file or a folder. May be given again.",
        ),
    ] = None,
    photo: Annotated[
        list[Path] | None, typer.Option(exists=True, dir_okay=False, help="For --files: a photo to look for.")
    ] = None,
    text: Annotated[list[str] | None, typer.Option(help="For --files: a text to look for, such as an address.")] = None,
    topic: Annotated[bool, typer.Option(help="Whether Kafka is asked, too.")] = True,
) -> None:
    """Look whether anything of an erased person is left that can be read; exit code 1 if there is.

    We keep nothing to search for: what is looked for in raw bytes is the reporter's own copy."""
    needles = _needles(photo or [], text or [])
    if bool(files) != bool(needles):
        raise BadInput("A search of raw bytes needs both --files, and --photo or --text to look for.")
    with _opened() as opened:
        subject = opened.remains.find(decoded(case, "CASE"))
        erased = subject.erased
        checks = [*opened.remains.checks(subject)]
        if topic:
            with asking_kafka(opened.settings.kafka):
                checks += look_at_topics(opened.settings, subject, opened.sealing)
        checks.append(look_at_milvus(opened.settings, subject, opened.database, opened.master_key))
        checks += _elsewhere(opened.settings, topic)
    if files:
        checks += _raw(files, needles)
    print(f"{subject.number or erased.identity_id}: erased at {erased.at:%Y-%m-%d %H:%M:%S} UTC ({erased.request}).")
    table = Table("where", "", "what is there")
    for check in checks:
        table.add_row(check.where, "LEFT" if check.left else "ok", check.says)
    out.print(table)
    if left := sum(1 for check in checks if check.left):
        err.print(f"Something is left in {left} of {len(checks)} places.", soft_wrap=True)
        raise typer.Exit(1)
    print("Nothing that can be read is left in any of these places.")


@app.command("list")
def list_erasures(
    as_json: Annotated[bool, typer.Option("--json", help="One object a line, for `likeness erasure replay`.")] = False,
) -> None:
    """Who was erased, by ids, oldest first. Keep the JSON apart from the database's backups."""
    with _opened() as opened:
        found = opened.erasure.list()
    if as_json:
        for one in found:
            print(json.dumps(erasures.written(one)))
        return
    table = Table("erased at (UTC)", "request", "report", "identity", "what there was")
    for one in found:
        counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in one.erased.items() if count)
        at = f"{one.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(at, one.request, one.report_id or "", one.identity_id or "", counts)
    out.print(table)


@app.command()
def replay(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="What `list --json` wrote.")
    ],
) -> None:
    """After an older copy of the database was put back: erase again whom the file names."""
    told = [_read(number, line) for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if line]
    with _opened() as opened:
        back = [one for one in told if opened.erasure.again(one, operator())]
    print(f"Erasures in the file: {len(told)}; of these came back and were erased again: {len(back)}.")
    if any(one.identity_id for one in back):
        print("Run `likeness gallery publish` now, as after any restore.")


def _elsewhere(settings: Settings, topic: bool) -> Sequence[Check]:
    """What is not looked at, and why that is enough."""
    topics = settings.topics
    kept = "nothing by person: sealed with a key of their day, destroyed {} days later"
    probes = kept.format(settings.look_back.days) if settings.look_back.days else "none are kept (look_back.days = 0)"
    checks = [
        Check(f"topic {topics.probes}", 0, probes),
        Check("object stores, folders of pictures", 0, "Likeness writes to none"),
    ]
    if not topic:
        checks.append(Check("other topics", 0, "not looked at (--no-topic)"))
    return checks


def _needles(photos: Sequence[Path], texts: Sequence[str]) -> Mapping[str, Sequence[bytes]]:
    found: dict[str, Sequence[bytes]] = {}
    for photo in photos:
        if not (pieces := photo_needles(photo.read_bytes())):
            raise BadInput(f"{photo} is too plain to be told from other files.")
        found[photo.name] = pieces
    for number, text in enumerate(texts, 1):
        try:
            found[f"text {number}"] = text_needles(filled(text, "--text"))
        except ValueError as error:
            raise BadInput(str(error)) from None
    return found


def _raw(paths: Sequence[Path], needles: Mapping[str, Sequence[bytes]]) -> Sequence[Check]:
    hits = [Check(str(hit.path), 1, f"{hit.what} at byte {hit.offset}") for hit in search(paths, needles)]
    count = sum(1 for _ in files_below(paths))
    return hits or [Check("raw bytes", 0, f"{', '.join(needles)}: in none of {count} files")]


def _read(number: int, line: str) -> erasures.Erased:
    try:
        said: Any = json.loads(line)
        return erasures.read(said)
    except ValueError as error:
        raise BadInput(f"Line {number}: {error}") from None


@contextmanager
def _opened() -> Iterator[_Opened]:
    settings = load_settings()
    with closing(open_database(settings.database_url)) as database:
        database.check()
        master_key = open_master_key(settings.keys, settings.master_key_file, create=False)
        erasure = Erasure(database, master_key, AuditLog(database))
        remains = Remains(database, SigningKeys(database, master_key))
        yield _Opened(settings, database, erasure, remains, SealingKeys(database, master_key), master_key)
