"""likeness dead-letters: look at what could not be screened, and send it to screening again."""

import getpass
import heapq
import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from config import Settings, load_settings
from consumers.dead_letter_box import DeadLetter, DeadLetterBox, Selection
from consumers.replay import Replayer, Result
from likeness.broker_asked import asking_kafka
from likeness.console import err, out, progress
from likeness.dead_letter_tables import letters_table, line, page, reasons_table, results_table
from likeness.destinations import check_destination
from likeness.errors import BadInput
from likeness.moments import moment
from likeness.texts import decoded, filled
from records.database import open_database
from records.replays import ReplayRecords

app = typer.Typer(help="Dead letters: list, show, replay.", no_args_is_help=True)

ReasonOption = Annotated[list[str] | None, typer.Option(help="Only those with this reason; may be given again.")]
SinceOption = Annotated[
    str | None, typer.Option(help="Only those that failed since: 30m, 2h, 7d, or an ISO 8601 time.")
]


@app.command("list")
def list_letters(
    reason: ReasonOption = None,
    since: SinceOption = None,
    account: Annotated[str | None, typer.Option(help="Only those of this account.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many, the newest first; all are counted.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per dead letter and line.")] = False,
) -> None:
    """The newest dead letters, and how many there are by reason."""
    settings = load_settings()
    account = None if account is None else decoded(account, "--account")
    selection = Selection(reasons=_reasons(reason), since=_since(since), account_id=account)
    counts = Counter[str]()
    with _opened(settings) as (box, replays):
        newest = heapq.nlargest(limit, _counted(box.letters(selection), counts), key=lambda one: one.failed_at)
        known = replays.find([one.dead_letter_id for one in newest])
    if as_json:
        for letter in newest:
            print(json.dumps(line(letter, known.get(letter.dead_letter_id)), ensure_ascii=False))
    else:
        out.print(letters_table(newest, known))
        out.print(reasons_table(counts))
    _tell_unreadable(box)


@app.command()
def show(
    dead_letter: Annotated[str, typer.Argument(metavar="ID", help="The dead_letter_id.")],
    save: Annotated[
        Path | None, typer.Option(help="Write the upload, byte by byte, to this new file; only you can read it.")
    ] = None,
) -> None:
    """One dead letter, without the bytes of its upload."""
    wanted = _id(dead_letter)
    if save is not None:
        check_destination(save)
    with _opened(load_settings()) as (box, replays):
        (letter,) = _found(box, [wanted])
        ((_, original),) = box.originals([letter])
        known = replays.find([wanted])
    for name, text in page(letter, original, known.get(wanted)):
        out.print(f"{name:<12} {text}", soft_wrap=True)
    if save is None:
        return
    if original is None or original.value is None:
        raise BadInput(f"Nothing is saved: the upload {letter.original} {'has no value' if original else 'is gone'}.")
    with os.fdopen(os.open(save, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(original.value)


@app.command()
def replay(
    dead_letters: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="The dead_letter_ids.")] = None,
    reason: ReasonOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    since: SinceOption = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that were replayed before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: Annotated[str | None, typer.Option(help="Who replays; your login name otherwise.")] = None,
) -> None:
    """Send the uploads of dead letters to screening again, each once. Exit code 2 if some could not be sent."""
    if [bool(dead_letters), bool(reason), everything].count(True) != 1:
        raise BadInput("Say which: the ids of dead letters, or --reason, or --all.")
    if dead_letters and since:
        raise BadInput("--since goes with --reason or --all, not with ids.")
    ids = [_id(one) for one in dead_letters or ()]
    settings = load_settings()
    selection = Selection(frozenset(ids), _reasons(reason), _since(since))
    name = _login() if by is None else filled(by, "--by")
    counts, results = Counter[str](), Counter[Result]()
    with _opened(settings) as (box, replays):
        # all are found before the first is sent: what fails once more meanwhile is a new letter, and not of these
        letters = list(_counted(_found(box, ids) if ids else box.letters(selection), counts))
        letters.sort(key=lambda letter: letter.place)
        if not ids or dry_run:
            out.print(reasons_table(counts))
        if dry_run or not letters:
            return
        if not (ids or yes):
            _ask(f"Replay {len(letters)} dead letters?")
        with closing(Replayer(settings.kafka, box, replays, name, again=again)) as replayer, progress() as bar:
            task = bar.add_task("Replaying", total=len(letters))
            for handful in replayer.replay(letters):
                results += handful
                bar.advance(task, handful.total())
    out.print(results_table(results))
    if results["replayed"]:
        print("What becomes of them: screenings, or new dead letters (`likeness dead-letters list --since 5m`).")
    if results["gone"] or results["refused"]:
        raise typer.Exit(2)


def _ask(question: str) -> None:
    """Raises BadInput unless somebody at a terminal says yes."""
    if not sys.stdin.isatty():
        raise BadInput("Nothing was replayed: nobody can be asked here, so say --yes.")
    if not typer.confirm(question, err=True):
        raise BadInput("Nothing was replayed.")


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[DeadLetterBox, ReplayRecords]]:
    with (
        asking_kafka(settings.kafka),
        closing(open_database(settings.database_url)) as database,
        DeadLetterBox(settings.kafka, settings.topics) as box,
    ):
        database.migrate()
        yield box, ReplayRecords(database)


def _counted(letters: Iterable[DeadLetter], counts: Counter[str]) -> Iterator[DeadLetter]:
    """Hands the letters on, counts them by reason, and shows how many there are already."""
    with progress() as bar:
        task = bar.add_task("Reading", total=None)
        for letter in letters:
            counts[letter.reason] += 1
            bar.update(task, description=f"Dead letters read: {counts.total():,}")
            yield letter


def _found(box: DeadLetterBox, ids: list[str]) -> list[DeadLetter]:
    """The letters with these ids. Raises BadInput unless all are there."""
    missing = set(ids)
    letters = []
    for letter in box.letters(Selection(ids=frozenset(ids))):
        letters.append(letter)
        missing.discard(letter.dead_letter_id)
        if not missing:
            return letters
    raise BadInput(f"There is no dead letter {', '.join(sorted(missing))}.")


def _tell_unreadable(box: DeadLetterBox) -> None:
    if box.unreadable:
        err.print(f"Messages on the topic that are no dead letters: {box.unreadable}.")


def _id(given: str) -> str:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise BadInput(f"{given!a} is no dead_letter_id, such as 39498248-7c4e-5631-9dd7-4be6a912debf.") from None


def _reasons(given: list[str] | None) -> frozenset[str]:
    return frozenset(filled(one, "--reason") for one in given or ())


def _since(given: str | None) -> datetime | None:
    return None if given is None else moment(given, datetime.now(UTC))


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise BadInput("This user has no login name: say who replays with --by.") from None
