"""Apache Kafka for tests: one process on 127.0.0.1 (KRaft, broker and controller in one), from the jars of pom.xml."""

import base64
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from demo.broker import BrokerFailed, BrokerProcess, BrokerUnavailable, free_port

POM = Path(__file__).with_name("pom.xml")
TARGET = Path(__file__).parents[1] / "target"


def kafka_version() -> str:
    """The version of Apache Kafka that pom.xml names."""
    xml = ElementTree.parse(POM)
    return xml.findtext(".//{*}dependency[{*}artifactId='kafka_2.13']/{*}version", default="?")


def fetch_jars(target: Path = TARGET) -> Path:
    """The folder with Apache Kafka's jars; brought by Maven once per state of pom.xml, kept under `target`.

    Raises BrokerUnavailable when java or mvn is missing or the jars cannot be had.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise BrokerUnavailable(f"{program} is not installed")
    target.mkdir(parents=True, exist_ok=True)
    with POM.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Maven's own store is not made for two at once
        return _fetch_jars(target / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}")


def _fetch_jars(folder: Path) -> Path:
    if folder.is_dir():
        return folder
    # Filled under another name first, so that a run that is cut short leaves nothing that looks whole.
    filling = folder.with_name(f"filling-{os.getpid()}")
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={filling}"], capture_output=True, text=True, timeout=240, check=False
        )
        if done.returncode != 0:
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise BrokerUnavailable(f"Maven could not bring the jars: {' '.join(last)}")
        filling.rename(folder)
    except subprocess.TimeoutExpired:
        raise BrokerUnavailable("Maven did not bring the jars within 240 s") from None
    finally:
        shutil.rmtree(filling, ignore_errors=True)
    return folder


@dataclass(frozen=True, slots=True)
class Listener:
    """One more port of a broker. `properties` are those that Kafka takes for a single listener, such as
    ssl.keystore.location; they are read when the broker starts."""

    name: str
    protocol: str
    properties: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)

    @property
    def bootstrap_servers(self) -> str:
        return f"{self.host}:{self.port}"


class ApacheKafka:
    """Apache Kafka as a context manager: data, log and settings lie under `folder`, the port stays over restarts.

    `properties` are added to server.properties. `bootstrap_servers` is a PLAINTEXT port; `listeners` come beside it.
    Users of SASL/SCRAM are made with the admin client. Raises BrokerUnavailable as `fetch_jars` does.
    """

    def __init__(
        self, folder: Path, properties: Mapping[str, str] | None = None, listeners: Sequence[Listener] = ()
    ) -> None:
        self.name = f"Apache Kafka {kafka_version()} (KRaft)"
        self._folder = folder
        self._port, self._controller_port = free_port(), free_port()
        self._properties = dict(properties or {})
        self._listeners = tuple(listeners)
        self._process: BrokerProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._jars = fetch_jars()
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._folder / "server.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in self._server_properties().items()))
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # In one word: one id in 64 begins with a hyphen.
        identity = f"--cluster-id={cluster_id}"
        tool = ["kafka.tools.StorageTool", "format", "--standalone", identity, "-c", str(settings)]
        done = subprocess.run(self._java("128m", *tool), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise BrokerFailed(f"Apache Kafka's folder could not be formatted: {done.stdout}{done.stderr}")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        self._process = BrokerProcess(self._folder, self._port)
        command = self._java("512m", "kafka.Kafka", str(self._folder / "server.properties"))
        self._process.start(command, os.environ, seconds=60.0)

    def stop(self) -> None:
        """End it in order; data and port stay for `start`."""
        if self._process is not None:
            self._process.stop(seconds=20.0)

    def kill(self) -> None:
        """End it at once; data and port stay for `start`."""
        if self._process is not None:
            self._process.kill()

    def pause(self) -> None:
        """Let it answer nobody, with all connections open, until `resume`."""
        if self._process is not None:
            self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.signal(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _java(self, heap: str, *arguments: str) -> list[str]:
        quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        return ["java", f"-Xmx{heap}", *quick, "-cp", f"{self._jars}/*", *arguments]

    def _server_properties(self) -> dict[str, str]:
        controller = f"CONTROLLER://127.0.0.1:{self._controller_port}"
        advertised = [f"PLAINTEXT://127.0.0.1:{self._port}"]
        advertised += [f"{one.name}://{one.bootstrap_servers}" for one in self._listeners]
        protocols = {"CONTROLLER": "PLAINTEXT", "PLAINTEXT": "PLAINTEXT"}
        protocols |= {one.name: one.protocol for one in self._listeners}
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self._controller_port}",
            "listeners": ",".join([*advertised, controller]),
            "advertised.listeners": ",".join(advertised),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": ",".join(f"{name}:{how}" for name, how in protocols.items()),
            "log.dirs": str(self._folder / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "auto.create.topics.enable": "false",
            **{
                f"listener.name.{one.name.lower()}.{name}": value
                for one in self._listeners
                for name, value in one.properties.items()
            },
        } | self._properties
