"""likeness evaluate: how well a model pack tells people apart, on a folder of faces, and whether all alike."""

import json
import math
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from config import load_settings
from consumers.open_detector import open_prober
from detector.performance.cohorts import FMRS, MEASURES
from detector.performance.evaluation import Verification, verification
from likeness.console import out
from likeness.destinations import check_destination
from likeness.errors import BadInput
from likeness.evaluation import Evaluation, evaluate_faces, notable, show, summary
from likeness.face_sets import EmbeddedFaces, FaceSet, embed, read_face_set
from likeness.policies import policy_for

SEED = 19795
"""Of the resampling: the same faces give the same intervals."""


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder per identity, photos in it.")],
    pairs: Annotated[Path | None, typer.Option(help="LFW's pairs file: also verification accuracy.")] = None,
    cohorts: Annotated[
        Path | None, typer.Option(help="CSV file, identity and cohort; or have a folder per cohort in DIR.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report with ROC and DET plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the model pack: FMR, FNMR, FPIR and TPIR with 95 % intervals, by cohort; photos stay where they are.

    Identities with one photo are the strangers; without any, every second identity is. All others have one reference.
    """
    faces = read_face_set(folder, cohorts)
    if len(faces.names) < 4 or np.sum(np.bincount(faces.people) > 1) < 2:
        raise BadInput(f"{folder} needs a folder per identity: at least four, two of them with two photos or more.")
    compared = _read_pairs(pairs, faces) if pairs else None
    if report is not None:
        _check_report(report)
    settings = load_settings()
    detector = open_prober(settings)
    try:
        policy = policy_for(settings, detector.engine.pack)
        found = embed(detector, faces, settings.pictures.max_bytes)
        verified = _verify(compared, found) if compared else None
        random = np.random.default_rng(SEED)
        result, curves = evaluate_faces(detector.engine.pack, faces, found, policy, verified, random)
    finally:
        detector.close()
    if report is not None:
        from likeness.report import report as page

        report.write_text(page(result, curves), encoding="utf-8", errors="replace")
    if as_json:
        print(json.dumps(asdict(result)))
    else:
        _print(result)


def _check_report(report: Path) -> None:
    """Before the long work, not after it."""
    from likeness.plots import need_matplotlib

    need_matplotlib()
    check_destination(report)


def _read_pairs(pairs: Path, faces: FaceSet) -> list[tuple[int, int, int, bool]]:
    """Fold, two photos, same person or not, of LFW's pairs file: `name n m` or `name n other m`, numbers from 1."""
    by_place = {(photo.parent.name, photo.stem): place for place, photo in enumerate(faces.photos)}

    def photo(name: str, number: str) -> int:
        found = by_place.get((name, f"{name}_{number:0>4}"))
        if found is None:
            raise BadInput(f"{pairs} names photo {number} of {name}, which is not in the folder.")
        return found

    lines = [line.split() for line in pairs.read_text(errors="replace").splitlines() if line.strip()]
    if len(lines) < 2 or len(lines[0]) > 2 or not all(field.isdecimal() and int(field) for field in lines[0]):
        raise BadInput(
            f"{pairs} is not a pairs file: its first line gives the folds and the pairs of each kind in one."
        )
    folds, each = (int(lines[0][0]), int(lines[0][1])) if len(lines[0]) > 1 else (1, int(lines[0][0]))
    read = []
    for number, line in enumerate(islice(lines, 1, None)):
        if len(line) == 3:
            (name, first), (other, second) = (line[0], line[1]), (line[0], line[2])
        elif len(line) == 4:
            name, first, other, second = line
        else:
            raise BadInput(f"{pairs}, pair {number + 1}: three or four fields are expected, there are {len(line)}.")
        fold = min(number // (2 * each), folds - 1)
        read.append((fold, photo(name, first), photo(other, second), len(line) == 3))
    return read


def _verify(pairs: list[tuple[int, int, int, bool]], found: EmbeddedFaces) -> Verification:
    """Pairs with a photo that gave no face count as not the same person, as a verifier would answer."""
    rows = {int(photo): row for row, photo in enumerate(found.photos)}
    similarities = [
        float(found.embeddings[rows[one]] @ found.embeddings[rows[other]]) if one in rows and other in rows else -1.0
        for _, one, other, _ in pairs
    ]
    return verification(
        np.array(similarities, np.float32),
        np.array([same for _, _, _, same in pairs]),
        np.array([fold for fold, _, _, _ in pairs], np.intp),
    )


def _print(result: Evaluation) -> None:
    out.print(summary(result))
    table = Table("FPIR asked", "FPIR seen", "threshold", "TPIR", "95 % interval", title="Open-set identification")
    for point in result.open_set:
        if not point.resolved:
            needed = math.ceil(1 / point.asked_fpir)
            table.add_row(f"{point.asked_fpir:.1%}", "-", "-", f"needs {needed} stranger photos", "unresolved")
            continue
        interval = f"{point.tpir_low:.1%} to {point.tpir_high:.1%}"
        row = (f"{point.asked_fpir:.1%}", f"{point.fpir:.2%}", f"{point.threshold:.3f}", f"{point.tpir:.1%}", interval)
        table.add_row(*row)
    out.print(table)
    for place, threshold in enumerate(result.thresholds):
        title = f"At cosine {threshold.cosine:.3f}: {threshold.name}"
        table = Table("group", "people", "faces", *(name.upper() for name in MEASURES), title=title)
        for group in result.groups:
            rates = (show(name, getattr(group.at[place], name)) for name in MEASURES)
            table.add_row(group.cohort or "all people", str(group.people), str(group.faces), *rates)
        out.print(table)
    table = Table("group", *(f"at FMR {fmr:g}" for fmr in FMRS), title="FNMR")
    for group in result.groups:
        rates = (show("fnmr", at.fnmr) if at.fnmr else "unresolved" for at in group.fnmr_at)
        table.add_row(group.cohort or "all people", *rates)
    out.print(table)
    if found := result.verification:
        out.print(
            f"Verification: {found.accuracy:.2%} ± {found.deviation:.2%} over {found.folds} folds, {found.pairs} pairs."
        )
    for sentence in notable(result):
        out.print(sentence)
