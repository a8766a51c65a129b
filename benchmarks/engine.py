"""`python -m benchmarks.engine`: milliseconds of the models on one core, prepared, as published, and in OpenVINO.

OpenVINO is the yardstick: it gets the prepared graph, runs in a process and an environment of its own, and takes turns
with ours, run by run, so that a busy neighbour takes from all alike. Results: benchmarks/results/engine.json.
"""

import statistics
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.insightface_pack import DETECTOR, RECOGNISER
from benchmarks.iresnet import build_iresnet50
from benchmarks.results import write_results
from config import load_settings, packaged
from detector.packs import pull, read_packs
from detector.prepare import prepare_graph
from detector.sessions import cpu_session
from likeness.console import err, out

OPENVINO = "openvino==2026.4.1"
WARM = 2

Run = Callable[[], float]
"""One run of a model; its milliseconds."""


@dataclass(frozen=True, slots=True)
class Case:
    """A graph and the shape that it is run with, and its rounds."""

    graph: str
    batch: int
    height: int
    width: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians of milliseconds for each picture; `openvino_ratio`: ours by OpenVINO's in float32, of the same round."""

    graph: str
    batch: int
    height: int
    width: int
    prepared_ms: float
    published_ms: float
    openvino_ms: float | None = None
    openvino_ratio: float | None = None
    openvino_bf16_ms: float | None = None


CASES = (
    *(Case("SFace", batch, 112, 112, max(3, 24 // batch)) for batch in (1, 4, 16)),
    Case("IResNet-50, made-up weights", 1, 112, 112, 7),
    *(Case("YuNet", 1, side, side, 40) for side in (192, 256, 416)),
)


def main() -> None:
    home = load_settings().home / "benchmarks"
    pack = read_packs(packaged("models.toml"))["opencv-zoo"]
    pull(pack, home / "models" / pack.name)
    yardstick = find_openvino(home / "yardstick")
    with tempfile.TemporaryDirectory(prefix="likeness-engine-") as folder:
        graphs = write_graphs(home / "models" / pack.name, Path(folder))
        figures = [measure(case, *graphs[case.graph], yardstick) for case in CASES]
    for one in figures:
        out.print(_sentence(one))
    write_results("engine", {"openvino": OPENVINO if yardstick else None, "cases": [asdict(one) for one in figures]})


def find_openvino(folder: Path) -> Path | None:
    """The Python of an environment that has OpenVINO, made in `folder` if need be; None, and told, if it cannot be."""
    python = folder / "bin" / "python"
    if python.is_file():
        return python
    err.print(f"Installing {OPENVINO} into {folder} ...")
    venv.create(folder, with_pip=True)
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", OPENVINO], check=False)
    if done.returncode:
        err.print(f"No OpenVINO can be had: its figures are left out. Next time: delete {folder} and try again.")
        return None
    return python


def write_graphs(published: Path, folder: Path) -> dict[str, tuple[Path, Path]]:
    """By name, the graph as published, with weights that ONNX Runtime takes, and prepared."""
    sources = {
        "SFace": ((published / RECOGNISER).read_bytes(), (0,)),
        "YuNet": ((published / DETECTOR).read_bytes(), (2, 3)),
        "IResNet-50, made-up weights": (build_iresnet50(), ()),
    }
    written = {}
    for number, (name, (source, axes)) in enumerate(sources.items()):
        paths = folder / f"{number}-published.onnx", folder / f"{number}-prepared.onnx"
        for path, fast in zip(paths, (False, True), strict=True):
            path.write_bytes(prepare_graph(source, axes, fast=fast))
        written[name] = paths
    return written


def measure(case: Case, published: Path, prepared: Path, yardstick: Path | None) -> Figures:
    """Rounds of all in turn."""
    with ExitStack() as processes:
        runs = [_ours(prepared, case), _ours(published, case)]
        if yardstick:
            runs += [_openvino(yardstick, prepared, case, precision, processes) for precision in ("f32", "bf16")]
        rounds = [[run() / case.batch for run in runs] for _ in range(WARM + case.rounds)][WARM:]
    ratio = statistics.median(one[0] / one[2] for one in rounds) if yardstick else None
    medians = [round(statistics.median(each), 3) for each in zip(*rounds, strict=True)]
    of_openvino = (medians[2], round(ratio, 3), medians[3]) if ratio else (None, None, None)
    return Figures(case.graph, case.batch, case.height, case.width, *medians[:2], *of_openvino)


def _ours(graph: Path, case: Case) -> Run:
    session = cpu_session(graph, threads=1)
    shape = (case.batch, 3, case.height, case.width)
    taken = {session.get_inputs()[0].name: np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)}

    def run() -> float:
        began = time.perf_counter()
        session.run(None, taken)
        return (time.perf_counter() - began) * 1000

    return run


def _openvino(python: Path, graph: Path, case: Case, precision: str, processes: ExitStack) -> Run:
    script = Path(__file__).with_name("openvino_runner.py")
    shape = [str(number) for number in (case.batch, case.height, case.width)]
    process = processes.enter_context(
        subprocess.Popen(
            [python, script, graph, *shape, precision], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    )
    assert process.stdin and process.stdout
    given, answers = process.stdin, process.stdout
    processes.callback(given.close)  # ends it
    answers.readline()

    def run() -> float:
        given.write("\n")
        given.flush()
        return float(answers.readline())

    return run


def _sentence(one: Figures) -> str:
    yardstick = (
        f", OpenVINO {one.openvino_ms:.2f} (ratio {one.openvino_ratio:.2f}), in bfloat16 {one.openvino_bf16_ms:.2f}"
        if one.openvino_ms
        else ""
    )
    return (
        f"{one.graph}, {one.batch} at {one.width}x{one.height}: {one.prepared_ms:.2f} ms each, "
        f"as published {one.published_ms:.2f}{yardstick}"
    )


if __name__ == "__main__":
    main()
