"""What the forms of the report page bring: texts and lines, without what people type around them."""

from collections.abc import Sequence

from fastapi import Request
from starlette.datastructures import FormData

from records.reports.consent import LINE_LENGTH, MOST_LINES
from web.languages import N_

LONGEST_WORDS = 4000
TOO_MANY = N_("Write at most 20 lines of 500 characters each.")
TOO_LONG = N_("Shorten it to 4,000 characters.")


async def sent_of(request: Request) -> FormData:
    """The form as it came."""
    return await request.form()


def text_in(sent: FormData, name: str) -> str:
    """What was typed into a field, without blanks at its ends and with line breaks as we write them."""
    value = sent.get(name)
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else ""


def lines_in(sent: FormData, name: str) -> tuple[str, ...]:
    """The lines of a field, each once."""
    return tuple(dict.fromkeys(line.strip() for line in text_in(sent, name).split("\n") if line.strip()))


def too_many(lines: Sequence[str]) -> bool:
    """Whether these are more, or longer, than a report may have."""
    return len(lines) > MOST_LINES or any(len(line) > LINE_LENGTH for line in lines)
