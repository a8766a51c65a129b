"""Moderators who decide over HTTP whatever happens to the console, and reviews that go on meanwhile."""

import json
import re
import threading
import time
import uuid
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import urllib3
from kafka import TopicPartition

from config import Settings
from consumers.kafka import make_consumer, make_producer, read_to_end
from consumers.messages import write_event
from records.people.web_sessions import Session
from tests.chaos.uploads import flat_picture
from tests.support.console import NOW, review
from tests.support.console_site import Visitor, text_of
from web.security import SESSION_COOKIE

HANG_SECONDS = 5.0
REFUSED_PAUSE = 0.2
DECISIONS = (("confirmed", "same_person"), ("bad_picture", "too_small"))


class Reviews:
    """Sends so many reviews, each of an account of its own, one every `pause` seconds, as soon as Kafka takes them.

    `sent`: when each was handed over, by event id, in seconds since 1970.
    """

    def __init__(self, settings: Settings, count: int, pause: float) -> None:
        self._settings = settings
        self._count, self._pause = count, pause
        self.sent: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="reviews", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        patient = {"delivery_timeout_ms": 600_000, "max_block_ms": 600_000, "request_timeout_ms": 5_000}
        picture = flat_picture()
        with closing(make_producer(self._settings.kafka, **patient)) as producer:
            futures = []
            for number in range(self._count):
                one = review(picture, event_id=f"event-{uuid.uuid4()}", account_id=f"acct-{number}")
                value = write_event(one, str(one.review_id), NOW)
                self.sent[one.event_id] = time.time()
                futures.append(producer.send(self._settings.topics.reviews, value, one.account_id.encode()))
                time.sleep(self._pause)
            for future in futures:
                future.get(120)


class Moderator:
    """Takes the next case, looks at it and decides, in a thread, until left; tries again while pages are away.

    `told`: the cases whose decision was answered as taken; `refused`: pages that said that the records do not answer;
    `strange`: anything else that was not due; `longest`: the slowest answer in seconds.
    """

    def __init__(self, address: str, token: str, session: Session, number: int) -> None:
        self._visitor = Visitor(address)
        self._visitor.cookies[SESSION_COOKIE] = token
        self._csrf = {"csrf_token": session.csrf_token}
        self._stop = threading.Event()
        self._how = DECISIONS[number % len(DECISIONS)]
        self.told: set[str] = set()
        self.refused = 0
        self.strange: list[str] = []
        self.longest = 0.0
        self._thread = threading.Thread(target=self._run, name=f"moderator-{number}", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.is_set():
            answer = self._ask("POST", "/case/next")
            found = re.match(r"/case/([0-9a-f-]{36})", answer.headers.get("Location", "")) if answer else None
            if found is None:
                self._stop.wait(REFUSED_PAUSE)
                continue
            case = found[1]
            self._ask("GET", f"/case/{case}")
            self._ask("GET", f"/case/{case}/avatar.jpg")
            decided = self._ask("POST", f"/case/{case}/decide", decision=self._how[0], reason=self._how[1])
            if decided and decided.status == 303:
                self.told.add(case)

    def _ask(self, method: str, path: str, **fields: str) -> urllib3.BaseHTTPResponse | None:
        """None unless the page was there; a decision whose answer was lost may have been taken: then 409 follows."""
        began = time.monotonic()
        try:
            get, post = self._visitor.get, self._visitor.post
            answer = get(path) if method == "GET" else post(path, self._csrf | fields)
        except urllib3.exceptions.HTTPError as error:
            self.strange.append(f"{method} {path}: {type(error).__name__}")
            return None
        finally:
            self.longest = max(self.longest, time.monotonic() - began)
        if answer.status in (200, 303):
            return answer
        if answer.status == 503 and "The records do not answer" in text_of(answer) and answer.headers["Retry-After"]:
            self.refused += 1
            self._stop.wait(REFUSED_PAUSE)
        elif answer.status != 409:
            self.strange.append(f"{method} {path}: {answer.status}: {text_of(answer)[:200]}")
        return None


@dataclass(frozen=True, slots=True)
class Told:
    """A message of review-decisions; when it was decided and when Kafka took it, in seconds since 1970."""

    decided_at: float
    at: float


def decisions_told(settings: Settings) -> dict[str, list[Told]]:
    """All that readers of committed messages see on review-decisions, by event."""
    found = defaultdict(list)
    with closing(make_consumer(settings.kafka)) as consumer:
        topic = settings.topics.decisions
        consumer.assign([TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)])
        for records in read_to_end(consumer, threading.Event()):
            for record in records:
                data = json.loads(record.value)["data"]
                decided_at = datetime.fromisoformat(data["decided_at"]).timestamp()
                found[data["event_id"]].append(Told(decided_at, record.timestamp / 1000))
    return found
