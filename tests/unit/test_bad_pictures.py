"""Real hostile files, all in one process of their own, so that a crash and its memory can be seen from outside."""

import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from detector.picture import REASONS, PictureLimits, PictureRejected, decode_picture

LIMITS = PictureLimits(max_bytes=20_000_000, max_pixels=40_000_000, decode_seconds=5.0, working_side=1600)
SLACK_SECONDS = 1.0
MEMORY_MB = 512


def peak_mb() -> float:
    """The most memory that this process ever held; /proc first, for ru_maxrss may count the parent's before exec."""
    status = Path("/proc/self/status")
    if status.exists() and "VmHWM:" in (text := status.read_text()):
        return int(text.split("VmHWM:")[1].split()[0]) / 1024
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def decode_all(folder: Path) -> dict[str, object]:
    before = peak_mb()
    files = {}
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        started = time.perf_counter()
        try:
            outcome = f"decoded {decode_picture(data, LIMITS).format}"
        except PictureRejected as error:
            outcome = error.reason
        files[path.name] = (outcome, time.perf_counter() - started)
    return {"files": files, "growth_mb": peak_mb() - before}


def test_every_bad_file_ends_decoded_or_rejected_without_crash_hang_or_memory_spike():
    faces = os.environ.get("LIKENESS_FACES")
    if not faces or not (folder := Path(faces) / "bad_input").is_dir():
        pytest.skip("LIKENESS_FACES names no folder with bad_input/ in it: no real hostile files to decode.")
    child = subprocess.run(
        [sys.executable, "-m", "tests.unit.test_bad_pictures", str(folder)],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=Path(__file__).parents[2],
    )
    assert child.returncode == 0, child.stderr[-2000:]
    assert child.stderr == ""
    result = json.loads(child.stdout)
    files = result["files"]
    outcomes = Counter(outcome for outcome, _ in files.values())
    slowest = max(files, key=lambda name: files[name][1])
    print(f"{len(files)} files: {dict(outcomes.most_common())}")
    print(f"slowest {slowest}, {files[slowest][1]:.2f} s; memory grew by {result['growth_mb']:.0f} MB at most")
    assert files
    assert all(outcome in REASONS or outcome.startswith("decoded ") for outcome in outcomes)
    assert files[slowest][1] < LIMITS.decode_seconds + SLACK_SECONDS
    assert result["growth_mb"] < MEMORY_MB


if __name__ == "__main__":
    print(json.dumps(decode_all(Path(sys.argv[1]))))
