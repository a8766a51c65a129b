import random
import subprocess
import sys
import time
from threading import Event, Timer

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import CoordinatorLoadInProgressError

from consumers import transaction_probe
from consumers.delivery import (
    AtLeastOnceDelivery,
    DeliveryFailed,
    MessageTooLarge,
    OutgoingMessage,
    TransactionalDelivery,
    WorkerFenced,
    choose_delivery,
)
from consumers.kafka import make_admin, make_consumer, make_producer, read_to_end, rewind
from consumers.membership import Rebalances
from consumers.progress import SPAN, Progress
from consumers.topics import ensure_topics
from consumers.transaction_probe import probe_transactions
from tests.support.kafka_broker import ApacheKafka
from tests.support.kafka_settings import kafka_settings

SMALL = "small-messages"

WORKER = """
import sys
from kafka import OffsetAndMetadata, TopicPartition
from config.settings import load_settings
from consumers.delivery import OutgoingMessage, TransactionalDelivery
from consumers.kafka import make_consumer
kafka = load_settings(kafka={"bootstrap_servers": sys.argv[1], "transaction_seconds": 2.0}).kafka
delivery = TransactionalDelivery(kafka, make_consumer(kafka, group_id="group"), "worker-0")
offsets = {TopicPartition(sys.argv[2], 0): OffsetAndMetadata(1, "", -1)}
delivery.deliver([OutgoingMessage(sys.argv[2], b"event", b"value")], offsets)
print("delivered", flush=True)
sys.stdin.readline()
delivery.deliver([], offsets)
"""


def after(record):
    """The offset to commit once `record` is done with."""
    return {TopicPartition(record.topic, record.partition): OffsetAndMetadata(record.offset + 1, "", -1)}


class Place:
    """One worker's surroundings on a broker: topics, a consumer that holds two upload partitions, what readers see."""

    def __init__(self, broker, home, seconds=6.0):
        self.settings = kafka_settings(
            broker, home, kafka={"transaction_seconds": seconds, "max_message_bytes": 100_000}
        )
        self.kafka, self.topics = self.settings.kafka, self.settings.topics
        self.admin = make_admin(self.kafka)
        ensure_topics(self.admin, self.topics, self.kafka)
        self.partitions = [TopicPartition(self.topics.uploads, number) for number in range(2)]
        self.consumer = make_consumer(self.kafka, group_id=self.kafka.group_id)
        self.deliveries = []

    def assign(self):
        self.consumer.assign(self.partitions)
        return self

    def join(self):
        self.consumer.subscribe([self.topics.uploads], listener=Rebalances(self.consumer))
        deadline = time.monotonic() + 20
        while len(self.consumer.assignment()) < 2 and time.monotonic() < deadline:
            self.consumer.poll(timeout_ms=100)
        return self

    def transactional(self, **options):
        return self.keep(TransactionalDelivery(self.kafka, self.consumer, f"{self.kafka.group_id}-0", **options))

    def at_least_once(self):
        return self.keep(AtLeastOnceDelivery(self.kafka, self.consumer))

    def keep(self, delivery):
        self.deliveries.append(delivery)
        return delivery

    def outputs(self, *values):
        return [OutgoingMessage(self.topics.screenings, b"event", value, (("id", b"1"),)) for value in values]

    def offsets(self, offset, partition=0):
        return {self.partitions[partition]: OffsetAndMetadata(offset, "", -1)}

    def committed(self):
        return [self.consumer.committed(partition) for partition in self.partitions]

    def visible(self, topic=None):
        topic = topic or self.topics.screenings
        reader = make_consumer(self.kafka)
        reader.assign([TopicPartition(topic, number) for number in reader.partitions_for_topic(topic)])
        values = [record.value for records in read_to_end(reader, Event()) for record in records]
        reader.close()
        return values

    def close(self):
        for delivery in self.deliveries:
            delivery.close()
        self.consumer.close()
        self.admin.close()


@pytest.fixture
def place(broker, tmp_path):
    """On both brokers."""
    place = Place(broker, tmp_path)
    yield place.assign()
    place.close()


@pytest.fixture
def kafka_place(apache_kafka, tmp_path):
    """On Apache Kafka, which keeps its word on transactions."""
    place = Place(apache_kafka, tmp_path)
    yield place
    place.close()


def unknown(place):
    return OutgoingMessage(f"{place.topics.screenings}-that-nobody-made", b"event", b"lost")


def noise(size):
    return random.Random(size).randbytes(size)


def test_a_transaction_shows_outputs_and_offsets_together(kafka_place):
    place = kafka_place.join()
    review = OutgoingMessage(place.topics.reviews, b"event", b"review")
    place.transactional().deliver([*place.outputs(b"1", b"2"), review], place.offsets(2) | place.offsets(7, 1))
    assert place.visible() == [b"1", b"2"]
    assert place.visible(place.topics.reviews) == [b"review"]
    assert place.committed() == [2, 7]


def test_headers_and_deletions_arrive_as_they_were_given(kafka_place):
    place = kafka_place.assign()
    message = OutgoingMessage(place.topics.gallery_changes, b"identity", None, (("reason", b"withdrawn"),))
    place.transactional().deliver([message], {})
    reader = make_consumer(place.kafka)
    reader.assign([TopicPartition(place.topics.gallery_changes, 0)])
    [record] = [record for records in read_to_end(reader, Event()) for record in records]
    reader.close()
    assert (record.key, record.value, record.headers) == (b"identity", None, [("reason", b"withdrawn")])


@pytest.mark.parametrize("kind", ["transactional", "at_least_once"])
def test_a_message_that_the_client_finds_too_large_is_named_and_its_replacement_arrives_once(kafka_place, kind):
    place = kafka_place.assign()
    delivery = getattr(place, kind)()
    small, large = place.outputs(b"small", noise(200_000))
    with pytest.raises(MessageTooLarge) as refused:
        delivery.deliver([large, small], place.offsets(1))
    assert refused.value.output is large
    assert (place.visible(), place.committed()) == ([], [None, None])
    delivery.deliver([*place.outputs(b"replaced"), small], place.offsets(1))
    assert (place.visible(), place.committed()) == ([b"replaced", b"small"], [1, None])


@pytest.mark.parametrize("kind", ["transactional", "at_least_once"])
def test_a_message_that_the_broker_finds_too_large_is_told_from_its_neighbours(kafka_place, kind):
    place = kafka_place.assign()
    topic = f"{place.topics.screenings}-{SMALL}"
    settings = {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "2000"}}
    place.admin.create_topics({topic: settings})
    delivery = getattr(place, kind)()
    small, large, last = (OutgoingMessage(topic, b"event", value) for value in (b"small", noise(3_000), b"last"))
    with pytest.raises(MessageTooLarge) as refused:
        delivery.deliver([small, large, last], place.offsets(1))
    assert refused.value.output is large
    assert place.committed() == [None, None]
    if kind == "transactional":
        assert place.visible(topic) == []
    delivery.deliver([small, last], place.offsets(1))
    assert place.visible(topic)[-2:] == [b"small", b"last"]
    assert place.committed() == [1, None]


def test_one_output_that_cannot_be_sent_takes_the_whole_transaction_back(kafka_place):
    place = kafka_place.assign()
    delivery = place.transactional()
    with pytest.raises(DeliveryFailed):
        delivery.deliver([*place.outputs(b"sent"), unknown(place)], place.offsets(1))
    assert (place.visible(), place.committed()) == ([], [None, None])
    delivery.deliver(place.outputs(b"sent"), place.offsets(1))
    assert (place.visible(), place.committed()) == ([b"sent"], [1, None])


def test_at_least_once_shows_outputs_and_commits_offsets(place):
    place.at_least_once().deliver(place.outputs(b"1", b"2"), place.offsets(2))
    assert (place.visible(), place.committed()) == ([b"1", b"2"], [2, None])


def test_at_least_once_moves_no_offset_before_every_output_is_acknowledged(place):
    delivery = place.at_least_once()
    large = OutgoingMessage(place.topics.reviews, b"event", noise(200_000))
    with pytest.raises(DeliveryFailed):
        delivery.deliver([*place.outputs(b"sent"), large], place.offsets(1))
    assert place.committed() == [None, None]
    delivery.deliver(place.outputs(b"sent"), place.offsets(1))
    assert (place.visible(), place.committed()) == ([b"sent", b"sent"], [1, None])


def test_at_least_once_survives_a_broker_that_falls_silent(apache_kafka, tmp_path):
    place = Place(apache_kafka, tmp_path, seconds=1.5).assign()
    delivery = place.at_least_once()
    apache_kafka.pause()
    try:
        with pytest.raises(DeliveryFailed):
            delivery.deliver(place.outputs(b"sent"), place.offsets(1))
    finally:
        apache_kafka.resume()
    assert place.committed() == [None, None]
    delivery.deliver(place.outputs(b"again"), place.offsets(1))
    assert place.visible()[-1] == b"again"
    assert place.committed() == [1, None]
    place.close()


def test_a_second_worker_under_the_same_id_fences_the_first_and_goes_on(kafka_place):
    place = kafka_place.assign()
    first = place.transactional()
    first.deliver(place.outputs(b"first"), place.offsets(1))
    second = place.transactional()
    with pytest.raises(WorkerFenced):
        first.deliver(place.outputs(b"zombie"), place.offsets(9))
    second.deliver(place.outputs(b"second"), place.offsets(2))
    assert (place.visible(), place.committed()) == ([b"first", b"second"], [2, None])


def test_a_worker_that_has_lost_its_partitions_commits_nothing_then_or_later(kafka_place):
    place = kafka_place.join()
    delivery = place.transactional()
    member = MemberToRemove(member_id=place.consumer.group_metadata().member_id)
    place.admin.remove_group_members(place.kafka.group_id, [member])
    with pytest.raises(DeliveryFailed):
        delivery.deliver(place.outputs(b"too late"), place.offsets(9))
    assert (place.visible(), place.committed()) == ([], [None, None])
    # The client would carry the offsets of the failed transaction into the next one.
    place.consumer.unsubscribe()
    place.assign()
    delivery.deliver(place.outputs(b"other"), place.offsets(3, partition=1))
    assert (place.visible(), place.committed()) == ([b"other"], [None, 3])


def test_a_transaction_that_cannot_end_makes_the_process_leave(apache_kafka, tmp_path):
    with ApacheKafka(tmp_path / "kafka") as broker:
        topic = kafka_settings(broker, tmp_path).topics.uploads
        admin = make_admin(kafka_settings(broker, tmp_path).kafka)
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
        admin.close()
        command = [sys.executable, "-c", WORKER, broker.bootstrap_servers, topic]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert worker.stdout.readline() == "delivered\n"
        broker.kill()
        worker.communicate("\n", timeout=20)
        assert worker.returncode == 70


class SilentAtCommit(TransactionalDelivery):
    """The broker takes the commit but falls silent before it answers."""

    broker = None

    def _prepare(self, outputs, offsets, member):
        producer = super()._prepare(outputs, offsets, member)
        if self.broker is not None:
            self.broker.pause()
            Timer(1.5, self.broker.resume).start()
            self.broker = None
        return producer


def test_a_commit_of_unknown_fate_is_settled_before_the_worker_rewinds(apache_kafka, tmp_path):
    place = Place(apache_kafka, tmp_path, seconds=3.0).assign()
    delivery = place.keep(SilentAtCommit(place.kafka, place.consumer, f"{place.kafka.group_id}-0"))
    delivery.broker = apache_kafka
    with pytest.raises(DeliveryFailed):
        delivery.deliver(place.outputs(b"once"), place.offsets(1))
    if place.committed() == [None, None]:
        delivery.deliver(place.outputs(b"once"), place.offsets(1))
    delivery.deliver(place.outputs(b"next"), place.offsets(2))
    assert (place.visible(), place.committed()) == ([b"once", b"next"], [2, None])
    place.close()


def test_rewinding_repeats_what_was_not_committed(place):
    producer = make_producer(place.kafka)
    for number in range(4):
        producer.send(place.topics.uploads, b"%d" % number, partition=0).get(timeout=10)
    producer.close()

    def read(count):
        records, deadline = [], time.monotonic() + 15
        while len(records) < count and time.monotonic() < deadline:
            records += [record for part in place.consumer.poll(timeout_ms=200).values() for record in part]
        return records

    first = read(4)
    place.at_least_once().deliver([], after(first[1]))
    rewind(place.consumer)
    assert [record.value for record in read(2)] == [b"2", b"3"]


LONGEST = Progress(OffsetAndMetadata(0, "", -1))
for _offset in range(SPAN):
    LONGEST.begin(_offset)


@pytest.mark.parametrize("way", ["at_least_once", "transactional"])
def test_what_is_done_beyond_the_committed_offset_is_told_to_whoever_comes_next(kafka_place, way):
    place = kafka_place.assign()
    producer = make_producer(place.kafka)
    for number in range(3):
        producer.send(place.topics.uploads, b"%d" % number, partition=0).get(timeout=10)
    producer.close()
    committed = LONGEST.after(set(range(1, SPAN, 2)))
    getattr(place, way)().deliver([], {place.partitions[0]: committed})
    again = rewind(place.consumer)[place.partitions[0]]
    assert (again.offset, again.metadata) == (0, committed.metadata)
    assert [Progress(again).begin(offset) for offset in range(4)] == [True, False, True, False]


def test_nothing_is_committed_for_a_member_that_the_group_no_longer_has_as_it_was(kafka_place):
    place = kafka_place.join()
    delivery = place.transactional()
    then = place.consumer.group_metadata()
    newcomer = make_consumer(place.kafka, place.topics.uploads, group_id=place.kafka.group_id)
    deadline = time.monotonic() + 30
    while len(newcomer.assignment()) == 0 and time.monotonic() < deadline:
        place.consumer.poll(timeout_ms=100)
        newcomer.poll(timeout_ms=100)
    assert newcomer.assignment()
    with pytest.raises(DeliveryFailed):
        delivery.deliver(place.outputs(b"late"), place.offsets(1), then)
    assert (place.visible(), place.committed()) == ([], [None, None])
    delivery.deliver(place.outputs(b"now"), place.offsets(1), place.consumer.group_metadata())
    assert place.visible() == [b"now"]
    newcomer.close()


def test_apache_kafka_proves_its_transactions_and_gets_them(kafka_place):
    place = kafka_place.assign()
    assert probe_transactions(place.kafka, place.topics, "worker-0") == (
        True,
        "the broker shows committed messages and hides aborted ones",
    )
    delivery = place.keep(choose_delivery(place.kafka, place.topics, place.consumer, "worker-0"))
    assert delivery.name == "transactional"


def test_the_embedded_broker_fails_the_proof_and_gets_at_least_once(tansu, tmp_path):
    place = Place(tansu, tmp_path).assign()
    works, why = probe_transactions(place.kafka, place.topics, "worker-0")
    assert not works
    assert "aborted message" in why
    delivery = place.keep(choose_delivery(place.kafka, place.topics, place.consumer, "worker-0"))
    assert delivery.name == "at_least_once"
    place.close()


@pytest.mark.parametrize("hiccup", ["error", "silence"])
def test_a_trial_without_an_answer_is_made_again(kafka_place, monkeypatch, hiccup):
    place = kafka_place.assign()
    trial, trials = transaction_probe._probe, []

    def first_without_an_answer(*arguments):
        trials.append(arguments)
        if len(trials) == 1 and hiccup == "error":
            raise CoordinatorLoadInProgressError
        if len(trials) == 1:
            time.sleep(3)
        return trial(*arguments)

    monkeypatch.setattr(transaction_probe, "_probe", first_without_an_answer)
    works, _ = probe_transactions(place.kafka, place.topics, f"worker-{hiccup}", seconds=2)
    assert works and len(trials) == 2


def test_a_probe_that_may_not_make_its_topic_says_so_and_stays_with_the_weaker_promise(apache_kafka, tmp_path):
    settings = kafka_settings(apache_kafka, tmp_path, topics={"create": False})
    works, why = probe_transactions(settings.kafka, settings.topics, "worker-0")
    assert not works
    assert f"{settings.topics.screenings}-probe is missing" in why
