"""A PostgreSQL of our own for tests: a private cluster in a temporary folder, on a free loopback port."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from records.database import open_database

ACCOUNT = "postgres"
START_SECONDS = 30


class PostgresMissing(RuntimeError):
    """PostgreSQL's programs are not on this machine and cannot be installed; the text says so."""


class PostgresServer:
    """Starts on `start` or on entering a `with` block; `stop` ends it and deletes its folder.

    `halt` and `resume` end and start it in between, its data and port kept.
    """

    def __init__(self) -> None:
        self._programs = find_programs()
        self._account = ACCOUNT if os.geteuid() == 0 else None  # the server refuses to run as root
        self._numbers = count(1)
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._template: str | None = None
        self.port = 0

    @property
    def name(self) -> str:
        """What it is, with its version: `PostgreSQL 15`."""
        return f"PostgreSQL {self._programs.parent.name}"

    @property
    def url(self) -> str:
        return self._url("postgres")

    def create_database(self, *, migrated: bool = False) -> str:
        """The URL of a new, empty database; `migrated`: with its tables, copied from one that was really migrated."""
        name = f"likeness_{next(self._numbers)}"
        like = f" TEMPLATE {self._migrated()}" if migrated else ""
        with psycopg.connect(self._conninfo(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}{like}")
        return self._url(name)

    @contextmanager
    def brief_database(self, *, migrated: bool = False) -> Iterator[str]:
        """As `create_database`, deleted at the end of the block, whoever is connected to it."""
        url = self.create_database(migrated=migrated)
        yield url
        with psycopg.connect(self._conninfo(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def _migrated(self) -> str:
        """The name of a database with empty tables, which nobody is connected to."""
        if self._template is None:
            url = self.create_database()
            with closing(open_database(url)) as database:
                database.migrate()
            self._template = url.rpartition("/")[2]
        return self._template

    def start(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="likeness-postgres-"))
        if self._account:
            shutil.chown(self._folder, self._account)
        data = self._folder / "data"
        quick = ["--no-sync", "--no-instructions", "--locale=C"]
        subprocess.run(
            [
                *self._as_account(),
                self._programs / "initdb",
                "-D",
                data,
                "-U",
                ACCOUNT,
                "-A",
                "trust",
                "-E",
                "UTF8",
                *quick,
            ],
            cwd=self._folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.port = _free_port()
        self.resume()

    def resume(self) -> None:
        """Run it with the data and on the port that it has; returns once a client is answered."""
        assert self._folder is not None
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_wal_size": "128MB",
        }
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._programs / "postgres",
                    "-D",
                    self._folder / "data",
                    *(f"-c{key}={value}" for key, value in settings.items()),
                ],
                cwd=self._folder,
                user=self._account,
                group=self._account,
                extra_groups=[] if self._account else None,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def halt(self) -> None:
        """End it at once, as a power cut would; data and port stay for `resume`."""
        self._end(signal.SIGQUIT)  # PostgreSQL's "immediate" shutdown

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and says nothing until the block ends, as on a machine whose disk hangs."""
        assert self._process is not None
        server = self._process.pid
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for process in (server, *map(int, children)):
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in (*map(int, children), server):
                os.kill(process, signal.SIGCONT)

    def stop(self) -> None:
        self._end(signal.SIGINT)  # PostgreSQL's "fast" shutdown
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=START_SECONDS)
            self._process = None

    def _as_account(self) -> list[str]:
        return ["runuser", "-u", self._account, "--"] if self._account else []

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://{ACCOUNT}@127.0.0.1:{self.port}/{name}"

    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user={ACCOUNT} dbname=postgres"

    def _wait(self) -> None:
        assert self._process is not None and self._folder is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self._conninfo(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"PostgreSQL did not start: {(self._folder / 'server.log').read_text()}"
                    ) from None
                time.sleep(0.05)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A running server, gone with its data at the end of the block. Raises PostgresMissing."""
    with PostgresServer() as server:
        yield server


def find_programs() -> Path:
    """The folder with `initdb` and `postgres`; as root on Debian the package is installed when it is missing."""
    if (found := _find()) is not None:
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise PostgresMissing("PostgreSQL's server programs (initdb, postgres) are not installed.")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", "postgresql"]):
        ran = subprocess.run(["apt-get", "-qq", *words], env=quiet, capture_output=True, text=True)
        if ran.returncode != 0:
            raise PostgresMissing(f"PostgreSQL cannot be installed: {ran.stderr.strip()[-500:]}")
    if (found := _find()) is None:
        raise PostgresMissing("The package postgresql brought no initdb.")
    return found


def _find() -> Path | None:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    initdb = debian[-1] if debian else shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
