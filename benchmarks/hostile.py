"""`make hostile`: the table of docs/hostile.md. Each hostile input is screened by a process of its own, through the one
front door, and must end within the limits on time and memory whatever it is. Needs Linux.

LIKENESS_FACES, if set, names a folder whose bad_input/ is screened too. Arguments: parts of names; only those are
measured, and nothing is written.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hostile_inputs import Family, bad_input, families
from benchmarks.peak_memory import forget_peaks, peak, processes
from config import load_settings, packaged
from consumers.open_detector import open_detector
from demo.portraits import fetch_portraits
from detector.packs import pull, read_packs
from detector.verdict import Verdict
from likeness.console import err

PAGE = Path(__file__).parents[1] / "docs" / "hostile.md"
INFERENCE_SECONDS = 1.0
MEMORY_MB = 600
PATIENCE = "300"
"""Seconds to decode a good picture, however busy the machine is."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one file: `outcome`, `seconds` of computing on one core, peak `megabytes` above the idle process."""

    outcome: str
    seconds: float
    megabytes: float


def main() -> int:
    home = load_settings().home / "hostile"
    pack = read_packs(packaged("models.toml"))["opencv-zoo"]
    pull(pack, home / "models" / pack.name)
    portraits = fetch_portraits(home / "portraits")
    wanted = sys.argv[1:]
    bound = load_settings().pictures.decode_seconds + INFERENCE_SECONDS
    rows, failed = [], 0
    with tempfile.TemporaryDirectory(prefix="likeness-hostile-") as folder:
        for family in (*families(portraits), *bad_input(os.environ.get("LIKENESS_FACES"))):
            for name, make in family.inputs.items():
                if wanted and not any(part in f"{family.name}: {name}" for part in wanted):
                    continue
                files = _written(make(), Path(folder))
                measured = _screened(home, files, PATIENCE if family.patiently else None)
                held = all(one.seconds <= bound and one.megabytes <= MEMORY_MB for one in measured)
                failed += not held
                rows.append(_row(family, name, files, measured, held))
                err.print(rows[-1], soft_wrap=True)
                for file in files:
                    file.unlink()
    if not wanted:
        _write("table", _table(rows, bound))
    return 1 if failed else 0


def _written(data: bytes | Sequence[bytes], folder: Path) -> list[Path]:
    files = []
    for number, one in enumerate([data] if isinstance(data, bytes) else data):
        files.append(folder / f"{number}.bin")
        files[-1].write_bytes(one)
    return files


def _screened(home: Path, files: Iterable[Path], decode_seconds: str | None) -> list[Measured]:
    """The files screened one after the other in a fresh process, whose end would show here."""
    command = [sys.executable, "-m", "benchmarks.hostile", "--screen", str(home), *map(str, files)]
    changed = {"LIKENESS_PICTURES__DECODE_SECONDS": decode_seconds} if decode_seconds else {}
    done = subprocess.run(command, env=os.environ | changed, capture_output=True, text=True, timeout=900)
    if done.returncode:
        return [Measured(f"process ended: {done.returncode}", float("inf"), float("inf"))]
    return [Measured(**one) for one in json.loads(done.stdout)]


def _screen(home: Path, files: Iterable[Path]) -> list[dict[str, object]]:
    """In the fresh process: what came of each file."""
    found: list[dict[str, object]] = []
    settings = load_settings(home=home, models={"threads": 1}, watermark={"read": "never"})
    with closing(open_detector(settings)) as detector:
        portrait = next((home / "portraits").glob("*.jpg")).read_bytes()
        detector.screen(portrait)
        for file in files:
            data = file.read_bytes()
            idle = forget_peaks()
            before = _computed()
            verdict = detector.screen(data)
            seconds = _computed() - before
            found.append({"outcome": _said(verdict), "seconds": seconds, "megabytes": peak() - idle})
    return found


def _said(verdict: Verdict) -> str:
    if verdict.outcome == "unscreenable":
        return verdict.reason or ""
    left_out = f", {verdict.faces_left_out} more left out" if verdict.faces_left_out else ""
    faces = f", {len(verdict.faces)} faces{left_out}" if len(verdict.faces) > 1 else ""
    return f"{verdict.outcome}, {verdict.width} x {verdict.height}{faces}"


def _computed() -> float:
    """Seconds of one core; what else the machine is doing does not count."""
    times = [process.cpu_times() for process in processes()]
    return sum(one.user + one.system for one in times)


def _row(family: Family, name: str, files: Sequence[Path], measured: Sequence[Measured], held: bool) -> str:
    outcomes = Counter(re.sub(r", .*", "", one.outcome) for one in measured)
    came = measured[0].outcome if len(files) == 1 else ", ".join(f"{n} {what}" for what, n in outcomes.most_common())
    size = sum(file.stat().st_size for file in files)
    seconds, megabytes = (max(getattr(one, of) for one in measured) for of in ("seconds", "megabytes"))
    what = f"{name} ({len(files)} files)" if len(files) > 1 else name
    verdict = "pass" if held else "**FAIL**"
    return f"| {family.name} | {what} | {size:,} | {came} | {seconds:.2f} | {megabytes:.0f} | {verdict} |"


def _table(rows: Sequence[str], bound: float) -> str:
    head = (
        f"| family | input | bytes | what came of it | seconds (at most {bound:g}) | MB (at most {MEMORY_MB}) | bound |"
    )
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def _write(name: str, figure: str) -> None:
    """Put `figure` between its marks on the page."""
    before, mark, rest = PAGE.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not end:
        raise ValueError(f"{PAGE} has no place for {name}")
    PAGE.write_text(f"{before}{mark}\n{figure}\n\n{end}{after}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--screen"]:
        print(json.dumps(_screen(Path(sys.argv[2]), map(Path, sys.argv[3:]))))
    else:
        sys.exit(main())
