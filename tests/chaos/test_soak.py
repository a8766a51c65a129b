"""An hour of ordinary traffic (`make soak`; five minutes otherwise): nothing is lost, and nothing grows."""

import os
import random
import time
from collections.abc import Sequence

import pytest

from tests.chaos import report
from tests.chaos.deck import mixed_deck
from tests.chaos.family import Sample, growth, look, watch
from tests.chaos.gallery import GalleryChanges
from tests.chaos.ledger import tally
from tests.chaos.ordeal import chaos_settings
from tests.chaos.outcomes import OutcomeReader, read_outcomes
from tests.chaos.soak import FLOOR, HOURLY, LEAK, PLOT, Soak, draw, latencies, second_half
from tests.chaos.stream import Stream
from tests.support.running_service import MACRON, ServiceProcess, again, enrol, make_topics
from tests.support.web_site import WebSite

SECONDS = float(os.environ.get("LIKENESS_SOAK_SECONDS", "300"))
WRITE = os.environ.get("LIKENESS_SOAK_WRITE") == "1"
SAMPLE_SECONDS = min(5.0, SECONDS / 40)
MEASURED_SECONDS = 10.0
SHARE = 0.6
"""Of what the machine manages is sent."""


@pytest.mark.timeout(3 * SECONDS + 300)
def test_a_consumer_under_ordinary_load_loses_nothing_and_grows_by_nothing(apache_kafka, tmp_path, models, portraits):
    site = WebSite({})
    with site.running():
        here = [f"127.0.0.1:{site.port}"]
        settings = chaos_settings(apache_kafka, tmp_path, models, fetch={"allowed_hosts": here, "private_hosts": here})
        settings = again(settings, watermark={"read": "findings"})
        enrol(settings, MACRON, portraits["person_a_1.jpg"])
        make_topics(settings)
        deck, service = mixed_deck(portraits, site), ServiceProcess(settings)
        with OutcomeReader(settings) as reader, Stream(settings, deck, reader) as stream:
            try:
                service.start().wait_ready(90)
                rate = SHARE * manages(stream)
                stream.at_rate(rate)
                with GalleryChanges(settings, pause=10.0):
                    samples = watch(settings, SECONDS, SAMPLE_SECONDS)
                    while growth(second_half(samples)) / rate >= LEAK and longer(samples):
                        samples += watch(settings, SECONDS / 2, SAMPLE_SECONDS)
                stream.drain(60)
                end = look(settings)
            finally:
                code = service.terminate(60)
            since = samples[0].moment
            sent_at = {stream.event_id(n): at for n, at in enumerate(stream.sent_at) if at >= since}
            soak = Soak(rate, samples, latencies(sent_at, reader.found), tally(stream.sorts, read_outcomes(settings)))
    print("\n" + "\n".join(soak.lines()))
    if WRITE:
        plot = f"![Memory, lag and latency over time]({PLOT.relative_to(report.PAGE.parent)})"
        report.write(report.PAGE, [*soak.lines(), "", plot], mark="soak")
        draw(soak)
    assert code == 0
    assert (soak.found.lost, soak.found.doubled, soak.found.renamed, soak.found.strange) == ((), (), (), ())
    assert [one for one in service.messages() if one["level"] in ("ERROR", "CRITICAL")] == []
    assert end["rebalances_total"] == samples[0]["rebalances_total"] == 1
    assert (end["workers_lost_total"], end["delivery_failures_total"]) == (0, 0)
    assert end["gallery_version"] > samples[0]["gallery_version"], "the gallery did not change"
    assert max(one["seconds_since_poll"] for one in samples) < 5
    assert abs(soak.drift("threads")) <= 1
    assert abs(soak.drift("files")) <= 2
    assert soak.leak < max(LEAK, FLOOR / soak.uploads_later)
    assert SECONDS < 3600 or soak.hourly < HOURLY


def longer(samples: Sequence[Sample]) -> bool:
    """Whether a short run may go on, to tell memory that has gone up by a step from memory that grows."""
    return SECONDS < 3600 and samples[-1].moment - samples[0].moment < 2 * SECONDS


def manages(stream: Stream) -> float:
    """Uploads a second that this machine screens at its best, with all that is made once already made."""
    stream.under_way(100)
    time.sleep(5.0)
    before, began = stream.ended(), time.monotonic()
    time.sleep(MEASURED_SECONDS)
    rate = (stream.ended() - before) / (time.monotonic() - began)
    stream.drain(60)
    return rate


@pytest.mark.parametrize(("kept", "told"), [(0, False), (1_000, True)])
def test_memory_that_keeps_a_kilobyte_of_each_upload_is_told_from_memory_that_only_goes_up_and_down(kept, told):
    chance, rate, seconds = random.Random(3), 30.0, 150.0
    moments = [5.0 * number for number in range(int(seconds / 5))]
    samples = [
        Sample(moment, 0, int(400e6 + kept * rate * moment + chance.gauss(0, 0.7e6)), 0, 0, {}) for moment in moments
    ]
    samples[7] = Sample(samples[7].moment, 0, int(450e6), 0, 0, {})
    assert (growth(samples) / rate >= LEAK) is told
