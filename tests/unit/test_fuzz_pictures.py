"""Pictures with something wrong, by the thousand: each is judged or rejected for a known reason, in bounded time and
memory. They are decoded in a process of their own, which a fault in a codec may end; then its last input is kept.

LIKENESS_FUZZ_SECONDS: how long, 20 by default; LIKENESS_FUZZ_SEED: where to start, by default another one each run."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from detector.picture import REASONS, PictureLimits, PictureRejected, decode_picture
from tests.unit.picture_mutations import mutated, samples
from tests.unit.test_bad_pictures import peak_mb

LIMITS = PictureLimits(max_bytes=300_000, max_pixels=1_000_000, decode_seconds=2.0, working_side=400)
CPU_SECONDS = LIMITS.decode_seconds + 1
GROWTH_MB = 200
PER_PROCESS = 60.0


def fuzz(seed: int, seconds: float, last: Path) -> dict[str, object]:
    """Decodes mutated files until `seconds` are over; the one in work stands in `last`. What it gives under "fault" is
    the sentence that was found to be false."""
    files, chance, outcomes = samples(), random.Random(seed), Counter()
    for data in (one for several in files.values() for one in several):
        decode_picture(data, LIMITS)
    before, until = peak_mb(), time.monotonic() + seconds
    slowest, fault = 0.0, None
    while fault is None and time.monotonic() < until:
        data = mutated(chance, files)
        last.write_bytes(data)
        started = time.process_time()
        outcome, fault = _judge(data)
        taken = time.process_time() - started
        slowest = max(slowest, taken)
        outcomes[outcome] += 1
        if taken > CPU_SECONDS:
            fault = f"decoding took {taken:.1f} s of computing"
        elif peak_mb() - before > GROWTH_MB:
            fault = f"memory grew by {peak_mb() - before:.0f} MB"
    return {"fault": fault, "outcomes": outcomes, "slowest": slowest, "growth_mb": peak_mb() - before}


def _judge(data: bytes) -> tuple[str, str | None]:
    """What came of the file, and what is wrong with that."""
    try:
        picture = decode_picture(data, LIMITS)
    except PictureRejected as rejected:
        known = rejected.reason in REASONS and rejected.detail.endswith(".") and "\n" not in rejected.detail
        return rejected.reason, None if known else f"rejected as {rejected.reason!r}: {rejected.detail!r}"
    except BaseException as error:
        return "raised", f"raised {type(error).__name__}: {error}"
    fits = picture.width * picture.height <= LIMITS.max_pixels and len(data) <= LIMITS.max_bytes
    side = max(picture.pixels.shape[:2]) <= LIMITS.working_side
    return f"decoded {picture.format}", None if fits and side else f"accepted {picture.width} x {picture.height}"


def test_whatever_is_wrong_with_a_picture_it_is_decoded_or_rejected_within_bounds(tmp_path):
    seconds = float(os.environ.get("LIKENESS_FUZZ_SECONDS", "20"))
    seed = int(os.environ.get("LIKENESS_FUZZ_SEED", random.SystemRandom().randrange(2**32)))
    outcomes, slowest, growth, until = Counter(), 0.0, 0.0, time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        last, span = tmp_path / f"seed-{seed}.bin", min(left, PER_PROCESS)
        command = [sys.executable, "-m", "tests.unit.test_fuzz_pictures", str(seed), str(span), str(last)]
        try:
            child = subprocess.run(
                command, capture_output=True, text=True, timeout=span + 120, cwd=Path(__file__).parents[2]
            )
        except subprocess.TimeoutExpired:
            raise AssertionError(f"decoding {last} does not end") from None
        assert child.returncode == 0, f"decoding {last} ended the process: {child.returncode} {child.stderr[-2000:]}"
        found = json.loads(child.stdout)
        assert found["fault"] is None, f"{last}: {found['fault']}"
        outcomes.update(found["outcomes"])
        slowest, growth, seed = max(slowest, found["slowest"]), max(growth, found["growth_mb"]), seed + 1
    print(f"{outcomes.total():,} pictures to seed {seed}: {dict(outcomes.most_common())}")
    print(f"the slowest took {slowest:.2f} s of computing, memory grew by {growth:.0f} MB")
    assert outcomes["truncated_or_damaged"] and any(name.startswith("decoded") for name in outcomes)


if __name__ == "__main__":
    print(json.dumps(fuzz(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))))
