"""likeness moderators: who may log in to the console, and as what."""

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from config import load_settings
from likeness.console import out
from likeness.errors import BadInput
from likeness.operator_name import operator
from likeness.texts import filled
from records.database import open_database
from records.keys.open_master_key import open_master_key
from records.people.moderators import Moderator, ModeratorRecords

app = typer.Typer(help="Who may log in to the console: add, list, role, password, disable.", no_args_is_help=True)


class RoleName(StrEnum):
    moderator = "moderator"
    lead = "lead"
    curator = "curator"
    administrator = "administrator"
    auditor = "auditor"


LoginArgument = Annotated[str, typer.Argument(metavar="LOGIN", help="What they log in with, in upper or lower case.")]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password, one line, from stdin instead of asking for it.")
]


@app.command()
def add(
    login: LoginArgument,
    name: Annotated[str, typer.Option(help="What others see them as.")],
    role: Annotated[RoleName, typer.Option(help="What they may do.")],
    password_stdin: StdinOption = False,
    openid_connect: Annotated[
        bool,
        typer.Option("--openid-connect", help="They come by OpenID Connect with this login, without a password."),
    ] = False,
) -> None:
    """Add somebody who may log in, with a first password of at least 12 characters."""
    login, name = filled(login, "A login"), filled(name, "--name")
    if openid_connect and password_stdin:
        raise BadInput("Who comes by OpenID Connect has no password here: give one of the two options.")
    with _opened() as moderators:
        password = None if openid_connect else _password(password_stdin)
        added = moderators.add(login, name, role.value, password, by=operator())
    print(f"{added.login} may log in as {added.role}; id {added.id}.")


@app.command("list")
def list_moderators(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per moderator and line.")] = False,
) -> None:
    """All who may log in, or might until they were disabled."""
    with _opened() as moderators:
        known = moderators.list()
    if as_json:
        for one in known:
            print(
                json.dumps({key: value for key, value in asdict(one).items() if key != "settings"}, ensure_ascii=False)
            )
        return
    table = Table("login", "name", "role", "second factor", "state", "id")
    for one in known:
        state = "disabled" if one.disabled else "active"
        table.add_row(one.login, one.name, one.role, "yes" if one.has_totp else "no", state, one.id)
    out.print(table)


@app.command("role")
def change_role(login: LoginArgument, role: Annotated[RoleName, typer.Argument(metavar="ROLE")]) -> None:
    """Give another role; it counts from the next page on."""
    with _found(login) as (moderators, one):
        moderators.set_role(one.id, role.value, by=operator())
    print(f"{one.login} was {one.role} and is {role.value} now.")


@app.command("password")
def change_password(login: LoginArgument, password_stdin: StdinOption = False) -> None:
    """Set a new password; ends their sessions and a lock-out."""
    with _found(login) as (moderators, one):
        moderators.set_password(one.id, _password(password_stdin), by=operator())
    print(f"{one.login} has a new password and is logged out everywhere.")


@app.command()
def disable(login: LoginArgument) -> None:
    """Log them out and let them log in no more; what they did stays on record."""
    with _found(login) as (moderators, one):
        moderators.disable(one.id, by=operator())
    print(f"{one.login} may not log in any more.")


@app.command()
def enable(login: LoginArgument) -> None:
    """Let somebody log in again who was disabled, or is locked out after wrong passwords."""
    with _found(login) as (moderators, one):
        moderators.enable(one.id, by=operator())
    print(f"{one.login} may log in.")


@app.command("reset-totp")
def reset_totp(login: LoginArgument) -> None:
    """Take the second factor away from somebody who has lost it; ends their sessions."""
    with _found(login) as (moderators, one):
        moderators.reset_totp(one.id, by=operator())
    print(f"{one.login} logs in with the password alone until a second factor is set up anew.")


@contextmanager
def _opened() -> Iterator[ModeratorRecords]:
    settings = load_settings()
    with closing(open_database(settings.database_url)) as database:
        database.migrate()
        yield ModeratorRecords(database, open_master_key(settings.keys, settings.master_key_file, create=True))


@contextmanager
def _found(login: str) -> Iterator[tuple[ModeratorRecords, Moderator]]:
    with _opened() as moderators:
        yield moderators, moderators.by_login(filled(login, "A login"))


def _password(from_stdin: bool) -> str:
    """The password: typed twice, or a line of stdin. Raises BadInput."""
    if from_stdin:
        try:
            line = sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise BadInput("The password on stdin is not text in UTF-8.") from None
        if "\n" in line:
            raise BadInput("The password on stdin must be one line.")
        return line
    if not sys.stdin.isatty():
        raise BadInput("Nobody can be asked for the password here: give it on stdin with --password-stdin.")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise BadInput("The two passwords differ; nothing was changed.")
    return password
