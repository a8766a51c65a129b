"""`make evaluate`: the figures of docs/accuracy.md, measured on the photographs that LIKENESS_FACES names.

1. embed lfw_dev  2. verification and open-set identification, with its label errors and without  3. does the review
budget hold on people the calibration never saw  4. what a budget costs  5. quality, templates  6. edits  7. stages.
Tables and plots go into docs/; the contact sheet, which shows photographs, into LIKENESS_HOME/evaluation. Arguments
name the sections to measure, all by default.
"""

import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks import edit_report, quality
from benchmarks.budget import DEFAULTS, BudgetHeld, budget_held
from benchmarks.edit_suite import EditResults, Photo, run_edit_suite, usable_photos
from benchmarks.pictures import make_pictures
from benchmarks.stages import fill, stages
from config import Settings, load_settings, packaged
from consumers.open_detector import open_detector
from demo.portraits import fetch_portraits
from detector import Detector, PictureLimits
from detector.calibration import Calibration, Faces, calibrate
from detector.packs import pull, read_packs
from detector.performance.evaluation import OperatingPoint, assign_roles, open_set, verification
from detector.performance.pair_scores import highest_impostors
from detector.policy import Policy
from likeness.console import err
from likeness.contact_sheet import contact_sheet
from likeness.explaining import BUDGETS, GALLERIES, price, price_curves
from likeness.face_sets import embed, read_face_set
from likeness.plots import price as plot_prices
from likeness.plots import standalone

DOCS = Path(__file__).parents[1] / "docs"
KNOWN = Path(__file__).with_name("lfw_known_pairs.toml")
SECTIONS = {"recognition", "budget", "price", "quality", "edits", "stages"}
RATES = (0.01, 0.003, 0.001)
REFERENCES = 10_000
FOLDS, PAIRS_EACH = 10, 300
EDITED = 100
"""LFW identities in the edit suite, beside the portraits of the demo."""
PORTRAITS_EDITED = ("person_a_1.jpg", "person_b_1.jpg", "impostor_1.jpg", "impostor_2.jpg")
"""One of each person."""
LEAST_FACE = 60.0
PAIRS_SHOWN = 60
SEED = 5

Named = Sequence[tuple[int, int]]
"""Pairs of people by number."""


def main() -> int:
    named = os.environ.get("LIKENESS_FACES")
    folder = Path(named or ".") / "lfw_dev"
    if not named or not folder.is_dir():
        print("Set LIKENESS_FACES to a folder with lfw_dev/<identity>/<photos>.", file=sys.stderr)
        return 2
    cache = load_settings().home / "evaluation"
    pack = read_packs(packaged("models.toml"))["opencv-zoo"]
    pull(pack, cache / "models" / pack.name)
    plots = DOCS / "accuracy"
    plots.mkdir(exist_ok=True)
    settings = load_settings(home=cache, watermark={"read": "never"})
    wanted = set(sys.argv[1:]) or SECTIONS
    with closing(open_detector(settings)) as detector:
        if wanted & {"recognition", "budget", "price"}:
            _faces(detector, folder, wanted, settings, plots)
        if "quality" in wanted:
            err.print("Quality, templates, mirror images ...")
            _write("quality", quality.as_markdown(quality.run(folder, detector, plots)))
    if "edits" in wanted:
        err.print("Edits ...")
        results = _edits(settings, folder)
        edit_report.heat_map(results, plots / "edits.svg")
        _write("edits", edit_report.as_markdown(results))
    if "stages" in wanted:
        err.print("Stages on one core ...")
        _write("stages", _stages(cache))
    err.print(f"Written: {DOCS / 'accuracy.md'}, plots in {plots}.")
    return 0


def _faces(detector: Detector, folder: Path, wanted: set[str], settings: Settings, plots: Path) -> None:
    """What is measured on embeddings alone."""
    face_set = read_face_set(folder)
    embedded = embed(detector, face_set, settings.pictures.max_bytes)
    faces = Faces(embedded.embeddings, embedded.people)
    one_person = _known(face_set.names)
    if "recognition" in wanted:
        _write("recognition", _recognition(faces, one_person))
    if "budget" in wanted:
        err.print("Does the budget hold ...")
        _write("budget", _budget(budget_held(faces), budget_held(faces, one_person)))
    if "price" in wanted:
        calibration = calibrate(detector.engine.pack, "lfw_dev", faces)
        _write("price", _price(calibration, plots / "price.svg"))
    alike = highest_impostors(faces.embeddings, faces.people, PAIRS_SHOWN)
    limits = PictureLimits(**settings.pictures.model_dump())
    sheet = settings.home / "look-alikes.html"
    sheet.write_text(contact_sheet(face_set, embedded, alike, limits))
    err.print(f"Look-alikes to look at: {sheet}")


def _known(names: Sequence[str]) -> Named:
    """The pairs of names that are one person, among those that are there."""
    known = tomllib.loads(KNOWN.read_text())["one_person"]
    place = {name: number for number, name in enumerate(names)}
    return [(place[one], place[other]) for one, other in known if one in place and other in place]


def _recognition(faces: Faces, one_person: Named) -> str:
    verified = _verify(faces)
    labelled = _identify(faces, [])
    cleaned = _identify(faces, [other for _, other in one_person])
    rows = [
        f"| {point.asked_fpir:.1%} | {point.threshold:.3f} | {point.tpir:.1%} "
        f"| {clean.threshold:.3f} | {clean.tpir:.1%} |"
        for point, clean in zip(labelled, cleaned, strict=True)
    ]
    return "\n".join(
        [
            f"Verification: {verified}.",
            "",
            "| FPIR | cosine | TPIR, as labelled | cosine | TPIR, without the label errors |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def _verify(faces: Faces) -> str:
    """Accuracy over ten folds of people, 300 pairs of each kind in a fold, drawn with a fixed seed."""
    random = np.random.default_rng(SEED)
    folds = np.array_split(random.permutation(np.unique(faces.people)), FOLDS)
    similarities, genuine, numbers = [], [], []
    for number, fold in enumerate(folds):
        rows = np.flatnonzero(np.isin(faces.people, fold))
        one, other = (part.ravel() for part in np.meshgrid(rows, rows))
        same = faces.people[one] == faces.people[other]
        for wanted in (True, False):
            places = np.flatnonzero((one < other) & (same == wanted))
            chosen = random.choice(places, PAIRS_EACH, replace=False)
            similarities.append(np.einsum("nd,nd->n", faces.embeddings[one[chosen]], faces.embeddings[other[chosen]]))
            genuine.append(np.full(PAIRS_EACH, wanted))
            numbers.append(np.full(PAIRS_EACH, number))
    found = verification(np.concatenate(similarities), np.concatenate(genuine), np.concatenate(numbers))
    return f"{found.accuracy:.2%} ± {found.deviation:.2%} over {found.folds} folds, {found.pairs} pairs"


def _identify(faces: Faces, left_out: Sequence[int]) -> list[OperatingPoint]:
    kept = ~np.isin(faces.people, left_out)
    embeddings, people = faces.embeddings[kept], faces.people[kept]
    roles = assign_roles(people)
    return open_set(
        embeddings[roles.references], embeddings[roles.probes], roles.mates, embeddings[roles.strangers], RATES
    )


def _budget(labelled: Sequence[BudgetHeld], cleaned: Sequence[BudgetHeld]) -> str:
    header = (
        "| gallery | asked per 1,000 | seen, as labelled | ratio | without the label errors | ratio | alarms counted |"
    )
    rows = [
        f"| {one.gallery} | {one.budget:g} | {one.seen:.2f} | {one.ratio:.2f} | {clean.seen:.2f} | {clean.ratio:.2f} "
        f"| {clean.alarms:,} |"
        for one, clean in zip(labelled, cleaned, strict=True)
    ]
    return "\n".join([header, "|---|---|---|---|---|---|---|", *rows])


def _price(calibration: Calibration, path: Path) -> str:
    """The table, and the plot at `path`: the share of a person's photos found, by budget and gallery size."""
    policy = Policy(calibration.pack, DEFAULTS, calibration)
    many = np.geomspace(0.03, 30, 60)
    path.write_text(standalone(plot_prices(many, price_curves(policy, many))))
    rows = []
    for size in GALLERIES:
        prices = [price(policy, budget, size) for budget in BUDGETS]
        cells = [f"{one.detection_rate:.0%} ({one.cosine:.2f}{'*' if one.extrapolated else ''})" for one in prices]
        rows.append(f"| {size:,} | {' | '.join(cells)} |")
    head = "| references | " + " | ".join(f"{budget:g} per 1,000" for budget in BUDGETS) + " |"
    return "\n".join([head, "|---" * (len(BUDGETS) + 1) + "|", *rows])


def _edits(settings: Settings, folder: Path) -> EditResults:
    """EDITED identities of `folder` with a face of 60 pixels or more, and the demo's portraits, among all identities of
    several photos; the collage's other faces are of people outside the gallery."""
    random = np.random.default_rng(SEED)
    people = sorted(one for one in folder.iterdir() if one.is_dir())
    several = [one for one in people if len(list(one.iterdir())) > 1]
    strangers = [one for one in people if one not in set(several)]
    shuffled = [several[number] for number in random.permutation(len(several))]
    portraits = fetch_portraits(settings.home / "portraits")
    with closing(open_detector(settings)) as detector:
        chosen = usable_photos(
            detector, ((one.name, sorted(one.iterdir())[0]) for one in shuffled), EDITED, least_side=LEAST_FACE
        )
        edited = {photo.person for photo in chosen}
        photos = [*chosen, *(Photo(name, portraits[name].read_bytes()) for name in PORTRAITS_EDITED)]
        distractors = [sorted(one.iterdir())[0].read_bytes() for one in several if one.name not in edited]
        others = [sorted(one.iterdir())[0].read_bytes() for one in strangers[:30]]
        return run_edit_suite(detector, photos, distractors=distractors, others=others)


def _stages(cache: Path) -> str:
    pictures = make_pictures(fetch_portraits(cache / "portraits"), 120)
    with tempfile.TemporaryDirectory(prefix="likeness-evaluate-") as home:
        shutil.copytree(cache / "models", Path(home) / "models")
        with closing(open_detector(load_settings(home=home, models={"threads": 1}))) as detector:
            fill(detector, REFERENCES)
            by_stage = stages(detector, pictures)
    return "\n".join(
        [
            f"| {' | '.join(by_stage)} |",
            "|---" * len(by_stage) + "|",
            f"| {' | '.join(f'{value:.2f}' for value in by_stage.values())} |",
        ]
    )


def _write(name: str, figure: str) -> None:
    """Put `figure` between its marks on the page."""
    page = DOCS / "accuracy.md"
    before, mark, rest = page.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not end:
        raise ValueError(f"{page} has no place for {name}")
    page.write_text(f"{before}{mark}\n{figure}\n\n{end}{after}")


if __name__ == "__main__":
    sys.exit(main())
