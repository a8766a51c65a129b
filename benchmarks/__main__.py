"""`make bench`: the figures of the README, measured in one run on this machine.

Rates are compared round by round in turn, so that a machine that slows down slows all of them.
"""

import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from rich.table import Table

from benchmarks.insightface_pack import build_insightface_pack
from benchmarks.pictures import make_pictures
from benchmarks.stages import fill, stages
from benchmarks.through_kafka import RunningConsumer, broker_settings, enrol_random, running_consumer
from config import load_settings, packaged
from consumers.open_detector import open_detector
from demo.portraits import fetch_portraits
from detector import Detector, Upload
from detector.packs import pull, read_packs
from likeness.console import err, out

PICTURES = 300
ROUNDS = 3
BATCH = 32
REFERENCES = 10_000


def main() -> None:
    cache = load_settings().home / "benchmarks"
    pack = read_packs(packaged("models.toml"))["opencv-zoo"]
    pull(pack, cache / "models" / pack.name)
    pictures = make_pictures(fetch_portraits(cache / "portraits"), PICTURES)
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as folder:
        home = Path(folder)
        shutil.copytree(cache / "models", home / "models")
        unprepared = build_insightface_pack(home / "models", home / "unprepared", rewrite_prelu=False)
        results = _measure(home, unprepared, pictures)
    _print(results)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(results, indent=2) + "\n")


def _measure(home: Path, unprepared: Path, pictures: Sequence[bytes]) -> dict[str, object]:
    err.print("Stages on one core ...")
    with closing(open_detector(load_settings(home=home, models={"threads": 1}))) as detector:
        fill(detector, REFERENCES)
        by_stage = stages(detector, pictures)
    with broker_settings(home) as settings:
        err.print(f"Enrolling {REFERENCES} references ...")
        with running_consumer(settings) as consumer:
            empty_mb = consumer.memory_mb
        enrol_random(settings, "opencv-zoo@1", 128, REFERENCES // 5, 5)
        with running_consumer(settings):
            pass  # publishes the outbox, so that the next start is a warm one
        with running_consumer(settings) as consumer, closing(open_detector(settings)) as detector:
            start_seconds, loaded_mb = consumer.start_seconds, consumer.memory_mb
            fill(detector, REFERENCES)
            rates = _rates(consumer, detector, unprepared, pictures)
            busy_mb = consumer.memory_mb
    return {
        "machine": _machine(),
        "stages_ms": by_stage,
        "rates_per_second": rates,
        "start_seconds": start_seconds,
        "memory_mb": {"empty gallery": empty_mb, f"{REFERENCES} references": loaded_mb, "after the load": busy_mb},
    }


def _rates(
    consumer: RunningConsumer, detector: Detector, unprepared: Path, pictures: Sequence[bytes]
) -> dict[str, list[float]]:
    """Pictures per second of each way, round by round."""
    loop = _face_analysis_loop(unprepared)
    cores = ThreadPoolExecutor(os.cpu_count())
    ways: dict[str, Callable[[], float]] = {
        "through Kafka": lambda: consumer.screen_all(pictures),
        "in one process, all cores": lambda: _seconds(lambda: _screen_batches(detector, pictures)),
        "in one process, one by one": lambda: _seconds(lambda: [detector.screen(one) for one in pictures]),
        "FaceAnalysis, all cores": lambda: _seconds(lambda: list(cores.map(loop, pictures))),
        "FaceAnalysis, one by one": lambda: _seconds(lambda: [loop(one) for one in pictures]),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        err.print(f"Round {number} of {ROUNDS}" + (" (warm-up)" if number == 0 else ""))
        for name, way in ways.items():
            rate = len(pictures) / way()
            if number:
                rates[name].append(rate)
    return rates


def _screen_batches(detector: Detector, pictures: Sequence[bytes]) -> None:
    for start in range(0, len(pictures), BATCH):
        detector.screen_batch([Upload(picture) for picture in pictures[start : start + BATCH]])


def _face_analysis_loop(folder: Path) -> Callable[[bytes], object]:
    """insightface's usual loop: decode, detect at 640, align and embed. One thread an inference, which is its fastest
    here: its own choice of one per core was slower by a tenth to a third."""
    import onnxruntime
    from insightface.app import FaceAnalysis

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    analysis = FaceAnalysis(
        name=str(folder),
        allowed_modules=["detection", "recognition"],
        providers=["CPUExecutionProvider"],
        sess_options=options,
    )
    analysis.prepare(ctx_id=0, det_thresh=0.6, det_size=(640, 640))

    def loop(picture: bytes) -> object:
        faces = analysis.get(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR))
        if not faces:
            raise RuntimeError("the loop found no face in a picture that has one")
        return faces

    return loop


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _machine() -> dict[str, object]:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        model = next(
            (line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line), model
        )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "onnxruntime": importlib.metadata.version("onnxruntime"),
        "opencv": cv2.__version__,
    }


def _print(results: dict[str, object]) -> None:
    rates: dict[str, list[float]] = results["rates_per_second"]  # type: ignore[assignment]
    table = Table("pictures per second", "median", "least", "most", "against one process", "against FaceAnalysis")
    for name, values in rates.items():
        same = "one by one" if name.endswith("one by one") else "all cores"
        ours, theirs = rates[f"in one process, {same}"], rates[f"FaceAnalysis, {same}"]
        to_ours = statistics.median(a / b for a, b in zip(values, ours, strict=True))
        to_theirs = statistics.median(a / b for a, b in zip(values, theirs, strict=True))
        table.add_row(
            name,
            f"{statistics.median(values):.1f}",
            f"{min(values):.1f}",
            f"{max(values):.1f}",
            f"{to_ours:.0%}",
            f"{to_theirs:.2f}x",
        )
    out.print(results["machine"])
    out.print(table)
    for title, unit in (("stages_ms", "ms"), ("memory_mb", "MB")):
        values_of: dict[str, float] = results[title]  # type: ignore[assignment]
        out.print(f"{title}: " + ", ".join(f"{name} {value:.2f} {unit}" for name, value in values_of.items()))
    out.print(f"start to ready, warm: {results['start_seconds']:.2f} s")


if __name__ == "__main__":
    main()
