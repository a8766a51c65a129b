"""likeness tokens: programs that may use the API."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from config import load_settings
from likeness.console import err, out
from likeness.operator_name import operator
from likeness.texts import filled
from records.announcer import utc_now
from records.audit import AuditLog
from records.database import open_database
from records.people.api_tokens import ApiToken, ApiTokens

app = typer.Typer(help="Programs that may use the API: add, list, revoke.", no_args_is_help=True)


class ScopeName(StrEnum):
    read = "cases:read"
    decide = "cases:decide"
    pictures = "pictures:read"
    appeals = "appeals:write"
    reports = "reports:write"
    flag = "reports:flag"


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which program it is for.")],
    scope: Annotated[list[ScopeName], typer.Option(help="What it may do; give it several times for more.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="It expires after so many days.")] = 90,
) -> None:
    """Make a token. It is printed once, alone on stdout, for a pipe into where secrets are kept."""
    name = filled(name, "A name")
    with _opened() as tokens:
        expires_at = utc_now() + timedelta(days=days)
        text, token = tokens.add(name, [one.value for one in scope], expires_at=expires_at, by=operator())
    err.print(f"Token {token.id} for {name} expires on {expires_at:%Y-%m-%d}; it is not shown again:", soft_wrap=True)
    print(text)


@app.command("list")
def list_tokens(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per token and line.")] = False,
) -> None:
    """All tokens, those that are revoked or expired too; never what they read."""
    with _opened() as tokens:
        known = tokens.list()
    if as_json:
        for token in known:
            print(json.dumps(asdict(token), default=str, ensure_ascii=False))
        return
    table = Table("name", "scopes", "state", "expires", "last used", "id")
    for token in known:
        expires = f"{token.expires_at:%Y-%m-%d}" if token.expires_at else "never"
        used = f"{token.used_at:%Y-%m-%d %H:%M}" if token.used_at else "never"
        table.add_row(token.name, " ".join(token.scopes), _state(token), expires, used, token.id)
    out.print(table)


@app.command()
def revoke(token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, as `list` shows it.")]) -> None:
    """End a token at once."""
    with _opened() as tokens:
        token = tokens.revoke(filled(token_id, "An id"), by=operator())
    print(f"The token for {token.name} lets nobody in any more.")


def _state(token: ApiToken) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "active" if token.works(utc_now()) else "expired"


@contextmanager
def _opened() -> Iterator[ApiTokens]:
    with closing(open_database(load_settings().database_url)) as database:
        database.migrate()
        yield ApiTokens(database, AuditLog(database))
