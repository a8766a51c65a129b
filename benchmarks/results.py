"""What benchmarks leave behind: a JSON file each in benchmarks/results, with the machine that it was measured on."""

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("numpy", "onnxruntime", "opencv-python", "kafka-python")


def machine(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Facts of this machine that its figures depend on, the versions of `packages` among them."""
    versions = {name: importlib.metadata.version(name) for name in (*PACKAGES, *packages)}
    return {"processor": _processor(), "cores": os.cpu_count(), "python": platform.python_version(), **versions}


def write_results(name: str, figures: Mapping[str, Any], packages: Sequence[str] = ()) -> Path:
    """Write benchmarks/results/`name`.json: `figures`, the machine and the day."""
    document = {"measured": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(packages), **figures}
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path


def read_results(name: str) -> dict[str, Any] | None:
    """What was last written by that name; None if nothing was."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
