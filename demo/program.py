"""`likeness` as processes of their own, as in production: the screening consumer, the console, and single commands."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from config import Settings
from demo.broker import die_with_parent


@contextmanager
def running(command: str, settings: Settings, log: Path) -> Iterator[None]:
    """`likeness COMMAND` under `settings`, its log in the file `log`; ended with the block, or with this process."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "likeness", command],
            env=_environment(settings),
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the demo, which ends the others in order
            preexec_fn=die_with_parent,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()


def asked(words: Sequence[str], settings: Settings) -> tuple[bool, str]:
    """Whether `likeness WORDS` ended well under `settings`, and the last line that it wrote."""
    command = [sys.executable, "-m", "likeness", *words]
    ran = subprocess.run(command, env=_environment(settings), capture_output=True, text=True, check=False)
    return ran.returncode == 0, (ran.stdout + ran.stderr).strip().rpartition("\n")[2]


def wait_until_ready(settings: Settings, log: Path, metric: str = "", seconds: float = 60.0) -> None:
    """Until /readyz says so and /metrics shows the line `metric`. Raises TimeoutError."""
    base = f"http://127.0.0.1:{settings.http.port}"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{base}/readyz", timeout=2):  # noqa: S310
                pass
            with urllib.request.urlopen(f"{base}/metrics", timeout=2) as answer:  # noqa: S310
                if metric in answer.read().decode():
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"{log.stem.capitalize()} was not ready within {seconds:.0f} s; its log is {log}.")


def _environment(settings: Settings) -> dict[str, str]:
    """The variables of this process, and what the demo sets."""
    return os.environ | {
        "LIKENESS_HOME": str(settings.home),
        "LIKENESS_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "LIKENESS_KAFKA__SESSION_TIMEOUT_MS": str(settings.kafka.session_timeout_ms),
        "LIKENESS_KAFKA__EXTRA": json.dumps(settings.kafka.extra),
        "LIKENESS_FETCH__ALLOWED_HOSTS": json.dumps(settings.fetch.allowed_hosts),
        "LIKENESS_FETCH__PRIVATE_HOSTS": json.dumps(settings.fetch.private_hosts),
        "LIKENESS_FETCH__FILE_ROOT": str(settings.fetch.file_root),
        "LIKENESS_HTTP__HOST": settings.http.host,
        "LIKENESS_HTTP__PORT": str(settings.http.port),
        "LIKENESS_WEB__HOST": settings.web.host,
        "LIKENESS_WEB__PORT": str(settings.web.port),
    }
