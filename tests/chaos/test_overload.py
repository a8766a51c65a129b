"""A producer ten times faster than the consumer: memory and poll interval are kept, and the work goes on as before."""

import time
from collections.abc import Sequence
from statistics import median

import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from config import Settings
from consumers.kafka import make_consumer
from tests.chaos import report
from tests.chaos.deck import mixed_deck
from tests.chaos.family import growth, watch
from tests.chaos.ledger import Outcome, tally
from tests.chaos.ordeal import chaos_settings
from tests.chaos.outcomes import OutcomeReader, read_outcomes
from tests.chaos.stream import Stream
from tests.support.running_service import MACRON, ServiceProcess, again, enrol, make_topics
from tests.support.web_site import WebSite

SECONDS = 600.0 if report.FULL else 60.0
FILL_SECONDS = 15.0
"""How long buffers may fill."""

MEASURED_SECONDS = 15.0
SLOW_SECONDS = 0.5
QUALITIES = (30, 95)
"""Of JPEGs that cost the same time and differ in bytes, so that now their number is the limit, now their bytes."""

BLOCK = 5
"""Hundreds of one kind that follow each other: more than may be in flight."""

LIMITS = {"in_flight": 400, "in_flight_bytes": 6_000_000}
SWING = 40e6
"""Bytes between the least and the most memory: what Kafka's client may have fetched ahead, and what is in flight."""


@pytest.mark.timeout(SECONDS + 500)
def test_a_producer_ten_times_faster_costs_no_memory_and_no_rebalance_and_stalls_nothing(
    apache_kafka, tmp_path, models, portraits
):
    site = WebSite({})
    with site.running():
        here = [f"127.0.0.1:{site.port}"]
        settings = chaos_settings(
            apache_kafka,
            tmp_path,
            models,
            fetch={"allowed_hosts": here, "private_hosts": here},
            screening={"dead_letter_share": 1.0} | LIMITS,
        )
        enrol(settings, MACRON, portraits["person_a_1.jpg"])
        make_topics(settings)
        small, large = (
            mixed_deck(portraits, site, sides=(224,), qualities=(quality,), seconds=SLOW_SECONDS)
            for quality in QUALITIES
        )
        deck = BLOCK * small + BLOCK * large
        # Sending takes the machine's time, too: in the calm as much is sent to a topic that nobody consumes.
        elsewhere = again(settings, topics={"uploads": f"{settings.topics.uploads}-elsewhere"})
        make_topics(elsewhere)
        with (
            OutcomeReader(settings) as reader,
            Stream(settings, deck, reader) as stream,
            Stream(elsewhere, deck, reader) as idle,
        ):
            with ServiceProcess(settings):
                flooding = 10 * median(calm(settings, stream, reader))
                idle.at_rate(flooding)
                before = calm(settings, stream, reader)
                idle.pause()
                stream.drain(60)
                base = stream.ended()
                stream.at_rate(flooding)
                began = time.time()
                samples = watch(settings, SECONDS, 1.0)
                ended = time.time()
                stream.pause()
                flood = rates(reader.found, began, ended)
            sent, screened = len(stream.sent_at), stream.ended() - base
            left = sent - stream.ended()
            committed = drop_backlog(settings)
            stream.write_off()
            with ServiceProcess(settings):
                idle.at_rate(flooding)
                after = calm(settings, stream, reader)
                idle.pause()
                stream.drain(60)
        outcomes = read_outcomes(settings)
    partitions = settings.topics.partitions
    due = {
        event_id: sort
        for event_id, sort in stream.sorts.items()
        if (number := stream.number(event_id)) >= sent or number // partitions < committed[number % partitions]
    }
    found, whole = tally(due, outcomes), tally(stream.sorts, outcomes)
    steady = samples[int(FILL_SECONDS) :]
    own = [one.own for one in steady]
    speed = median(flood) / median([*before, *after])
    print(
        f"\n{sent - base:,} uploads in {ended - began:.0f} s, {left:,} of them left at the end; screened a second: "
        f"{median(before):.0f} before, {median(flood):.0f} meanwhile ({100 * speed:.0f} %), {median(after):.0f} after; "
        f"memory {min(own) / 1e6:.0f} to {max(own) / 1e6:.0f} MB, growing by {growth(steady) * 60 / 1e6:+.1f} MB a "
        f"minute; most in flight {max(one['uploads_in_flight'] for one in samples):.0f}; longest without a poll "
        f"{max(one['seconds_since_poll'] for one in samples):.2f} s; lag {samples[-1]['consumer_lag']:,.0f}; {found}",
        end=" ",
    )
    name = "producer ten times faster than the consumer"
    report.add(report.Row(name, "exactly once", 1, found.events, len(found.lost), len(whole.doubled)))
    assert (found.lost, whole.doubled, whole.renamed, whole.strange) == ((), (), (), ())
    assert {one["rebalances_total"] for one in samples} == {1}
    assert max(one["seconds_since_poll"] for one in samples) < 5
    in_flight = [one["uploads_in_flight"] for one in samples]
    assert max(in_flight) <= LIMITS["in_flight"] + settings.screening.batch_size
    assert max(in_flight) >= 0.9 * LIMITS["in_flight"], "the limit of uploads was not reached"
    assert min(in_flight[5:]) <= 0.6 * LIMITS["in_flight"], "the limit of bytes was not reached"
    assert max(own) - min(own) < SWING
    assert samples[-1]["consumer_lag"] > 0.5 * left, "the lag is not told"
    assert left > 5 * screened, "the producer was not much faster"
    assert speed >= 0.5


def calm(settings: Settings, stream: Stream, reader: OutcomeReader) -> list[int]:
    """Uploads screened in each second while there is always work and never much of it, once all is warm; watched as
    closely as later."""
    stream.under_way(100)
    time.sleep(5.0)
    began = time.time()
    watch(settings, MEASURED_SECONDS, 1.0)
    return rates(reader.found, began, time.time())


def rates(outcomes: Sequence[Outcome], began: float, ended: float) -> list[int]:
    """How many uploads ended in each whole second between two moments."""
    counts = [0] * int(ended - began)
    for one in list(outcomes):
        second = int(one.created - began)
        if one.kind != "review" and one.created >= began and second < len(counts):
            counts[second] += 1
    return counts


def drop_backlog(settings: Settings) -> dict[int, int]:
    """Have the group, whose last member has left, begin at the end; where it stood, by partition."""
    consumer = make_consumer(settings.kafka, group_id=settings.kafka.group_id)
    places = [TopicPartition(settings.topics.uploads, number) for number in range(settings.topics.partitions)]
    consumer.assign(places)
    try:
        stood = {place.partition: consumer.committed(place) or 0 for place in places}
        ends = consumer.end_offsets(places)
        consumer.commit({place: OffsetAndMetadata(ends[place], "", -1) for place in places})
    finally:
        consumer.close()
    return stood
