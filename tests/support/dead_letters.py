"""Uploads and dead letters put on a broker by hand, and the program that looks at them."""

from datetime import UTC, datetime

from consumers.dead_letters import dead_letter
from consumers.kafka import make_consumer, make_producer
from consumers.messages import read_data
from consumers.places import Place, read_places
from tests.support.program import Program
from tests.support.running_service import environment

FAILED_AT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def program(settings):
    """`likeness` with these settings."""
    ours = {name: text for name, text in environment(settings).items() if name.startswith("LIKENESS_")}
    return Program(settings.home, **ours)


class Letters:
    """Fills the topics of uploads and dead letters, and reads what was sent."""

    def __init__(self, settings):
        self.settings = settings
        self._producer = make_producer(settings.kafka)
        self._consumer = make_consumer(settings.kafka)

    def upload(self, value=b"an upload", key=b"acct-1", headers=()):
        """The record of an upload sent."""
        sent = self._producer.send(self.settings.topics.uploads, value, key, list(headers)).get(20)
        ((_, record),) = read_places(self._consumer, [Place(sent.topic, sent.partition, sent.offset)])
        return record

    def bury(self, record, reason="unreachable", *, account="acct-1", at=FAILED_AT, compact=False, times=1):
        """The id of the record's dead letter, which is sent `times` times."""
        topic = self.settings.topics.dead_letters
        letter = dead_letter(record, topic, reason, "Nobody answers.", at, "event-1", account, compact)
        for _ in range(times):
            self._producer.send(topic, letter.value, letter.key, list(letter.headers)).get(20)
        return read_data(letter.value)["dead_letter_id"]

    def send_junk(self):
        self._producer.send(self.settings.topics.dead_letters, b"no dead letter").get(20)

    def replayed(self):
        """The records among the uploads that are replays, by the dead letter's id."""
        found = {}
        for record in self.uploads():
            ids = [value.decode() for name, value in record.headers if name == "replayed-dead-letter"]
            if ids:
                found.setdefault(ids[-1], []).append(record)
        return found

    def uploads(self):
        topic = self.settings.topics.uploads
        places = [Place(topic, number, offset) for number in range(2) for offset in range(100)]
        return [record for _, record in read_places(self._consumer, places) if record is not None]

    def close(self):
        self._producer.close(timeout=5)
        self._consumer.close()
