"""likeness config show: the settings in force."""

import json
import re
from typing import Any

import typer
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from config import load_settings

app = typer.Typer(help="Settings.", no_args_is_help=True)
MASK = "**********"
SECRET = re.compile("password|passwd|secret|token|key|credential", re.IGNORECASE)


@app.callback()
def _group() -> None:
    """Settings."""


@app.command()
def show() -> None:
    """Print the effective settings as JSON, secrets masked."""
    settings = load_settings()
    shown = settings.model_dump(mode="json")
    if settings.database.url is not None:
        shown["database"]["url"] = _masked_url(settings.database_url)
    shown["kafka"]["extra"] = _masked(settings.kafka.extra)
    print(json.dumps(shown, indent=2, default=str))


def _masked(named: dict[str, Any]) -> dict[str, Any]:
    return {name: MASK if SECRET.search(name) else value for name, value in named.items()}


def _masked_url(url: str) -> str:
    """The URL without its password, wherever that stands; nothing of a URL that cannot be parsed."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return MASK
    if parsed.password is not None:
        parsed = parsed.set(password=MASK)
    return parsed.set(query=_masked(dict(parsed.query))).render_as_string(hide_password=False)
