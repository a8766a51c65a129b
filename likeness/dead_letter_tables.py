"""How dead letters are shown: a row, a JSON object, a page. Texts from outside are made harmless for a terminal."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from consumers.dead_letter_box import DeadLetter
from consumers.outgoing import OutgoingMessage
from consumers.replay import Result
from records.replays import Replay

LONGEST = 200
"""Characters of a key or header that are shown."""

RESULTS: dict[Result, str] = {
    "replayed": "sent again now",
    "already": "were replayed before (--again sends them once more)",
    "in_hand": "somebody else is sending them, or was interrupted: free ten minutes after that",
    "gone": "the original is not in the letter, and its topic holds it no more",
    "refused": "the broker refuses their size: see max.message.bytes of the topic",
}


def letters_table(letters: list[DeadLetter], replays: dict[str, Replay]) -> Table:
    table = Table("dead letter", "failed at (UTC)", "reason", "event", "account", "upload", "bytes", "replayed")
    for letter in letters:
        table.add_row(
            letter.dead_letter_id,
            _time(letter.failed_at),
            printable(letter.reason),
            printable(letter.event_id or ""),
            printable(letter.account_id or ""),
            str(letter.original),
            f"{letter.size:,}",
            _replayed(replays.get(letter.dead_letter_id)),
        )
    return table


def reasons_table(counts: Counter[str]) -> Table:
    table = Table("reason", "dead letters")
    for reason, count in counts.most_common():
        table.add_row(printable(reason), f"{count:,}")
    table.add_row("all", f"{counts.total():,}")
    return table


def results_table(counts: Counter[Result]) -> Table:
    table = Table("result", "dead letters", "")
    for result, meaning in RESULTS.items():
        if counts[result] or result == "replayed":
            table.add_row(result.replace("_", " "), f"{counts[result]:,}", meaning)
    return table


def line(letter: DeadLetter, replay: Replay | None) -> dict[str, Any]:
    """The JSON object of one letter."""
    return asdict(letter) | {
        "failed_at": letter.failed_at.isoformat(),
        "place": letter.place._asdict(),
        "original": letter.original._asdict(),
        "replay": None
        if replay is None
        else {
            "state": replay.state,
            "by": replay.replayed_by,
            "claimed_at": replay.claimed_at.isoformat(),
            "sent_at": replay.sent_at.isoformat() if replay.sent_at else None,
        },
    }


def page(letter: DeadLetter, original: OutgoingMessage | None, replay: Replay | None) -> Iterator[tuple[str, str]]:
    """Names and texts of all there is to know of a letter but the original's value."""
    yield "dead letter", letter.dead_letter_id
    yield "stands at", str(letter.place)
    yield "failed at", _time(letter.failed_at)
    yield "reason", printable(letter.reason)
    yield "detail", printable(letter.detail)
    yield "event", printable(letter.event_id or "unknown")
    yield "account", printable(letter.account_id or "unknown")
    yield "upload", str(letter.original)
    yield "uploaded at", _time(datetime.fromtimestamp(letter.timestamp_ms / 1000, UTC))
    held = "" if not letter.omitted else ", not in the letter for its size"
    yield "bytes", f"{letter.size:,}{held}{'' if original else ', and held no more by its topic'}"
    if original is not None:
        yield "key", "none" if original.key is None else _shown(original.key)
        for name, value in original.headers:
            yield "header", f"{printable(name)}: {_shown(value)}"
    yield "replayed", _replayed(replay) or "no"


def printable(text: str) -> str:
    """`text` on one line, without what a terminal would obey."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _shown(value: bytes) -> str:
    text = printable(value.decode(errors="backslashreplace"))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(value):,} bytes)"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _replayed(replay: Replay | None) -> str:
    if replay is None:
        return ""
    if replay.state == "sent" and replay.sent_at is not None:
        return f"{_time(replay.sent_at)} by {printable(replay.replayed_by)}"
    return f"begun {_time(replay.claimed_at)} by {printable(replay.replayed_by)}"
