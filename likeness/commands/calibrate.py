"""likeness calibrate: what a model pack's similarities mean, measured on a folder of faces."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from config import load_settings
from consumers.open_detector import open_prober
from detector.calibration import Calibration, Faces, calibrate, write_calibration
from detector.impostor_tail import ImpostorTail, TooFewPairs
from detector.performance.pair_scores import LookAlikes, highest_impostors
from detector.picture import PictureLimits
from likeness.console import out, progress
from likeness.contact_sheet import contact_sheet
from likeness.destinations import check_destination
from likeness.errors import BadInput
from likeness.face_sets import EmbeddedFaces, FaceSet, embed, read_face_set
from likeness.texts import decoded

FMRS = tuple(10.0**-power for power in range(2, 10))
LOOK_ALIKES = 20


def calibrate_pack(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder per identity, or single photos of strangers.")
    ],
    data: Annotated[str, typer.Option(help="What these faces are; kept with the calibration.")],
    destination: Annotated[Path, typer.Option("--out", help="The file for policy.calibration, ending in .toml.")],
    cohorts: Annotated[
        Path | None, typer.Option(help="CSV file, identity and cohort; or have a folder per cohort in DIR.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write an HTML page of the most alike faces of two names. It holds photos.")
    ] = None,
) -> None:
    """Calibrate the model pack: which cosine keeps which false match rate; photos stay where they are."""
    if not data.strip():
        raise BadInput("--data must say what these faces are.")
    decoded(data, "--data")
    for file in (destination, *([sheet] if sheet else [])):
        check_destination(file)
    faces = read_face_set(folder, cohorts)
    settings = load_settings()
    with closing(open_prober(settings)) as detector:
        pack = detector.engine.pack
        found = embed(detector, faces, settings.pictures.max_bytes)
    with progress() as bar:
        bar.add_task("Comparing", total=None)
        calibration = _calibrate(pack, data, found)
        alike = highest_impostors(found.embeddings, found.people, LOOK_ALIKES)
    write_calibration(calibration, destination)
    if sheet is not None:
        limits = PictureLimits(**settings.pictures.model_dump())
        sheet.write_text(contact_sheet(faces, found, alike, limits), encoding="utf-8", errors="replace")
    _print(calibration, faces, found, alike)
    out.print(f"Written: {destination}. Name it in policy.calibration.", soft_wrap=True)


def _calibrate(pack: str, data: str, found: EmbeddedFaces) -> Calibration:
    labels = [str(label) for label in found.cohorts]
    try:
        calibration = calibrate(pack, data.strip(), Faces(found.embeddings, found.people, labels))
    except TooFewPairs as error:
        raise BadInput(str(error)) from error
    cohorts = {name: tail for name, tail in calibration.cohorts.items() if name}
    return replace(calibration, cohorts=cohorts)


def _print(calibration: Calibration, faces: FaceSet, found: EmbeddedFaces, alike: list[LookAlikes]) -> None:
    out.print(
        f"{calibration.pack}: {calibration.people} people on {calibration.photos} photos ({calibration.data}); "
        f"no face in {len(found.faceless)} photos."
    )
    _print_tail(calibration, calibration.tail, "All people")
    out.print(
        "Pairs of two names that are one person are fitted along, as a share of the tail that scores as pairs of one "
        f"person do: about {calibration.mislabelled_pairs:g} pairs of photos are reckoned to be, and count in no rate."
    )
    for name, tail in calibration.cohorts.items():
        _print_tail(calibration, tail, name)
    if calibration.cohorts:
        out.print(_worst(calibration))
    labels = {str(label) for label in found.cohorts if label}
    if small := sorted(labels.difference(calibration.cohorts)):
        out.print(f"Too few people for a table of their own: {', '.join(small)}.")
    for remark in faces.remarks:
        out.print(remark)
    table = Table("cosine", "one", "other", title="The most alike faces of two names: the same person?")
    for pair in alike:
        table.add_row(f"{pair.similarity:.3f}", *(_who(faces, found, row) for row in (pair.one, pair.other)))
    out.print(table)


def _print_tail(calibration: Calibration, tail: ImpostorTail, title: str) -> None:
    table = Table("FMR", "cosine", "expected detection rate", "data", title=title, title_justify="left")
    for fmr in FMRS:
        cosine = tail.cosine(fmr)
        detected = calibration.detection_rate(cosine)
        said = "supported" if tail.supports(fmr) else "extrapolated"
        table.add_row(f"{fmr:.0e}", f"{cosine:.3f}", "unknown" if detected is None else f"{detected:.1%}", said)
    out.print(table)


def _worst(calibration: Calibration) -> str:
    """Where the tails are compared: at the lowest rate that every cohort's data support."""
    fmr = max(tail.supported_fmr for tail in calibration.cohorts.values())
    name, tail = max(calibration.cohorts.items(), key=lambda named: named[1].cosine(fmr))
    needed, of_all = tail.cosine(fmr), calibration.tail.cosine(fmr)
    return (
        f"The worst cohort is {name}: for FMR {fmr:.1e} it needs cosine {needed:.3f}, all people {of_all:.3f}; "
        f"at that of all people its FMR is {tail.fmr(of_all):.1e}."
    )


def _who(faces: FaceSet, found: EmbeddedFaces, row: int) -> str:
    photo = faces.photos[int(found.photos[row])]
    return f"{faces.names[int(found.people[row])]} ({photo.name})"
