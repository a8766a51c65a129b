"""likeness gallery: the protected identities and their references."""

import sys
from collections import defaultdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from config import load_settings
from likeness.console import err, out, progress
from likeness.enrolling import Enroller, Person, report
from likeness.errors import BadInput
from likeness.folders import identity_folders
from likeness.workbench import open_records, open_workbench
from records.errors import AmbiguousName
from records.gallery import GalleryRecords
from records.references import IdentitySummary

app = typer.Typer(help="The gallery: add, import, list, show, remove identities and references.", no_args_is_help=True)


class Kind(StrEnum):
    celebrity = "celebrity"
    victim = "victim"


KindOption = Annotated[Kind, typer.Option(help="What kind of identity.")]
ProvenanceOption = Annotated[
    str, typer.Option(help="Where the photos come from and by what right: source, licence or consent.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Accept photos that lie nearer to another identity.")]
WhoArgument = Annotated[str, typer.Argument(help="The identity's id or exact name.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The identity's name; a known one gets more references.", metavar="NAME")],
    photos: Annotated[list[Path], typer.Argument(help="Reference photos, one face each.", metavar="PHOTO")],
    kind: KindOption,
    provenance: ProvenanceOption,
    own_account: Annotated[
        list[str] | None, typer.Option(help="An account that this person really holds; may be given again.")
    ] = None,
    face: Annotated[int | None, typer.Option(help="Which face of the photo, 1 = the largest.")] = None,
    force: ForceOption = False,
) -> None:
    """Add an identity, or references to it: all photos or, if one is refused, none."""
    _demand(provenance)
    for text in (name, *(own_account or ())):
        _not_blank(text)
    for photo in photos:
        if not photo.is_file():
            raise BadInput(f"There is no photo {photo}.")
    settings = load_settings()
    person = Person(name, kind.value, provenance, tuple(own_account or ()))
    with open_workbench(settings) as bench:
        result = Enroller(bench, settings).enrol(person, photos, face=face, force=force, all_or_none=True)
    report(result, _say)
    if result.refused:
        raise BadInput(f"Nothing was added; photos refused: {len(result.refused)} of {len(photos)}.")
    print(
        f"{result.identity_id}  {name}: references added: {len(result.accepted)}, known already: {len(result.known)}."
    )


@app.command("import")
def import_folder(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder per identity, named for it; photos in it.")],
    kind: KindOption,
    provenance: ProvenanceOption,
    force: ForceOption = False,
) -> None:
    """Import a folder of identities. Good photos are added, refused ones named; exit code 2 if there were any."""
    _demand(provenance)
    groups = _groups(folder)
    settings = load_settings()
    accepted = known = refused = 0
    with open_workbench(settings) as bench, progress() as bar:
        enroller = Enroller(bench, settings)
        say = partial(err.print, soft_wrap=True)
        for name, photos in bar.track(groups.items(), description="Importing"):
            try:
                result = enroller.enrol(Person(name, kind.value, provenance), photos, force=force, all_or_none=False)
            except (AmbiguousName, BadInput) as wrong:
                say(f"refused {name}: {wrong}")
                refused += len(photos)
                continue
            report(result, say)
            accepted += len(result.accepted)
            known += len(result.known)
            refused += len(result.refused)
    print(f"References added: {accepted}, known already: {known}, photos refused: {refused}.")
    if refused:
        raise typer.Exit(2)


@app.command("list")
def list_identities() -> None:
    """All identities."""
    with open_records(load_settings()) as records:
        table = Table("id", "name", "kind", "status", "references", "own accounts", "model packs")
        for one in records.list_identities():
            packs = ", ".join(one.packs)
            table.add_row(one.id, one.name, one.kind, one.status, str(one.references), str(one.own_accounts), packs)
    out.print(table)


@app.command()
def show(who: WhoArgument) -> None:
    """One identity with its references, without biometrics."""
    with open_records(load_settings()) as records:
        one = records.show(_find(records, who).id)
    out.print(
        f"{one.id}  {one.name}  ({one.kind}, {one.status}), change {one.sequence} of {one.updated_at:%Y-%m-%d %H:%M}"
    )
    out.print(f"own accounts: {', '.join(one.own_accounts) or 'none'}")
    table = Table("reference", "added", "picture", "face", "quality", "model packs", "provenance")
    for reference in one.references:
        table.add_row(
            reference.id,
            f"{reference.added_at:%Y-%m-%d}",
            f"{reference.width}x{reference.height}",
            f"{min(reference.face_box[2:]):.0f} px",
            f"{reference.quality:.2f}",
            ", ".join(reference.packs),
            reference.provenance,
        )
    out.print(table)


@app.command()
def remove(
    who: WhoArgument,
    reference: Annotated[str | None, typer.Option(help="Remove only this reference.")] = None,
) -> None:
    """Erase an identity with its key, or one of its references."""
    with open_records(load_settings()) as records:
        identity = _find(records, who)
        if reference is None:
            records.remove_identity(identity.id)
            print(f"{identity.id}  {identity.name}: erased.")
            return
        if reference not in {one.id for one in records.show(identity.id).references}:
            raise BadInput(f"{identity.name} has no reference {reference}.")
        records.remove_reference(reference)
        print(f"{reference} of {identity.name}: erased.")


@app.command("own-account")
def own_account(
    who: WhoArgument,
    account: Annotated[str, typer.Argument(help="The account's id on the platform.")],
    forget: Annotated[bool, typer.Option("--forget", help="It is not theirs any more.")] = False,
) -> None:
    """Note an account that the identity really holds: it is never flagged for that identity."""
    _not_blank(account)
    with open_records(load_settings()) as records:
        identity = _find(records, who)
        change = records.remove_own_account if forget else records.add_own_account
        changed = change(identity.id, account)
    print(
        f"{identity.name}: {account} {'is no longer' if forget else 'is'} an own account"
        + ("." if changed else ", as before.")
    )


@app.command()
def publish() -> None:
    """Publish every identity anew, after the topic gallery-changes was lost or an older database restored."""
    with open_records(load_settings()) as records:
        count = records.publish_anew()
    print(f"{count} identities wait in the outbox; running consumers publish them.")


def _find(records: GalleryRecords, who: str) -> IdentitySummary:
    found = records.find_identity(who)
    if found is None:
        raise BadInput(f"There is no identity {who!r} in the gallery.")
    return found


def _demand(provenance: str) -> None:
    if not provenance.strip():
        raise BadInput("--provenance must say where the photos come from and by what right they are used.")


def _not_blank(text: str) -> None:
    if not text.strip():
        raise BadInput("A name or an account cannot be blank.")


def _groups(folder: Path) -> dict[str, list[Path]]:
    """Photos by identity; folders that differ in an underscore only are one identity's."""
    groups = defaultdict[str, list[Path]](list)
    for name, photos in identity_folders(folder):
        groups[name.replace("_", " ")] += photos
    if not groups:
        raise BadInput(f"{folder} holds no folder with photos: one folder per identity is expected.")
    return groups


def _say(line: str) -> None:
    print(line, file=sys.stderr)
