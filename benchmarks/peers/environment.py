"""The peers' own virtual environment: they pull in packages that Likeness must not run on.

What both sides run on, ONNX Runtime and OpenCV above all, is held to the very releases of Likeness.
"""

import hashlib
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

from likeness.console import err

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
SAME = {"numpy": "numpy", "onnx": "onnx", "onnxruntime": "onnxruntime", "opencv-python": "opencv-python"} | {
    "opencv-contrib-python-headless": "opencv-python",  # deepface's; it overwrites the other, so let it be the same
    "insightface": "insightface",
}
"""Packages of the peers that have the release of ours."""
WITHOUT_DEPENDENCIES = ("face-recognition>=1.3,<2",)
"""It asks for dlib, which would be compiled for half an hour; dlib-bin is the same, compiled."""


def peers_python(folder: Path) -> Path:
    """The interpreter of the environment in `folder`, which is made or renewed if need be."""
    python, mark = folder / "bin" / "python", folder / "installed"
    constraints = "".join(f"{theirs}=={importlib.metadata.version(ours)}\n" for theirs, ours in SAME.items())
    wanted = hashlib.sha256((REQUIREMENTS.read_text() + constraints).encode()).hexdigest()
    if mark.is_file() and mark.read_text() == wanted:
        return python
    err.print(f"Installing the peers into {folder} ...")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    constraint = folder / "constraints.txt"
    constraint.write_text(constraints)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(REQUIREMENTS), "-c", str(constraint)], check=True)
    subprocess.run([*pip, "--no-deps", *WITHOUT_DEPENDENCIES], check=True)
    mark.write_text(wanted)
    return python


def versions(python: Path, packages: list[str]) -> dict[str, str]:
    """The releases of `packages` that `python` imports."""
    code = "import importlib.metadata as m, json, sys; print(json.dumps({p: m.version(p) for p in sys.argv[1:]}))"
    done = subprocess.run([str(python), "-c", code, *packages], capture_output=True, text=True, check=True)
    told: dict[str, str] = json.loads(done.stdout)
    return told
