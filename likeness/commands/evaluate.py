"""likeness evaluate: how well a model pack tells people apart, on a folder of faces."""

import json
import math
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from config import load_settings
from consumers.open_detector import open_detector
from detector import Detector, PictureRejected
from detector.evaluation import OperatingPoint, Verification, open_set, verification
from likeness.console import out, progress
from likeness.errors import BadInput
from likeness.folders import identity_folders, read_picture


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `likeness evaluate` reports. Counts are of identities and photos; failures gave no face."""

    pack: str
    references: int
    probes: int
    strangers: int
    failures: int
    open_set: tuple[OperatingPoint, ...]
    verification: Verification | None


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder per identity, photos in it.")],
    pairs: Annotated[Path | None, typer.Option(help="LFW's pairs file: also verification accuracy.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the model pack: TPIR at FPIR 10, 1 and 0.3 % with one reference each; photos stay where they are.

    Identities with one photo are the strangers; without any, every second identity is.
    """
    photos = _photos(folder)
    compared = _read_pairs(pairs, photos) if pairs else None
    settings = load_settings()
    detector = open_detector(settings, threshold=0.5)
    try:
        embeddings = _embed(
            detector, [photo for group in photos.values() for photo in group], settings.pictures.max_bytes
        )
        result = _evaluate(detector.engine.pack, photos, embeddings, compared)
    finally:
        detector.close()
    if as_json:
        print(json.dumps(asdict(result)))
    else:
        _print(result)


def _photos(folder: Path) -> dict[str, list[Path]]:
    groups = dict(identity_folders(folder))
    if len(groups) < 4 or sum(len(files) > 1 for files in groups.values()) < 2:
        raise BadInput(f"{folder} needs a folder per identity: at least four, two of them with two photos or more.")
    return groups


def _embed(detector: Detector, photos: list[Path], max_bytes: int) -> dict[Path, NDArray[np.float32]]:
    """The embedding of the largest face of each photo that has one."""

    def probe(photo: Path) -> NDArray[np.float32] | None:
        try:
            probes = detector.probe(read_picture(photo, max_bytes))
        except PictureRejected:
            return None
        return np.asarray(probes.embeddings[0]) if probes.faces else None

    embeddings = {}
    with progress() as bar:
        found = detector.map(probe, photos)
        for photo, embedding in zip(photos, bar.track(found, len(photos), description="Embedding"), strict=True):
            if embedding is not None:
                embeddings[photo] = embedding
    return embeddings


def _evaluate(
    pack: str, photos: dict[str, list[Path]], embeddings: dict[Path, NDArray[np.float32]], pairs: Any
) -> Evaluation:
    usable = {name: [embeddings[photo] for photo in group if photo in embeddings] for name, group in photos.items()}
    several = [group for group in usable.values() if len(group) > 1]
    strangers = [group[0] for group in usable.values() if len(group) == 1]
    if not strangers:
        strangers = [embedding for group in several[1::2] for embedding in group]
        several = several[::2]
    if not several or not strangers:
        raise BadInput("Too few photos show a face: two identities with two such photos are the least.")
    probes = [(number, embedding) for number, group in enumerate(several) for embedding in group[1:]]
    points = open_set(
        np.array([group[0] for group in several]),
        np.array([embedding for _, embedding in probes]),
        np.array([number for number, _ in probes], np.intp),
        np.array(strangers),
    )
    return Evaluation(
        pack=pack,
        references=len(several),
        probes=len(probes),
        strangers=len(strangers),
        failures=sum(len(group) for group in photos.values()) - len(embeddings),
        open_set=tuple(points),
        verification=_verify(pairs, embeddings) if pairs else None,
    )


def _read_pairs(pairs: Path, photos: dict[str, list[Path]]) -> list[tuple[int, Path, Path, bool]]:
    """Fold, two photos, same person or not, of LFW's pairs file: `name n m` or `name n other m`, numbers from 1."""
    by_place = {(name, photo.stem): photo for name, group in photos.items() for photo in group}

    def photo(name: str, number: str) -> Path:
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


def _verify(pairs: list[tuple[int, Path, Path, bool]], embeddings: dict[Path, NDArray[np.float32]]) -> Verification:
    """Pairs with a photo that gave no face count as not the same person, as a verifier would answer."""
    similarities = [
        float(embeddings[one] @ embeddings[other]) if one in embeddings and other in embeddings else -1.0
        for _, one, other, _ in pairs
    ]
    return verification(
        np.array(similarities, np.float32),
        np.array([same for _, _, _, same in pairs]),
        np.array([fold for fold, _, _, _ in pairs], np.intp),
    )


def _print(result: Evaluation) -> None:
    out.print(
        f"{result.pack}: {result.references} identities with one reference, {result.probes} probes of them, "
        f"{result.strangers} stranger photos; no face in {result.failures} photos."
    )
    table = Table("FPIR asked", "FPIR seen", "threshold", "TPIR", title="Open-set identification")
    for point in result.open_set:
        if not point.resolved:
            needed = math.ceil(1 / point.asked_fpir)
            table.add_row(f"{point.asked_fpir:.1%}", "-", "-", f"needs {needed} stranger photos")
            continue
        row = (f"{point.asked_fpir:.1%}", f"{point.fpir:.2%}", f"{point.threshold:.3f}", f"{point.tpir:.1%}")
        table.add_row(*row)
    out.print(table)
    if found := result.verification:
        out.print(
            f"Verification: {found.accuracy:.2%} ± {found.deviation:.2%} over {found.folds} folds, {found.pairs} pairs."
        )
