"""Of several processes one at a time does a task. That another is at it says nothing of whether it can be done."""

import json
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from kafka.errors import KafkaTimeoutError

from config import load_settings
from consumers import decision_relay
from consumers.console_metrics import ConsoleMetrics
from consumers.decision_relay import DecisionRelay
from consumers.gallery_relay import GalleryRelay
from consumers.look_back.metrics import LookBackMetrics
from consumers.look_back.worker import LookBackWorker
from consumers.metrics import Metrics
from detector.index import GalleryIndex
from records.announcer import utc_now
from records.audit import AuditLog
from records.casework.decision_outbox import DecisionOutbox
from records.casework.schema_cases import DecisionToSendRow
from records.database import open_database
from records.outbox import Outbox
from records.schema import OutboxEntry

FAILING = 0.3
"""Seconds that a try takes which fails."""
SEEN = 2.5


@pytest.fixture
def url(tmp_path):
    """The address of a database in which a gallery change and a decision wait."""
    url = f"sqlite:///{tmp_path / 'likeness.db'}"
    with closing(open_database(url)) as database:
        database.migrate()
        with database.write() as session:
            session.add(
                OutboxEntry(sequence=1, topic_name="gallery_changes", key="idn_1", value=None, created_at=utc_now())
            )
            value = json.dumps({"decision_id": "dec_1", "review_id": "rev_1"})
            session.add(DecisionToSendRow(key="account", decision_id="dec_1", value=value, created_at=utc_now()))
    return url


class Relays:
    """Two processes that publish the same; `fails`: while set, both try for a while in vain."""

    def __init__(self, url, make, gauge, monkeypatch):
        self._databases = [open_database(url) for _ in range(2)]
        self.stop, self.fails = threading.Event(), threading.Event()
        self.metrics, self.relays = [], []
        self._gauge = gauge
        settings = load_settings(gallery={"retry_seconds": 0.4, "relay_seconds": 0.1})
        monkeypatch.setattr(decision_relay, "LOOK_SECONDS", 0.1)
        for database in self._databases:
            relay, metrics = make(settings, database, self.stop)
            monkeypatch.setattr(relay, "_publish", self._publish)
            monkeypatch.setattr(relay, "_told", lambda: 0, raising=False)
            self.relays.append(relay)
            self.metrics.append(metrics)

    def _publish(self, _):
        if self.fails.is_set():
            self.stop.wait(FAILING)
            raise KafkaTimeoutError("no answer")

    def least(self):
        """What the alert asks for."""
        return min(one.registry.get_sample_value(self._gauge) for one in self.metrics)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        for one in (*self.relays, *self._databases):
            one.close()


def gallery(settings, database, stop):
    metrics = Metrics()
    return GalleryRelay(settings, Outbox(database), metrics, stop), metrics


def decisions(settings, database, stop):
    metrics, outbox = ConsoleMetrics(), DecisionOutbox(database, AuditLog(database))
    none_due = SimpleNamespace(finish_due=lambda: 0)
    return DecisionRelay(settings, none_due, outbox, metrics, stop, pytest.fail), metrics


@pytest.fixture(params=[gallery, decisions], ids=lambda make: make.__name__)
def both(request, url, monkeypatch):
    gauge = {gallery: "likeness_seconds_since_outbox", decisions: "likeness_console_seconds_since_decisions"}
    with Relays(url, request.param, gauge[request.param], monkeypatch) as both:
        yield both


def test_two_that_fail_in_turn_are_both_seen_to_fail(both):
    both.fails.set()
    for relay in both.relays:
        relay.start()
    time.sleep(SEEN)
    assert both.least() > SEEN - 0.5


def test_one_that_is_never_alone_is_no_trouble_while_another_sends(both):
    with both._databases[0].sole(("relay", "decisions")[isinstance(both.relays[0], DecisionRelay)]) as alone:
        assert alone
        assert both.relays[1].drain() is None
    both.fails.clear()
    both.relays[0].drain()
    assert both.relays[1].drain() == 0
    both.relays[0].start()
    time.sleep(1.0)
    assert both.least() < 0.5


def test_who_looks_back_is_not_well_because_another_is_at_it(url):
    settings, metrics, stop = load_settings(), LookBackMetrics(), threading.Event()
    with closing(open_database(url)) as database, closing(open_database(url)) as other:
        matcher = SimpleNamespace(index=GalleryIndex("pack", 4))
        undone = SimpleNamespace(undone=lambda: (0, None), take=list)
        worker = LookBackWorker(settings, database, undone, matcher, SimpleNamespace(), metrics, stop)
        began = time.monotonic()

        def since_step():
            return metrics.registry.get_sample_value("likeness_look_back_seconds_since_step")

        with other.sole("look_back"):
            worker.run(lambda: time.monotonic() - began > 1.2)
            assert since_step() > 1.2
        worker.run(lambda: since_step() < 1.0)
