"""The demo: a real broker, the real consumer, real portraits; a table, a contact sheet, and an honest exit code.

1. portraits and models  2. broker  3. `likeness run`  4. enrol two public figures  5. upload, one event after
the other, and wait for each outcome on the topics  6. table and contact sheet. In a terminal all of it keeps running
until Ctrl-C.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from config import Settings, load_settings, packaged
from consumers.kafka import make_consumer, make_producer
from consumers.messages import read_data
from demo.broker import BrokerUnavailable, EmbeddedBroker, free_port
from demo.events import ARDERN, ARDERN_ACCOUNT, MACRON, DemoEvent, make_events
from demo.portraits import PORTRAITS, fetch_portraits
from demo.sheet import SheetEntry, contact_sheet
from detector.packs import PackError, pull, read_packs
from likeness.enrolling import Enroller, Person
from likeness.workbench import open_workbench

OUTCOME_SECONDS = 20.0
console = Console(width=None if sys.stdout.isatty() else 180)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of the topics for one upload, and the milliseconds from sending it to reading that."""

    screening: dict[str, Any] | None
    review: dict[str, Any] | None
    dead_letter: dict[str, Any] | None
    milliseconds: float

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Those of the review, most urgent first."""
        return list(self.review["findings"]) if self.review else []

    @property
    def reason(self) -> str:
        return str(self.dead_letter["reason"]) if self.dead_letter else ""

    @property
    def verdict(self) -> str:
        return str(self.screening["verdict"]) if self.screening else "dead letter"

    def matches(self, event: DemoEvent) -> bool:
        """Whether this is the outcome that is right for `event`."""
        if self.dead_letter:
            return self.screening is None and self.dead_letter["reason"] == event.expected
        if self.review is None:
            return self.verdict == event.expected
        findings = self.review["findings"]
        named = {finding["identity_name"] for finding in findings if finding["identity_name"]}
        marked = any(finding["kind"] == "foreign_watermark" for finding in findings)
        return (findings[0]["kind"], named, marked) == (event.expected, {event.identity}, event.marked)


def main() -> int:
    started = time.monotonic()
    home = load_settings().home / "demo"
    for stale in ("work", "run"):
        shutil.rmtree(home / stale, ignore_errors=True)
    with ExitStack() as stack:
        pack = read_packs(packaged("models.toml"))["opencv-zoo"]
        console.print("Getting the default model pack and six portraits ...")
        pull(pack, home / "models" / pack.name)
        portraits = fetch_portraits(home / "portraits")
        shutil.copytree(home / "models", home / "run" / "models")
        broker = stack.enter_context(EmbeddedBroker(home / "work"))
        pictures = home / "work" / "pictures"
        pictures.mkdir(parents=True)
        port = stack.enter_context(_serving(pictures))
        settings = _settings(home, broker, port)
        console.print(f"Kafka broker on {broker.bootstrap_servers}. Starting the screening consumer ...")
        stack.enter_context(_consumer_process(settings, home / "work" / "consumer.log"))
        references = _enrol(settings, portraits)
        console.print("Enrolled Emmanuel Macron (2014) and Jacinda Ardern (2018), one photo each.\n")
        _wait_until_ready(settings, references=len(references))
        events = make_events(portraits)
        outcomes = _upload_all(settings, events, pictures, port)
        console.print(_table(events, outcomes))
        sheet = home / "work" / "pictures" / "contact-sheet.html"
        sheet.write_text(_sheet(events, outcomes, references))
        right = sum(outcome.matches(event) for event, outcome in zip(events, outcomes, strict=True))
        console.print(
            f"{right} of {len(events)} uploads ended as expected, {time.monotonic() - started:.1f} s in all.\n"
            f"Contact sheet: {sheet}"
        )
        if sys.stdin.isatty() and sys.stdout.isatty():
            console.print(f"  the sheet    http://127.0.0.1:{port}/contact-sheet.html")
            console.print(f"  the metrics  http://127.0.0.1:{settings.http.port}/metrics")
            console.print("Ctrl-C ends the demo.")
            _sleep_until_interrupted()
    return 0 if right == len(events) else 1


def _settings(home: Path, broker: EmbeddedBroker, port: int) -> Settings:
    return load_settings(
        home=home / "run",
        kafka={
            "bootstrap_servers": broker.bootstrap_servers,
            "session_timeout_ms": 2000,
            "extra": {"fetch_max_wait_ms": 20},  # the embedded broker answers late when it has to wait for messages
        },
        fetch={
            "allowed_hosts": ["127.0.0.1"],
            "private_hosts": [f"127.0.0.1:{port}"],
            "file_root": home / "work" / "pictures",
        },
        http={"host": "127.0.0.1", "port": free_port()},
    )


@contextmanager
def _serving(folder: Path) -> Iterator[int]:
    """A web server over `folder` on loopback; its port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """The table tells what happened."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _consumer_process(settings: Settings, log: Path) -> Iterator[None]:
    """`likeness run` in a process of its own, as in production."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")} | {
        "LIKENESS_HOME": str(settings.home),
        "LIKENESS_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "LIKENESS_KAFKA__SESSION_TIMEOUT_MS": str(settings.kafka.session_timeout_ms),
        "LIKENESS_KAFKA__EXTRA": json.dumps(settings.kafka.extra),
        "LIKENESS_FETCH__ALLOWED_HOSTS": json.dumps(settings.fetch.allowed_hosts),
        "LIKENESS_FETCH__PRIVATE_HOSTS": json.dumps(settings.fetch.private_hosts),
        "LIKENESS_FETCH__FILE_ROOT": str(settings.fetch.file_root),
        "LIKENESS_HTTP__HOST": settings.http.host,
        "LIKENESS_HTTP__PORT": str(settings.http.port),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "likeness", "run"], env=environment, stderr=output, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()


def _enrol(settings: Settings, portraits: dict[str, Path]) -> dict[str, bytes]:
    """Enrol two public figures; the gallery's copies of their photos by identity id."""
    people = (
        (Person(MACRON, "celebrity", PORTRAITS["person_a_1.jpg"].credit), "person_a_1.jpg"),
        (Person(ARDERN, "celebrity", PORTRAITS["person_b_1.jpg"].credit, (ARDERN_ACCOUNT,)), "person_b_1.jpg"),
    )
    photos = {}
    with open_workbench(settings) as bench:
        enroller = Enroller(bench, settings)
        for person, photo in people:
            enrolled = enroller.enrol(person, [portraits[photo]], all_or_none=True)
            identity_id = str(enrolled.identity_id)
            reference = bench.records.show(identity_id).references[0]
            photos[identity_id] = bench.records.reference_photo(reference.id)
    return photos


def _wait_until_ready(settings: Settings, references: int, seconds: float = 60.0) -> None:
    base = f"http://127.0.0.1:{settings.http.port}"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{base}/readyz", timeout=2):  # noqa: S310
                pass
            with urllib.request.urlopen(f"{base}/metrics", timeout=2) as answer:  # noqa: S310
                if f"likeness_gallery_references {references}.0" in answer.read().decode():
                    return
        except OSError:
            pass
        time.sleep(0.05)
    log = settings.home.parent / "work" / "consumer.log"
    raise TimeoutError(f"The consumer was not ready within {seconds:.0f} s; its log is {log}.")


def _upload_all(settings: Settings, events: list[DemoEvent], pictures: Path, port: int) -> list[Outcome]:
    topics = settings.topics
    consumer = make_consumer(settings.kafka)
    consumer.assign(
        [
            TopicPartition(topic, number)
            for topic in (topics.screenings, topics.reviews, topics.dead_letters)
            for number in range(topics.partitions)
        ]
    )
    producer = make_producer(settings.kafka)
    try:
        return [_upload(settings, event, pictures, port, producer, consumer) for event in events]
    finally:
        producer.close()
        consumer.close()


def _upload(
    settings: Settings, event: DemoEvent, pictures: Path, port: int, producer: KafkaProducer, consumer: KafkaConsumer
) -> Outcome:
    event_id = str(uuid.uuid4())
    message = _message(event, event_id, pictures, port)
    sent = time.monotonic()
    producer.send(settings.topics.uploads, json.dumps(message).encode(), event.account_id.encode()).get(timeout=10)
    found: dict[str, dict[str, Any]] = {}
    while time.monotonic() < sent + OUTCOME_SECONDS:
        for records in consumer.poll(timeout_ms=20).values():
            for record in records:
                data = read_data(record.value)
                if data["event_id"] == event_id:
                    found[record.topic] = data
        screening, review = found.get(settings.topics.screenings), found.get(settings.topics.reviews)
        dead = found.get(settings.topics.dead_letters)
        if dead or (screening and (screening["verdict"] != "review" or review)):
            return Outcome(screening, review, dead, 1e3 * (time.monotonic() - sent))
    return Outcome(None, None, None, 1e3 * OUTCOME_SECONDS)


def _message(event: DemoEvent, event_id: str, pictures: Path, port: int) -> dict[str, Any]:
    name = f"{event_id}.jpg"
    if event.way == "inline":
        image = {"base64": base64.b64encode(event.picture).decode()}
    elif not event.picture:
        image = {"url": "http://10.0.0.1/avatar.jpg"}
    else:
        (pictures / name).write_bytes(event.picture)
        url = f"http://127.0.0.1:{port}/{name}" if event.way == "http" else (pictures / name).as_uri()
        image = {"url": url}
    upload = {
        "event_id": event_id,
        "account_id": event.account_id,
        "image": image,
        "profile": {"handle": event.handle},
    }
    if not event.cloud_event:
        return upload
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/demo",
        "type": "likeness.avatar.uploaded.v1",
        "datacontenttype": "application/json",
        "data": upload,
    }


def _table(events: list[DemoEvent], outcomes: list[Outcome]) -> Table:
    table = Table(
        title=f"{len(events)} uploads through Kafka", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for column in ("avatar", "verdict", "findings", "matched identity"):
        table.add_column(column)
    for column in ("priority", "similarity", "threshold", "time"):
        table.add_column(column, justify="right")
    table.add_column("as expected")
    for event, outcome in zip(events, outcomes, strict=True):
        finding = outcome.review["findings"][0] if outcome.review else None
        tone = {"review": "red", "clear": "green"}.get(outcome.verdict, "yellow")
        table.add_row(
            event.title,
            f"[{tone}]{outcome.verdict}[/]",
            ", ".join(one["kind"] for one in outcome.findings) or outcome.reason,
            finding["identity_name"] if finding else "",
            str(outcome.review["priority"]) if outcome.review else "",
            f"{finding['similarity']:.2f}" if finding else "",
            f"{outcome.review['threshold']:.2f}" if outcome.review else "",
            f"{outcome.milliseconds:.0f} ms",
            "yes" if outcome.matches(event) else f"[red]NO: {event.expected}[/]",
        )
    return table


def _sheet(events: list[DemoEvent], outcomes: list[Outcome], references: dict[str, bytes]) -> str:
    entries = []
    for event, outcome in zip(events, outcomes, strict=True):
        finding = outcome.review["findings"][0] if outcome.review else None
        if finding:
            said = " ".join(one["text"] for one in outcome.findings)
        elif outcome.dead_letter:
            said = f"{outcome.dead_letter['reason']}: {outcome.dead_letter['detail']}"
        else:
            said = "an own account is never flagged" if event.account_id == ARDERN_ACCOUNT else "matches nobody"
        entries.append(
            SheetEntry(
                title=event.title,
                picture=event.picture,
                verdict=outcome.verdict,
                explanation=said,
                box=tuple(finding["face_box"]) if finding else None,
                reference=references[finding["identity_id"]] if finding else None,
                reference_caption=f"reference: {finding['identity_name']}" if finding else "",
            )
        )
    return contact_sheet(entries, [portrait.credit for portrait in PORTRAITS.values()])


def _sleep_until_interrupted() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        console.print("Ending.")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokerUnavailable, PackError, TimeoutError) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(2)
