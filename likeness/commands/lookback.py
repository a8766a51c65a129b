"""likeness lookback: search earlier uploads for who is protected since."""

import signal
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import Annotated

import typer

from config import load_settings
from consumers.look_back.service import LookBackService
from consumers.look_back.worker import LookBackWorker
from likeness.broker_asked import asking_kafka
from likeness.console import out, progress
from likeness.errors import BadInput
from likeness.logs import set_up_logs
from likeness.low_priority import give_way
from likeness.moments import moment
from likeness.operator_name import operator
from likeness.workbench import open_records
from records.reports.look_backs import LookBack, LookBacks


def look_back(
    since: Annotated[
        str | None,
        typer.Option(help="Search all uploads since: 30m, 2h, 7d, or an ISO 8601 time; end when that is done."),
    ] = None,
    identity: Annotated[
        list[str] | None, typer.Option(help="Search for this identity, by its id; may be given again. Else for all.")
    ] = None,
) -> None:
    """Search earlier uploads for people who are protected since. Without --since: whenever a report is approved, until
    SIGTERM or Ctrl-C. What is found becomes cases. Screening goes first."""
    if identity and since is None:
        raise BadInput("--identity goes with --since.")
    settings = load_settings()
    from_then = None if since is None else moment(since, datetime.now(UTC))
    stop = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    if from_then is None:
        set_up_logs(settings.log.level, settings.log.format)
        give_way()
        with LookBackService(settings, stop) as service:
            service.follow()
        return
    with open_records(settings) as records:
        active = [one.id for one in records.list_identities() if one.status == "active"]
    if unknown := sorted(set(identity or ()) - set(active)):
        raise BadInput(f"There is no active identity {', '.join(unknown)}: `likeness gallery list` has the ids.")
    if not active:
        raise BadInput("Nobody is in the gallery: there is nobody to be searched for.")
    give_way()
    with asking_kafka(settings.kafka), LookBackService(settings, stop) as service:
        worker, look_backs = service.open()
        asked = look_backs.ask(identity or active, operator(), from_then)
        _work(worker, look_backs, asked)
        suspended, left = look_backs.suspended(asked), look_backs.find(asked)
    _tell(left, len(asked), suspended)
    if _undone(left, suspended):
        raise typer.Exit(130)


def _work(worker: LookBackWorker, look_backs: LookBacks, asked: Sequence[str]) -> None:
    """Until all of these are done but for people who are suspended, by this process or another, or somebody wants to
    stop."""
    with progress() as bar:
        task = bar.add_task("Looking back", total=100)

        def over() -> bool:
            suspended, left = look_backs.suspended(asked), look_backs.find(asked)
            told = f"Looking back: {max((one.seen for one in left), default=0):,} uploads"
            bar.update(task, completed=min((one.percent for one in left), default=100), description=told)
            return not _undone(left, suspended)

        worker.run(over)


def _undone(left: Sequence[LookBack], suspended: Mapping[str, str]) -> bool:
    return any(one.state != "done" and one.id not in suspended for one in left)


def _tell(left: Sequence[LookBack], asked: int, suspended: Mapping[str, str]) -> None:
    seen, found = max((one.seen for one in left), default=0), sum(one.found for one in left)
    out.print(f"Uploads looked at: {seen:,}. Reviews sent: {found:,}.")
    if len(left) < asked:
        out.print(f"People erased meanwhile: {asked - len(left):,}.")
    if suspended:
        people = ", ".join(sorted(suspended.values()))
        out.print(f"Suspended, and searched for by `likeness lookback` once they are no more: {people}.")
    if _undone(left, suspended):
        out.print("It is not done: `likeness lookback` goes on from here.")
