"""likeness evidence: check an evidence file or a receipt anywhere, and give out the keys that they are checked with."""

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from config import load_settings
from likeness.console import err
from likeness.errors import BadInput
from likeness.evidence_check import EvidenceWrong, check_file
from records.database import open_database
from records.keys.open_master_key import open_master_key
from records.keys.sealing import SealingKeys
from records.keys.signing import PublicKey, SigningKeys, jwks, read_jwks

app = typer.Typer(help="Evidence files: verify one, give out the public keys.", no_args_is_help=True)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="The ZIP, or a receipt.")],
    key: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The platform's public keys, had from itself (/.well-known/likeness-signing-keys.json). Without them "
            "the file can only be shown to be whole, not who made it.",
        ),
    ] = None,
) -> None:
    """Check a file on any machine, without settings, database or network; exit code 1 and the first thing that is wrong
    with it."""
    keys = _keys(key) if key is not None else None
    try:
        found = check_file(file, keys)
    except EvidenceWrong as wrong:
        err.print(f"{file.name} is not as it was made: {wrong}.", soft_wrap=True)
        raise typer.Exit(1) from None
    for line in found.says:
        print(line)
    if keys is None:
        print("Whose key it is was not checked: give --key with the platform's public keys, had from the platform.")


@app.command("key")
def show_keys() -> None:
    """The public keys of this deployment, as the report page gives them out: a JSON Web Key Set.

    Those of use `sig` sign; for the one of use `enc` your form seals reports that travel by Kafka."""
    settings = load_settings()
    with closing(open_database(settings.database_url)) as database:
        database.check()
        master_key = open_master_key(settings.keys, settings.master_key_file, create=False)
        keys = jwks(SigningKeys(database, master_key).public_keys())
        if settings.topics.reports:
            keys["keys"].append(SealingKeys(database, master_key).public_key())
        print(json.dumps(keys, indent=2))


def _keys(path: Path) -> list[PublicKey]:
    try:
        return read_jwks(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInput(f"{path}: {error}") from None
