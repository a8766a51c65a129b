"""References are added and removed by the thousand while consumers screen at full rate."""

import random
import time
from dataclasses import dataclass
from statistics import median

import numpy as np
import pytest
from pydantic import SecretStr

from likeness.workbench import open_records, open_workbench
from tests.chaos import report
from tests.chaos.deck import card, copy_of, flat
from tests.chaos.gallery import state_of_database, state_of_index
from tests.chaos.gallery_truth import Served, Truth, verdicts
from tests.chaos.group import Group, processes_of
from tests.chaos.ledger import tally
from tests.chaos.ordeal import chaos_settings
from tests.chaos.outcomes import OutcomeReader, read_outcomes
from tests.chaos.stream import Stream
from tests.chaos.turnover import GUEST, SWAPPED, Turnover
from tests.chaos.uploads import NO_PICTURE
from tests.support.running_service import again, eventually, make_topics, metric

PEOPLE = 600
"""Every third has three references: 1,000 in all."""

ROUNDS = 3 if report.FULL else 1
MOST_ROUNDS = ROUNDS + 2
"""On a machine that others use, too, the first pairs may say little: then more are measured, and all of them count."""

KEPT = 0.9
"""The share of the speed that must be left while the gallery changes."""

PHASE_SECONDS = 15.0 if report.FULL else 10.0
SETTLE_SECONDS = 1.0
"""Between two phases: the reader catches up, and what was done is felt no more."""

SERVED_SECONDS = 2.0
UNDER_WAY = 200
CHANGES = ("come_singly", "come_at_once", "leave_singly", "leave_at_once")
FACES = dict(zip((*SWAPPED, GUEST), ("person_b_1", "impostor_1", "impostor_2", "person_a_2"), strict=True))


@pytest.fixture
def settings(apache_kafka, postgres, tmp_path, models):
    database = {"url": postgres.create_database()}
    return again(chaos_settings(apache_kafka, tmp_path, models, database=database), models={"threads": 1})


@pytest.mark.timeout(900)
def test_a_thousand_references_come_and_go_at_full_rate_and_each_verdict_is_by_one_whole_version_of_the_gallery(
    settings, postgres, portraits
):
    pictures = {shown: copy_of(portraits[f"{name}.jpg"], 320, 90) for shown, name in FACES.items()}
    with open_workbench(settings) as bench:
        faces = {shown: bench.detector.probe(picture).embeddings[0] for shown, picture in pictures.items()}
    make_topics(settings)
    elsewhere = again(settings, database={"url": SecretStr(postgres.create_database())})
    with (
        open_records(settings) as records,
        open_records(elsewhere) as records_elsewhere,
        OutcomeReader(settings) as reader,
        Stream(settings, deck(pictures), reader) as stream,
        Group(settings, 2, random.Random(1)) as group,
    ):
        truth, members = Truth(records), [member.settings for member in group.members]
        # Writing takes the machine's time, too: between the phases as much is written that nobody serves.
        turnover, idle = Turnover(truth, faces), Turnover(Truth(records_elsewhere), faces)
        with Served(members) as served:
            eventually(lambda: served.all_at(truth.sequence), 60)
            stream.under_way(UNDER_WAY)
            time.sleep(8.0)
            begun, gifts = len(truth.committed), rebalances(members)
            pairs = []
            for number in range(MOST_ROUNDS):
                pairs += [pair(reader, settings, idle, turnover, change) for change in CHANGES]
                if number + 1 >= ROUNDS and median(one.speed for one in pairs) > KEPT:
                    break
            turnover.guest_leaves()
            eventually(lambda: served.all_at(truth.sequence), 60)
            assert rebalances(members) == gifts
        delays, wanted = served.delays(truth.committed[begun:]), state_of_database(settings)
        assert wanted == (truth.sequence, 1, 3)
        assert [state_of_index(one) for one in members] == [wanted, wanted]
        stream.drain(60)
        group.kill_all()
        restarted = len(stream.sent_at)
        group.all_ready()
        stream.under_way(UNDER_WAY)
        time.sleep(5.0)
        stream.drain(60)
        group.leave_all()
    found, screened = tally(stream.sorts, read_outcomes(settings)), verdicts(settings)
    speed, thrift = median(one.speed for one in pairs), median(one.thrift for one in pairs)
    rates = ", ".join(f"{one.calm.rate:.0f} and {one.changing.rate:.0f}" for one in pairs)
    p50, p99, most = (float(np.percentile(delays, rank)) for rank in (50, 99, 100))
    print(
        f"\n{len(delays):,} changes served by both consumers after {p50:.2f} s (p50), {p99:.2f} s (p99), {most:.2f} s "
        f"(most); uploads a second, without and with changes: {rates}: {100 * speed:.0f} % are kept, and of those by a "
        f"processor's second {100 * thrift:.0f} %; {found}",
        end=" ",
    )
    name = "1,000 references added and 1,000 removed at full rate"
    report.add(report.Row(name, "exactly once", len(delays), found.events, len(found.lost), len(found.doubled), delays))
    assert (found.lost, found.doubled, found.renamed) == ((), (), ())
    assert [one for one, verdict in screened.items() if not is_whole(stream, truth, one, *verdict)] == []
    late = {one["gallery_version"] for event_id, (one, _) in screened.items() if stream.number(event_id) >= restarted}
    assert late == {truth.sequence}, "a consumer that was started again screens by another gallery"
    assert p99 < SERVED_SECONDS
    assert speed > KEPT
    assert thrift > KEPT


def deck(pictures):
    """A hundred cards: ten of each picture, one that is no picture, and the rest without a face."""
    faces = [card("clear", picture, shown) for shown, picture in pictures.items()]
    return [
        card("unreadable", NO_PICTURE)
        if number == 42
        else faces[number // 2 % len(faces)]
        if number % 5 in (0, 2)
        else card("clear", flat(number))
        for number in range(100)
    ]


@dataclass(frozen=True)
class Phase:
    """Uploads that ended in a second, and in a second that the consumers had of a processor."""

    rate: float
    by_processor: float


@dataclass(frozen=True)
class Pair:
    """Two phases, one after the other: without and with changes. Other programs slow `speed` down, but not `thrift`."""

    calm: Phase
    changing: Phase

    @property
    def speed(self):
        return self.changing.rate / self.calm.rate

    @property
    def thrift(self):
        return self.changing.by_processor / self.calm.by_processor


def pair(reader, settings, idle, turnover, change):
    """The same change made in both; which comes first takes turns."""
    order = (idle, turnover) if CHANGES.index(change) % 2 else (turnover, idle)
    phases = {one: phase(reader, settings, getattr(one, change)) for one in order}
    return Pair(phases[idle], phases[turnover])


def phase(reader, settings, work):
    began, used = time.time(), processor_seconds(settings)
    work(PEOPLE // 2, PHASE_SECONDS)
    ended, used = time.time(), processor_seconds(settings) - used
    time.sleep(SETTLE_SECONDS)
    uploads = sum(began <= one.created < ended and one.kind != "review" for one in reader.found)
    return Phase(uploads / (ended - began), uploads / used)


def processor_seconds(settings):
    """What both consumers with all their processes have used so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes_of(settings.home))


def rebalances(members):
    return [metric(one, "likeness_rebalances_total") for one in members]


def is_whole(stream, truth, event_id, screening, named):
    """Whether the verdict names whom the gallery held at the version that it tells, and nobody else."""
    due = truth.due(stream.card(event_id).shows, screening["gallery_version"])
    return named == due and (screening["verdict"] == "review") == bool(due)
