"""`make guard`, and part of `make test`: whether Likeness is still as fast as this machine allows.

Ratios only. Both sides of one are run in turn within a second, so that a neighbour who takes half the machine takes it
from both, and what counts is the median of many such rounds. A floor is the least that was seen in many runs, with and
without a busy neighbour, less a margin; docs/performance.md tells the figures.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.ceiling import models_only
from benchmarks.insightface_pack import RECOGNISER
from benchmarks.pictures import make_pictures
from benchmarks.stages import fill
from config import Settings, load_settings, packaged
from consumers.open_detector import open_detector, open_watched_detector
from demo.portraits import fetch_portraits
from detector import Upload
from detector.alignment import CROP_SIDE
from detector.opencv_zoo import OpenCvZoo
from detector.packs import pull, read_packs
from detector.prepare import prepare_graph
from detector.sessions import cpu_session
from likeness.console import err, out

EMBEDDER_FLOOR = 1.5
"""How many times as fast as the published graph the embedder is."""
PIPELINE_FLOOR = 0.65
"""Share of the models' own speed that is left once a picture is decoded, hashed, judged, matched and carried between
processes."""

CORES = min(2, os.cpu_count() or 1)
"""More would measure the machine's memory, not us."""
PICTURES = 40
REFERENCES = 1_000
WARM = 2


@dataclass(frozen=True, slots=True)
class Guarded:
    """One ratio: `rounds` of it as measured, and the `floor` of their median."""

    name: str
    rounds: tuple[float, ...]
    floor: float

    @property
    def ratio(self) -> float:
        return statistics.median(self.rounds)

    @property
    def complaint(self) -> str | None:
        """One sentence if the ratio is below its floor."""
        if self.ratio >= self.floor:
            return None
        return f"{self.name}: {self.ratio:.2f}, which is below the floor of {self.floor:.2f}."


def main() -> None:
    """Prints the ratios; exits with 1 if one is below its floor."""
    home = load_settings().home / "benchmarks"
    guarded = measure(home / "models", fetch_portraits(home / "portraits"))
    for one in guarded:
        low, _, high = statistics.quantiles(one.rounds)
        out.print(f"{one.name}: {one.ratio:.2f} (half of the rounds {low:.2f} to {high:.2f}), floor {one.floor:.2f}")
    complaints = [one.complaint for one in guarded if one.complaint]
    for complaint in complaints:
        err.print(complaint, style="red")
    sys.exit(bool(complaints))


def measure(models: Path, portraits: dict[str, Path]) -> list[Guarded]:
    """Both ratios, in about a minute. `models`: the folder of model packs, where the default one is pulled to."""
    pull(read_packs(packaged("models.toml"))["opencv-zoo"], models / "opencv-zoo")
    return [embedder(models), pipeline(models, make_pictures(portraits, PICTURES))]


def embedder(models: Path, rounds: int = 40) -> Guarded:
    """The embedder against the same graph with its operators as published, on one core, one face at a time."""
    pack = read_packs(packaged("models.toml"))["opencv-zoo"]
    engine = OpenCvZoo(pack, models, min_score=0.6, threads=1)
    crop = np.random.default_rng(1).integers(0, 256, (1, CROP_SIDE, CROP_SIDE, 3), np.uint8)
    blob = np.ascontiguousarray(crop.transpose(0, 3, 1, 2), np.float32)
    with tempfile.TemporaryDirectory(prefix="likeness-guard-") as folder:
        published = Path(folder) / "published.onnx"
        source = (models / pack.name / RECOGNISER).read_bytes()
        published.write_bytes(prepare_graph(source, (0,), fast=False))
        session = cpu_session(published, threads=1)
    name = session.get_inputs()[0].name
    ratios = in_turn(lambda: engine.features(crop), lambda: session.run(None, {name: blob}), rounds)
    return Guarded("embedder as prepared against as published", ratios, EMBEDDER_FLOOR)


def pipeline(models: Path, pictures: Sequence[bytes], rounds: int = 12) -> Guarded:
    """Verdicts on whole pictures, by worker processes, against the models alone on the same cores."""
    with _settings(models) as settings, closing(open_watched_detector(settings, lambda how: None)) as screening:
        fill(screening, REFERENCES)
        uploads = [Upload(picture) for picture in pictures]
        with closing(open_detector(settings)) as trusted:
            ceiling = models_only(trusted, pictures, CORES)
            ratios = in_turn(lambda: screening.screen_batch(uploads), ceiling, rounds)
    return Guarded("pipeline against the models alone", ratios, PIPELINE_FLOOR)


def in_turn(ours: Callable[[], object], yardstick: Callable[[], object], rounds: int) -> tuple[float, ...]:
    """How many times as fast as the yardstick we were, round by round; who comes first alternates."""
    ratios = []
    for number in range(WARM + rounds):
        order = (ours, yardstick) if number % 2 else (yardstick, ours)
        seconds = {work: _seconds(work) for work in order}
        if number >= WARM:
            ratios.append(seconds[yardstick] / seconds[ours])
    return tuple(ratios)


@contextmanager
def _settings(models: Path) -> Iterator[Settings]:
    """Settings of a home of its own, with these models."""
    with tempfile.TemporaryDirectory(prefix="likeness-guard-") as folder:
        (Path(folder) / "models").symlink_to(models.resolve())
        yield load_settings(home=Path(folder), models={"threads": CORES}, watermark={"read": "never"})


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
