"""The screening service for tests: in a thread or as a process, with uploads going in and outcomes coming out."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter, defaultdict
from pathlib import Path

from kafka import TopicPartition
from pydantic import SecretStr

from config import packaged
from consumers.kafka import make_admin, make_consumer, make_producer
from consumers.messages import read_data
from consumers.service import Service
from consumers.topics import ensure_topics
from demo.broker import free_port
from likeness.enrolling import Enroller
from likeness.workbench import open_records, open_workbench
from records.references import Person
from tests.support.kafka_settings import kafka_settings

MACRON, ARDERN = "Emmanuel Macron", "Jacinda Ardern"
OWN_ACCOUNT = "acct-jacinda-official"
KINDS = ("screening", "review", "dead_letter")


def eventually(true, seconds=15.0, pause=0.02):
    """The first truthy answer of `true`; AssertionError when none came within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, f"{true} did not become true within {seconds} s"
        time.sleep(pause)
    return answer


def service_settings(broker, home, models, **tables):
    """Settings of a service on `broker` with a free HTTP port; the folder `models` serves as its models."""
    home.mkdir(parents=True, exist_ok=True)
    if models is not None and not (home / "models").exists():
        (home / "models").symlink_to(models)
    tables["http"] = {"host": "127.0.0.1", "port": free_port()} | tables.get("http", {})
    tables["screening"] = {"dead_letter_share": 1.0} | tables.get("screening", {})
    tables["gallery"] = {"retry_seconds": 1.0} | tables.get("gallery", {})
    tables["kafka"] = {"session_timeout_ms": 2_000} | tables.get("kafka", {})
    return kafka_settings(broker, home, **tables)


def again(settings, **tables):
    """`settings` with other values in some tables; a group of its own when `kafka` names one."""
    changed = {name: getattr(settings, name).model_copy(update=values) for name, values in tables.items()}
    return settings.model_copy(update=changed)


def enrol(settings, name, *photos, own_accounts=(), force=False):
    """The identity's id."""
    with open_workbench(settings) as bench:
        person = Person(name, "celebrity", "public domain, for tests", tuple(own_accounts))
        enrolled = Enroller(bench, settings).enrol(person, list(photos), force=force, all_or_none=True)
    assert not enrolled.refused, enrolled.refused
    return enrolled.identity_id


def remove(settings, identity_id):
    with open_records(settings) as records:
        records.remove_identity(identity_id)


def make_topics(settings):
    admin = make_admin(settings.kafka)
    try:
        ensure_topics(admin, settings.topics, settings.kafka)
    finally:
        admin.close()


def ask(settings, path):
    """Status and text of one of the service's pages; (0, reason) while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.http.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def metric(settings, name):
    """The value of one sample of /metrics by its full name with labels, 0.0 when there is none."""
    lines = ask(settings, "/metrics")[1].splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), 0.0)


class _Running:
    """What a test can ask of a service however it runs."""

    def __init__(self, settings):
        self.settings = settings

    def wait_ready(self, seconds=40.0):
        def ready():
            self.check()
            return ask(self.settings, "/readyz")[0] == 200

        eventually(ready, seconds)
        return self

    def __enter__(self):
        return self.start().wait_ready()

    def __exit__(self, *_):
        self.stop()


class ServiceThread(_Running):
    """A service in a thread; `error` is what it raised."""

    def __init__(self, settings):
        super().__init__(settings)
        self.error = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="service")

    def start(self):
        self._thread.start()
        return self

    def stop(self, seconds=30.0):
        """Ask it to leave and wait; the seconds that took."""
        asked = time.monotonic()
        self._stop.set()
        self.wait(seconds)
        self.check()
        return time.monotonic() - asked

    def wait(self, seconds=30.0):
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the service does not end"

    def check(self):
        if self.error is not None:
            raise self.error

    def _run(self):
        try:
            Service(self.settings, self._stop).run()
        except BaseException as error:
            self.error = error


class ServiceProcess(_Running):
    """`likeness run` as a process; `log` holds its lines as they come."""

    command = "run"

    def __init__(self, settings, **variables):
        super().__init__(settings)
        self.log = []
        self._process = None
        self._environment = environment(settings) | variables

    def start(self):
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "likeness", self.command],
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._reader = threading.Thread(target=lambda: self.log.extend(self._process.stderr), name="log", daemon=True)
        self._reader.start()
        return self

    def check(self):
        assert self._process.poll() is None, f"it ended with code {self._process.returncode}: {''.join(self.log)}"

    @property
    def alive(self):
        return self._process.poll() is None

    def terminate(self, seconds=15.0):
        """SIGTERM; its exit code."""
        self._process.terminate()
        return self.wait(seconds)

    def kill(self):
        self._process.kill()
        return self.wait()

    def wait(self, seconds=30.0):
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)
            self._process.wait()
            self._reader.join(5)
            raise AssertionError(f"it does not end: {''.join(self.log)}") from None
        finally:
            self._reader.join(5)
            self._process.stderr.close()

    def stop(self):
        if self._process.poll() is None:
            self.terminate()

    def messages(self):
        """The log's records, each parsed."""
        return [json.loads(line) for line in list(self.log)]


def environment(settings):
    """The variables that give a process of its own these settings."""

    def written(value):
        value = value.get_secret_value() if isinstance(value, SecretStr) else value
        if value is None:
            return ""
        return str(value) if isinstance(value, str | Path) else json.dumps(value)

    ours = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")}
    for table, values in settings.model_dump(exclude={"home"}).items():
        for name, value in values.items():
            ours[f"LIKENESS_{table.upper()}__{name.upper()}"] = written(value)
    return ours | {"LIKENESS_HOME": str(settings.home)}


def upload(event_id=None, account_id="acct-stranger", picture=None, **fields):
    """An upload as a dictionary; `picture` goes in as base64."""
    image = {} if picture is None else {"image": {"base64": base64.b64encode(picture).decode()}}
    return {"event_id": event_id or str(uuid.uuid4()), "account_id": account_id, **image, **fields}


class Topics:
    """Both ends of the service: sends uploads, and reads all that came out from the beginning on."""

    def __init__(self, settings):
        self.settings = settings
        self.records = defaultdict(list)
        self._producer = make_producer(settings.kafka)
        self._consumer = make_consumer(settings.kafka)
        self._names = {
            settings.topics.screenings: "screening",
            settings.topics.reviews: "review",
            settings.topics.dead_letters: "dead_letter",
        }
        self._consumer.assign(
            [
                TopicPartition(topic, number)
                for topic in self._names
                for number in self._consumer.partitions_for_topic(topic)
            ]
        )

    def send(self, value, key=b"acct", headers=()):
        """The (partition, offset) of a message sent; a dictionary goes as JSON."""
        if isinstance(value, dict):
            value = json.dumps(value).encode()
        sent = self._producer.send(self.settings.topics.uploads, value, key, list(headers)).get(10)
        return sent.partition, sent.offset

    def send_all(self, uploads):
        """Send without waiting for each."""
        futures = [
            self._producer.send(self.settings.topics.uploads, json.dumps(one).encode(), one["account_id"].encode())
            for one in uploads
        ]
        for future in futures:
            future.get(20)

    def poll(self, timeout_ms=50):
        """Take in what has come meanwhile."""
        for records in self._consumer.poll(timeout_ms=timeout_ms).values():
            self.records[self._names[records[0].topic]].extend(records)
        return self

    def data(self, kind):
        """The messages of a kind that have been read, each without its envelope."""
        return [read_data(record.value) for record in self.records[kind]]

    def of(self, event_id, kind):
        return [data for data in self.data(kind) if data["event_id"] == event_id]

    def dead_at(self, place):
        """The dead letters of the upload at (partition, offset)."""
        letters = self.data("dead_letter")
        return [one for one in letters if (one["original"]["partition"], one["original"]["offset"]) == place]

    def until(self, true, seconds=20.0):
        """Poll until `true` gives something; what it gave."""
        return eventually(lambda: self.poll() and true(), seconds, pause=0)

    def screening(self, event_id, seconds=20.0):
        """The one screening of an upload, once it is there with its review."""
        screenings = self.until(lambda: self.of(event_id, "screening"), seconds)
        if screenings[0]["verdict"] == "review":
            self.until(lambda: self.of(event_id, "review"), seconds)
        return screenings[0]

    def dead_letter(self, place, seconds=20.0):
        return self.until(lambda: self.dead_at(place), seconds)[0]

    def close(self):
        self._producer.close(timeout=5)
        self._consumer.close()


def mixed_uploads(portraits, count):
    """Every fourth is a suspicion, every seventh a dead letter."""
    stolen, other = (portraits[name].read_bytes() for name in ("person_a_2.jpg", "impostor_1.jpg"))
    return [
        upload(
            f"event-{number}",
            f"acct-{number}",
            b"no picture" if number % 7 == 3 else stolen if number % 4 == 0 else other,
        )
        for number in range(count)
    ]


def expected_outcomes(count):
    """(kind, event id) of each message that `mixed_uploads` must give."""
    wanted = set()
    for number in range(count):
        if number % 7 == 3:
            wanted.add(("dead_letter", f"event-{number}"))
            continue
        wanted.add(("screening", f"event-{number}"))
        if number % 4 == 0:
            wanted.add(("review", f"event-{number}"))
    return wanted


def outcomes(topics):
    """How often each (kind, event id) has been read."""
    return Counter((kind, one["event_id"]) for kind in KINDS for one in topics.data(kind))


def ids(topics):
    """The own ids of each (kind, event id)."""
    found = {}
    for kind in KINDS:
        for one in topics.data(kind):
            found.setdefault((kind, one["event_id"]), set()).add(one[f"{kind}_id"])
    return found


def schema(topic):
    """The JSON Schema of a topic by its plain name."""
    return json.loads((packaged("schemas") / f"{topic}.schema.json").read_text())
