"""The program `likeness` as its users run it, without paying for its imports every time.

Each run is a process of its own, forked from one that has imported the program and nothing else has happened in.
"""

import json
import multiprocessing
import os
import sys
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["likeness.main"])


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        """The JSON objects of the output's lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def sentence(self):
        """The one line on stderr, without the program's name; fails the test when there is more, or none."""
        (line,) = self.err.splitlines()
        assert line.startswith("likeness: ")
        assert line.endswith(".")
        return line.removeprefix("likeness: ")


class Program:
    """`likeness` with a home of its own. `variables` are set for every run."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self._variables = {"LIKENESS_HOME": str(home), **variables}

    def __call__(self, *arguments: object, **variables: str) -> Ended:
        """Run to the end. Fails the test when it takes longer than SECONDS or shows a traceback."""
        self.home.parent.mkdir(parents=True, exist_ok=True)
        out, err = (self.home.with_name(f"{self.home.name}.{name}") for name in ("stdout", "stderr"))
        words = [str(argument) for argument in arguments]
        process = _processes.Process(target=_run, args=(words, self._variables | variables, out, err))
        process.start()
        process.join(SECONDS)
        if process.is_alive():
            process.kill()
            raise AssertionError(f"likeness {' '.join(words)} did not end within {SECONDS} s: {err.read_text()}")
        ended = Ended(process.exitcode, out.read_text(), err.read_text())
        assert "Traceback" not in ended.err, ended.err
        return ended


def _run(words, variables, out, err):
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
        del os.environ[name]
    os.environ |= variables
    sys.argv = ["likeness", *words]
    from likeness.main import run

    run()
