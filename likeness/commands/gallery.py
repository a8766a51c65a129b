"""likeness gallery: the protected identities and their references."""

import sys
from collections import defaultdict
from contextlib import closing
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from config import load_settings
from consumers.open_detector import open_prober
from detector.identity import DEFAULT_REACH
from likeness.console import err, out, progress
from likeness.enrolling import Enroller, report
from likeness.errors import BadInput
from likeness.folders import identity_folders
from likeness.operator_name import operator
from likeness.reembedding import reembed
from likeness.texts import decoded, filled
from likeness.workbench import open_decisions, open_records, open_workbench
from records.errors import AmbiguousName
from records.gallery import GalleryRecords
from records.references import IdentitySummary, Person

app = typer.Typer(help="The gallery: identities, references, what moderators decided.", no_args_is_help=True)


class DecisionKind(StrEnum):
    confirmed = "confirmed"
    not_this_person = "not_this_person"
    genuine_owner = "genuine_owner"
    bad_picture = "bad_picture"


class Kind(StrEnum):
    celebrity = "celebrity"
    victim = "victim"


KindOption = Annotated[Kind, typer.Option(help="What kind of identity.")]
ProvenanceOption = Annotated[
    str, typer.Option(help="Where the photos come from and by what right: source, licence or consent.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Accept photos that lie nearer to another identity.")]
ReachOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=5,
        help="How widely the face is known, 1 (to few) to 5 (worldwide). "
        f"{DEFAULT_REACH} for a new identity; a known one keeps its own.",
    ),
]
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
    reach: ReachOption = None,
    force: ForceOption = False,
) -> None:
    """Add an identity, or references to it: all photos or, if one is refused, none."""
    _demand(provenance)
    name = filled(name, "A name")
    accounts = tuple(filled(account, "An account") for account in own_account or ())
    for photo in photos:
        if not photo.is_file():
            raise BadInput(f"There is no photo {photo}.")
    settings = load_settings()
    person = Person(name, kind.value, provenance, accounts, reach)
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
    reach: ReachOption = None,
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
                person = Person(filled(name, "A folder's name"), kind.value, provenance, reach=reach)
                result = enroller.enrol(person, photos, force=force, all_or_none=False)
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
        table = Table(
            "id", "name", "kind", "status", "references", "own accounts", "not theirs", "reach", "model packs"
        )
        for one in records.list_identities():
            table.add_row(
                one.id,
                one.name,
                one.kind,
                "quarantined" if one.quarantined_at else one.status,
                str(one.references),
                str(one.own_accounts),
                str(one.negative_pairs),
                str(one.reach),
                ", ".join(one.packs),
            )
    out.print(table)


@app.command()
def show(who: WhoArgument) -> None:
    """One identity with its references, without biometrics."""
    with open_records(load_settings()) as records:
        one = records.show(_find(records, who).id)
    out.print(
        f"{one.id}  {one.name}  ({one.kind}, {one.status}), change {one.sequence} of {one.updated_at:%Y-%m-%d %H:%M}"
    )
    out.print(f"reach {one.reach}; own accounts: {', '.join(one.own_accounts) or 'none'}")
    out.print(f"accounts known to be somebody else's: {one.negative_pairs}")
    if one.quarantined_at:
        out.print(f"quarantined since {one.quarantined_at:%Y-%m-%d %H:%M}: {one.quarantine_reason}")
    table = Table("reference", "added", "picture", "face", "quality", "model packs", "provenance", "state")
    for reference in one.references:
        table.add_row(
            reference.id,
            f"{reference.added_at:%Y-%m-%d}",
            f"{reference.width}x{reference.height}",
            f"{min(reference.face_box[2:]):.0f} px" if reference.face_box else "hash only",
            f"{reference.quality:.2f}" if reference.face_box else "",
            ", ".join(reference.packs),
            reference.provenance,
            "suspended" if reference.suspended_at else "active",
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
            records.remove_identity(identity.id, by=operator())
            print(f"{identity.id}  {identity.name}: erased.")
            return
        _demand_reference(records, identity, reference)
        records.remove_reference(reference, by=operator())
        print(f"{reference} of {identity.name}: erased.")


@app.command("own-account")
def own_account(
    who: WhoArgument,
    account: Annotated[str, typer.Argument(help="The account's id on the platform.")],
    forget: Annotated[bool, typer.Option("--forget", help="It is not theirs any more.")] = False,
) -> None:
    """Note an account that the identity really holds: it is never flagged for that identity."""
    account = filled(account, "An account")
    with open_records(load_settings()) as records:
        identity = _find(records, who)
        change = records.remove_own_account if forget else records.add_own_account
        changed = change(identity.id, account, by=operator())
    print(
        f"{identity.name}: {account} {'is no longer' if forget else 'is'} an own account"
        + ("." if changed else ", as before.")
    )


@app.command()
def decide(
    who: WhoArgument,
    account: Annotated[str, typer.Argument(help="The account's id on the platform.")],
    decision: Annotated[DecisionKind, typer.Argument(help="What a moderator found.")],
    by: Annotated[str, typer.Option(help="Who decided.")],
    review: Annotated[
        str | None, typer.Option(help="The review_id that was decided; deciding it anew replaces.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Why.")] = None,
) -> None:
    """Note a moderator's decision, and learn from it: the pair is not flagged again, or the account is their own."""
    account, by = filled(account, "An account"), filled(by, "--by")
    review = None if review is None else filled(review, "--review")
    note = None if note is None else decoded(note, "--note")
    settings = load_settings()
    with open_decisions(settings) as (records, decisions):
        identity = _find(records, who)
        follows = decisions.record(identity.id, account, decision.value, by, review, note)
    print(f"{identity.name}, {account}: {decision.value.replace('_', ' ')}.")
    if follows.negative_pair:
        print("The account is somebody else's: it is not flagged for this identity again.")
    if follows.own_account:
        print("The account is an own account: it is never flagged for this identity.")
    if follows.quarantined:
        print("The identity is in quarantine: its new reviews are held until `likeness gallery release`.")


@app.command()
def suspend(
    who: WhoArgument,
    reference: Annotated[str | None, typer.Option(help="Suspend only this reference.")] = None,
) -> None:
    """Find nothing for an identity, or with one of its references, until `likeness gallery resume`."""
    _set_suspended(who, reference, suspended=True)


@app.command()
def resume(
    who: WhoArgument,
    reference: Annotated[str | None, typer.Option(help="Take up only this reference.")] = None,
) -> None:
    """Search for a suspended identity, or with a suspended reference, again."""
    _set_suspended(who, reference, suspended=False)


@app.command()
def release(who: WhoArgument) -> None:
    """End an identity's quarantine: its reviews go to the queue again."""
    with open_decisions(load_settings()) as (records, decisions):
        identity = _find(records, who)
        lifted = decisions.lift_quarantine(identity.id, by=operator())
    print(f"{identity.name}: {'released' if lifted else 'was not in quarantine'}.")


@app.command()
def reach(who: WhoArgument, reach: Annotated[int, typer.Argument(min=1, max=5)]) -> None:
    """Say how widely the identity's face is known, 1 (to few) to 5 (worldwide): it raises the priority of its cases."""
    with open_records(load_settings()) as records:
        identity = _find(records, who)
        records.set_reach(identity.id, reach, by=operator())
    print(f"{identity.name}: reach {reach}.")


@app.command("reembed")
def reembed_gallery(
    pack: Annotated[str, typer.Option(help="The model pack to embed with; empty = the one in models.pack.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Embed every reference, also those that have the pack's embedding.")
    ] = False,
    drop: Annotated[str, typer.Option(help="Then erase the embeddings of this pack (name@version).")] = "",
) -> None:
    """Embed the references with another model pack, from the photos kept. Exit code 2 if the pack missed a face."""
    settings = load_settings(**({"models": {"pack": pack}} if pack else {}))
    embedded, refused = 0, []
    with open_records(settings) as records:
        identities = records.list_identities()
        if drop and not any(drop in one.packs for one in identities):
            raise BadInput(f"No reference has an embedding of {drop}; --drop takes name@version.")
        with closing(open_prober(settings)) as detector, progress() as bar:
            work = reembed(records, detector, everything=everything)
            total = sum(one.references for one in identities)
            for one in bar.track(work, total=total, description="Embedding"):
                if one.refused is None:
                    embedded += 1
                else:
                    refused.append(one)
        for one in refused:
            _say(f"left as it was: {one.reference_id} of {one.identity_name}: {one.refused}.")
        print(f"References embedded with {detector.engine.pack}: {embedded}, left as they were: {len(refused)}.")
        if drop and not refused:
            print(f"Embeddings of {drop} erased: {records.remove_embeddings(drop)}.")
    if refused:
        raise typer.Exit(2)


@app.command()
def publish() -> None:
    """Publish every identity anew, after the topic gallery-changes was lost or an older database restored."""
    with open_records(load_settings()) as records:
        count = records.publish_anew()
    print(f"{count} identities wait in the outbox; running consumers publish them.")


def _set_suspended(who: str, reference: str | None, *, suspended: bool) -> None:
    with open_records(load_settings()) as records:
        identity = _find(records, who)
        if reference is None:
            changed = records.set_suspended(identity.id, suspended, by=operator())
        else:
            _demand_reference(records, identity, reference)
            changed = records.suspend_reference(reference, suspended, by=operator())
    what = identity.name if reference is None else f"{reference} of {identity.name}"
    print(f"{what}: {'suspended' if suspended else 'searched for again'}" + ("." if changed else ", as before."))


def _demand_reference(records: GalleryRecords, identity: IdentitySummary, reference: str) -> None:
    if reference not in {one.id for one in records.show(identity.id).references}:
        raise BadInput(f"{identity.name} has no reference {reference}.")


def _find(records: GalleryRecords, who: str) -> IdentitySummary:
    found = records.find_identity(decoded(who, "The identity's name"))
    if found is None:
        raise BadInput(f"There is no identity {who!r} in the gallery.")
    return found


def _demand(provenance: str) -> None:
    if not decoded(provenance, "--provenance").strip():
        raise BadInput("--provenance must say where the photos come from and by what right they are used.")


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
