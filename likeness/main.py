"""The program's entry: collects the commands."""

import importlib.metadata
import resource
import sys
from typing import Annotated

import typer

from likeness.commands import (
    audit,
    calibrate,
    config,
    coop,
    dead_letters,
    doctor,
    erasure,
    evaluate,
    evidence,
    gallery,
    keys,
    lookback,
    migrate,
    models,
    moderators,
    policy,
    privacy,
    run_consumer,
    screen,
    serve,
    tokens,
)
from likeness.errors import one_sentence

app = typer.Typer(
    name="likeness",
    help="Screens avatar uploads for stolen faces.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its boxes break one sentence into several lines
)
app.command("run")(run_consumer.run)
app.command("serve")(serve.serve)
app.command("lookback")(lookback.look_back)
app.command("migrate")(migrate.migrate)
app.command("screen")(screen.screen)
app.command("doctor")(doctor.doctor)
app.command("evaluate")(evaluate.evaluate)
app.command("calibrate")(calibrate.calibrate_pack)
app.add_typer(policy.app, name="policy")
app.add_typer(gallery.app, name="gallery")
app.add_typer(models.app, name="models")
app.add_typer(config.app, name="config")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(moderators.app, name="moderators")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")
app.add_typer(erasure.app, name="erasure")
app.add_typer(evidence.app, name="evidence")
app.add_typer(privacy.app, name="privacy")
app.add_typer(tokens.app, name="tokens")
app.add_typer(coop.app, name="coop")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"likeness {importlib.metadata.version('likeness')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Screens avatar uploads for stolen faces."""


def run() -> None:
    """The program; ends the process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold faces and keys
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be text
    with one_sentence():
        app()
