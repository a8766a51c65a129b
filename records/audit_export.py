"""The audit log as a file, JSON Lines, that can be checked anywhere: each entry with its hash and the one before it.

The last line tells how many entries there are, which were asked for, and the log's newest number and hash at that
moment; a file without it was cut off. Entries that were not asked for leave gaps between the numbers.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import aliased

from records.audit import ENTRIES, FIRST_HASH, PAGE, AuditFilter, canonical, entry_hash, moment_of
from records.database import Database
from records.schema_audit import AuditRow

BEFORE = aliased(AuditRow)
NO_LINE = "It is no line of an export."


@dataclass(frozen=True, slots=True)
class ExportChecked:
    """What a file holds: `entries` from `first` to `last`, without the `left_out` between that were not asked for.

    `broken`: the first line that is not as it was written, from 1, and `why` in a sentence; None when there is none.
    """

    entries: int = 0
    first: int = 0
    last: int = 0
    left_out: int = 0
    last_hash: str = FIRST_HASH
    broken: int | None = None
    why: str = ""


def export_lines(database: Database, which: AuditFilter, through: int) -> Iterator[str]:
    """Lines with their ends, of these entries up to the number `through`, oldest first. Raises DatabaseAway.

    Holds a page of them at a time, each read in a transaction of its own: entries do not change.
    """
    number, count, newest = 0, 0, FIRST_HASH
    before = select(BEFORE.hash).where(BEFORE.number == AuditRow.number - 1).scalar_subquery().label("before")
    wanted = which.narrow(ENTRIES.add_columns(before)).where(AuditRow.number <= through).order_by(AuditRow.number)
    while True:
        with database.read() as session:
            page = session.execute(wanted.where(AuditRow.number > number).limit(PAGE)).all()
            newest = session.scalar(select(AuditRow.hash).where(AuditRow.number == through)) or FIRST_HASH
        yield "".join(_line(row) for row in page)
        if len(page) < PAGE:
            break
        number, count = page[-1].number, count + PAGE
    asked = {name: str(value) for name, value in asdict(which).items() if value is not None}
    end = {"entries": count + len(page), "asked_for": asked, "newest": {"number": through, "hash": newest}}
    yield canonical({"end": end}) + "\n"


def check_export(lines: Iterable[str]) -> ExportChecked:
    """Whether the lines are as `export_lines` wrote them; ends at the first that is not."""
    seen, place = ExportChecked(), 0
    numbered = enumerate(lines, 1)
    for place, line in numbered:
        found = _parsed(line)
        if found is None:
            return replace(seen, broken=place, why=NO_LINE)
        if "end" in found:
            if why := _wrong_end(found["end"], seen):
                return replace(seen, broken=place, why=why)
            if next(numbered, None):
                return replace(seen, broken=place + 1, why="It stands after the end: it was put in afterwards.")
            return seen
        if why := _wrong_entry(found, seen):
            return replace(seen, broken=place, why=why)
        number = found["number"]
        seen = ExportChecked(
            entries=seen.entries + 1,
            first=seen.first or number,
            last=number,
            left_out=seen.left_out + (number - seen.last - 1 if seen.entries else 0),
            last_hash=found["hash"],
        )
    return replace(seen, broken=place + 1, why="The end is missing: the file was cut off.")


def _line(row: Any) -> str:
    """What was made unreadable goes in as it lies there: the check is to find it."""
    try:
        details, at = json.loads(row.details), moment_of(row.at).isoformat(timespec="microseconds")
    except (TypeError, ValueError):
        details, at = str(row.details), str(row.at)
    said = {"number": row.number, "at": at, "actor": row.actor, "action": row.action, "subject": row.subject}
    said |= {"details": details, "previous": row.before or FIRST_HASH, "hash": row.hash}
    return json.dumps(said, ensure_ascii=False, default=str) + "\n"


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _wrong_entry(found: dict[str, Any], seen: ExportChecked) -> str:
    """What is wrong with an entry after what has been seen; "" if nothing is."""
    try:
        number, previous = found["number"], found["previous"]
        at, details = datetime.fromisoformat(found["at"]), canonical(found["details"])
        made = entry_hash(number, at, found["actor"], found["action"], found["subject"], details, previous)
    except (KeyError, TypeError, ValueError):
        return NO_LINE
    if not isinstance(number, int) or made != found["hash"]:
        return f"The hash of entry {number} is not that of its content: it was changed afterwards."
    if number <= seen.last:
        return f"Entry {number} stands after entry {seen.last}: it was moved or put in afterwards."
    if number == seen.last + 1 and previous != seen.last_hash:
        return f"Entry {number} does not follow entry {seen.last}: one of them was changed or put in afterwards."
    return ""


def _wrong_end(end: Any, seen: ExportChecked) -> str:
    try:
        count, newest = end["entries"], end["newest"]
        if count != seen.entries:
            return f"The export had {count} entries, and {seen.entries} are here: some were taken out or put in."
        if newest["number"] == seen.last and newest["hash"] != seen.last_hash:
            return f"The hash of entry {seen.last}, the log's newest, is not the one that the end tells."
    except (KeyError, TypeError):
        return NO_LINE
    return ""
