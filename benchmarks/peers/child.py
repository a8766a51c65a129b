"""One measurement in a process of its own, of whichever environment: a job in, one line of JSON out.

Nothing else is loaded meanwhile, so that memory is the peer's own and no idle thread pool of another one spins.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class PeerFailed(Exception):
    """The measurement ended without figures; the message is the last of what it said."""


def measure(python: Path, module: str, job: Mapping[str, Any], seconds: float = 300.0) -> dict[str, Any]:
    """The figures of `job` by `module` of benchmarks.peers, run by `python`. Raises PeerFailed."""
    command = [str(python), "-m", f"benchmarks.peers.{module}", json.dumps(job)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as late:
        raise PeerFailed(f"no figures within {seconds:.0f} s") from late
    if done.returncode:
        raise PeerFailed("\n".join(done.stderr.strip().splitlines()[-5:]))
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def answer(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """In the child: bound to the job's `cores`, do `work` on it and print the figures."""
    job = json.loads(sys.argv[1])
    os.sched_setaffinity(0, range(job["cores"]))
    print(json.dumps(work(job)))


def memory_mb() -> float:
    """Of this process and those it started; a page that several share counts once (PSS)."""
    import psutil

    own = psutil.Process()
    return sum(float(one.memory_full_info().pss) for one in [own, *own.children(recursive=True)]) / 1e6
