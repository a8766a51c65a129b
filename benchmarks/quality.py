"""Whether quality, templates and mirror images earn their place, measured on a folder of `identity/photo.jpg`.

Error versus reject: Grother and Tabassi, "Performance of Biometric Quality Measures" (PAMI 2007). Identities with one
photo are the strangers; the others make the gallery and its probes.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.table import Table

from detector import Detector
from detector.engine import embed, unit_vectors
from detector.quality import MENDABLE, quality
from detector.template import template

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

COSINE = 0.45
REJECTED = np.linspace(0, 0.3, 31)
RATES = (0.01, 0.003)
DRAWS = 5
RESAMPLES = 1000
BATCH = 16
REPEATABLE: dict[Any, Any] = {"svg.hashsalt": "likeness", "svg.fonttype": "none"}
"""So, and without a date, the same results give the same small file."""
EDITS = 5


@dataclass(frozen=True, slots=True, eq=False)
class RejectCurve:
    """`fnmr`: (31,) share of genuine pairs below the cosine once a share `REJECTED` of them, the lowest in quality, is
    left out; `area`: its mean over its start: 1 for a quality that says nothing, less is better."""

    fnmr: NDArray[np.float64]
    area: float


@dataclass(frozen=True, slots=True)
class Found:
    """TPIR by FPIR of RATES, and its gain over the first way of the study with a 95 % interval by identity."""

    tpir: tuple[float, ...]
    gain: tuple[tuple[float, float, float], ...]
    fmr: float
    """The share of strangers' comparisons with one identity at COSINE or above."""


@dataclass(frozen=True, slots=True)
class QualityResults:
    """Curves by set of photos and measure; ways by study. What `run` writes and prints."""

    curves: Mapping[str, Mapping[str, RejectCurve]]
    studies: Mapping[str, Mapping[str, Found]]


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """crops: (N, 112, 112, 3) uint8; embeddings: (N, D) float32; identities: (N,); qualities: (N,) by measure."""

    crops: Pixels
    embeddings: Floats
    identities: NDArray[np.str_]
    qualities: Mapping[str, NDArray[np.float64]]


def run(faces_folder: Path, detector: Detector, out_folder: Path) -> QualityResults:
    """Measure on the photos of `faces_folder`; writes error-versus-reject.svg into `out_folder`."""
    paths = sorted(faces_folder.glob("*/*.jpg"))
    photos = Counter(path.parent for path in paths)
    faces = _read(paths, detector, 1)
    edited = _read([path for path in paths if photos[path.parent] > 1], detector, EDITS)
    curves = {
        name: {
            measure: error_versus_reject(each.embeddings, each.identities, values)
            for measure, values in each.qualities.items()
        }
        for name, each in (("photos as they are", faces), ("photos with edits", edited))
    }
    plot(curves, out_folder / "error-versus-reject.svg")
    studies = {
        f"{count} references of each": template_study(
            faces.embeddings, faces.identities, faces.qualities["quality"], count
        )
        for count in (2, 3)
    }
    batches = [faces.crops[start : start + BATCH, :, ::-1] for start in range(0, len(faces.crops), BATCH)]
    mirrored = np.concatenate(list(detector.map(lambda batch: embed(detector.engine, batch), batches)))
    studies["mirror image"] = flip_study(faces.embeddings, mirrored, faces.identities)
    return QualityResults(curves, studies)


def error_versus_reject(
    embeddings: Floats, identities: NDArray[np.str_], qualities: NDArray[np.float64], cosine: float = COSINE
) -> RejectCurve:
    """The curve over all pairs of photos of one identity; a pair is as good as the worse of its two."""
    first, second = np.nonzero(np.triu(identities[:, None] == identities, 1))
    missed = np.einsum("nd,nd->n", embeddings[first], embeddings[second]) < cosine
    worst_first = np.argsort(np.minimum(qualities[first], qualities[second]), kind="stable")
    left = np.cumsum(missed[worst_first][::-1])[::-1]
    start = (REJECTED * len(missed)).astype(int)
    fnmr = left[start] / (len(missed) - start)
    return RejectCurve(fnmr, float(fnmr.mean() / max(fnmr[0], 1e-9)))


def plot(curves: Mapping[str, Mapping[str, RejectCurve]], path: Path) -> None:
    """One panel for each set of photos, as an SVG at `path`."""
    figure = Figure(figsize=(5 * len(curves), 4), layout="constrained")
    for axes, (name, measures) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        for measure, curve in measures.items():
            axes.plot(100 * REJECTED, 100 * curve.fnmr, label=f"{measure} ({curve.area:.2f})")
        axes.set(title=name, xlabel="pairs rejected for low quality, %", ylabel=f"FNMR at cosine {COSINE}, %")
        axes.set_ylim(bottom=0)
        axes.legend(title="measure (area)", fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(REPEATABLE):
        figure.savefig(path, metadata={"Date": None})


def template_study(
    embeddings: Floats, identities: NDArray[np.str_], qualities: NDArray[np.float64], references: int
) -> dict[str, Found]:
    """Ways to search identities by several references, each with at least one photo more as a probe."""

    def middle(rows: NDArray[np.intp], weights: NDArray[np.float64]) -> Floats:
        return np.stack([template(embeddings[row], weights[row]) for row in rows])[:, None]

    ways: dict[str, Callable[[NDArray[np.intp]], Floats]] = {
        "nearest reference": lambda rows: embeddings[rows],
        "template": lambda rows: middle(rows, np.ones(len(embeddings))),
        "template weighted by quality": lambda rows: middle(rows, qualities),
        "references and template": lambda rows: np.concatenate(
            [embeddings[rows], middle(rows, np.ones(len(embeddings)))], axis=1
        ),
    }
    return _study(identities, references, {name: (way, embeddings) for name, way in ways.items()})


def flip_study(embeddings: Floats, mirrored: Floats, identities: NDArray[np.str_]) -> dict[str, Found]:
    """One reference of each identity, the mirror image added to references, to probes, or to both."""
    both = unit_vectors(embeddings + mirrored)
    ways: dict[str, tuple[Callable[[NDArray[np.intp]], Floats], Floats]] = {
        "no mirror image": (lambda rows: embeddings[rows], embeddings),
        "of references": (lambda rows: both[rows], embeddings),
        "of probes": (lambda rows: embeddings[rows], both),
        "of both": (lambda rows: both[rows], both),
    }
    return _study(identities, 1, ways)


def tables(results: QualityResults) -> list[Table]:
    """What `run` found, for people."""
    reject = Table("measure", *(f"area, {name}" for name in results.curves))
    for measure in next(iter(results.curves.values())):
        reject.add_row(measure, *(f"{curves[measure].area:.3f}" for curves in results.curves.values()))
    rates = [f"TPIR at FPIR {rate:.1%}" for rate in RATES]
    found = Table("gallery", "way", *rates, f"FMR at {COSINE}")
    for study, ways in results.studies.items():
        for way, one in ways.items():
            cells = [
                f"{tpir:.2%} ({100 * gain:+.2f}; {100 * low:+.2f} to {100 * high:+.2f})"
                for tpir, (gain, low, high) in zip(one.tpir, one.gain, strict=True)
            ]
            found.add_row(study, way, *cells, f"{one.fmr:.1e}")
    return [reject, found]


def as_markdown(results: QualityResults) -> str:
    """The tables of `run` for a page."""
    return "\n\n".join(_markdown(table) for table in tables(results))


def _markdown(table: Table) -> str:
    columns = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    head, *rows = (f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True))
    return "\n".join([head, "|---" * len(columns) + "|", *rows])


def _study(
    identities: NDArray[np.str_],
    references: int,
    ways: Mapping[str, tuple[Callable[[NDArray[np.intp]], Floats], Floats]],
) -> dict[str, Found]:
    """Each way gives the rows, (I, R, D), that stand for I identities by (I, references) numbers of photos, and the
    embeddings, (N, D), that probes have. At equal FPIR over the strangers, averaged over DRAWS draws of references."""
    _, owner, counts = np.unique(identities, return_inverse=True, return_counts=True)
    people = [np.flatnonzero(owner == person) for person in np.flatnonzero(counts > references)]
    strangers = np.flatnonzero(counts[owner] == 1)
    hits = {name: np.zeros((len(people), len(RATES))) for name in ways}
    false, probes_of = dict.fromkeys(ways, 0.0), np.array([len(photos) - references for photos in people])
    mates = np.repeat(np.arange(len(people)), probes_of)
    for draw in range(DRAWS):
        shuffled = [np.random.default_rng([draw, person]).permutation(photos) for person, photos in enumerate(people)]
        rows = np.stack([photos[:references] for photos in shuffled])
        probes = np.concatenate([photos[references:] for photos in shuffled])
        for name, (stand_in, probing) in ways.items():
            gallery = stand_in(rows)
            of_strangers = _nearest_row(probing[strangers], gallery)
            of_probes = _nearest_row(probing[probes], gallery)
            false[name] += float((of_strangers >= COSINE).mean()) / DRAWS
            alarms = np.sort(of_strangers.max(axis=1))[::-1]
            own = of_probes[np.arange(len(probes)), mates]
            for place, rate in enumerate(RATES):
                hit = (of_probes.argmax(axis=1) == mates) & (own > alarms[int(rate * len(alarms))])
                np.add.at(hits[name][:, place], mates, hit / DRAWS)
    sample = np.random.default_rng(1).integers(0, len(people), (RESAMPLES, len(people)))
    base, weight = next(iter(hits.values())), probes_of[sample].sum(axis=1)[:, None]
    found = {}
    for name, hit in hits.items():
        gain = (hit - base).sum(axis=0) / probes_of.sum()
        low, high = np.quantile((hit - base)[sample].sum(axis=1) / weight, (0.025, 0.975), axis=0)
        gains = tuple(zip(gain.tolist(), low.tolist(), high.tolist(), strict=True))
        found[name] = Found(tuple((hit.sum(axis=0) / probes_of.sum()).tolist()), gains, false[name])
    return found


def _nearest_row(probes: Floats, gallery: Floats) -> Floats:
    """(P, I): each probe's cosine with the nearest row of each identity of `gallery`, (I, R, D)."""
    similarities = probes @ gallery.reshape(-1, gallery.shape[2]).T
    return np.asarray(similarities.reshape(len(probes), *gallery.shape[:2]).max(axis=2))


def _read(paths: Sequence[Path], detector: Detector, edits: int) -> Faces:
    """The face that each photo is about, if it shows one; `edits` ways of _edited take turns."""

    def measure(job: tuple[int, Path]) -> tuple[str, Pixels, Floats, dict[str, float]] | None:
        number, path = job
        photo = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8)
        probes = detector.probe(bytes(cv2.imencode(".png", _edited(photo, number % edits))[1]))
        if not probes.faces:
            return None
        face, crop = probes.faces[probes.subject], probes.crops[probes.subject]
        good = quality(min(face.box[2:]), face.score, np.array(face.landmarks, np.float32), crop)
        measures = {"quality": face.quality, "quality, pixels alone": good.value}
        measures |= {name: float(getattr(good, name)) for name in MENDABLE}
        measures["nothing (random)"] = float(np.random.default_rng(number).random())
        return path.parent.name, crop, probes.embeddings[probes.subject], measures

    found = [each for each in detector.map(measure, enumerate(paths)) if each is not None]
    identities, crops, embeddings, measures = zip(*found, strict=True)
    by_name = {name: np.array([each[name] for each in measures]) for name in measures[0]}
    return Faces(np.stack(crops), np.stack(embeddings), np.array(identities), by_name)


def _edited(photo: Pixels, turn: int) -> Pixels:
    """As it is, blurred, at 40 % of its size, stored at JPEG quality 8, or with a bar over where the eyes are."""
    height, width = photo.shape[:2]
    left, right, top, bottom = int(0.38 * width), int(0.62 * width), int(0.42 * height), int(0.49 * height)
    jpeg = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 8])[1]
    ways: tuple[Callable[[], cv2.typing.MatLike | None], ...] = (
        lambda: photo,
        lambda: cv2.GaussianBlur(photo, (0, 0), width / 100),
        lambda: cv2.resize(photo, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA),
        lambda: cv2.imdecode(jpeg, cv2.IMREAD_COLOR),
        lambda: cv2.rectangle(photo.copy(), (left, top), (right, bottom), (20, 20, 20), -1),
    )
    return np.asarray(ways[turn](), np.uint8)
