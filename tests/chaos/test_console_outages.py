"""Database and broker go away and come back under a running console, while moderators decide and reviews come in."""

import random
import time
from contextlib import closing

import pytest
from sqlalchemy import text

from records.audit import AuditLog
from records.database import open_database
from tests.chaos import report
from tests.chaos.deciding import HANG_SECONDS, Moderator, Reviews, decisions_told
from tests.support.console import MASTER_KEY, make_console_topics
from tests.support.console_process import ConsoleProcess, console_settings
from tests.support.running_service import ask, eventually
from web.desk import open_desk

REVIEWS = 1_500 if report.FULL else 150
PAUSE = 0.1
FAULTS = {"database": 4, "stopped": 2, "killed": 1} if report.FULL else {"database": 2, "stopped": 1}
NAMES = {
    "database": "console: PostgreSQL killed and started",
    "stopped": "console: Kafka stopped and started",
    "killed": "console: Kafka killed (SIGKILL) and started",
}
AWAY_SECONDS = (2.0, 4.0)
CALM_SECONDS = (1.0, 3.0)
PEOPLE = 3


@pytest.fixture
def settings(apache_kafka, postgres, tmp_path, models):
    url = postgres.create_database()
    unmixed = {"golden_rate": 0, "double_review_rate": 0}
    settings = console_settings(apache_kafka, tmp_path, models, database={"url": url}, console=unmixed)
    make_console_topics(settings)
    return settings


@pytest.mark.timeout(600)
def test_a_console_whose_database_and_broker_come_and_go_loses_no_review_and_no_decision(
    settings, postgres, apache_kafka
):
    chance = random.Random(13)
    schedule = [fault for fault, times in FAULTS.items() for _ in range(times)]
    chance.shuffle(schedule)
    over = []
    with ConsoleProcess(settings) as console, closing(open_database(settings.database_url)) as database:
        desk = open_desk(settings, database, MASTER_KEY)
        people = [desk.moderators.add(f"mo{n}", f"Mo {n}", "moderator", "correct horse battery") for n in range(PEOPLE)]
        logins = [desk.sessions.begin(one.id) for one in people]
        reviews = Reviews(settings, REVIEWS, PAUSE)
        moderators = [Moderator(console.address, *login, number) for number, login in enumerate(logins)]
        eventually(lambda: decisions_told(settings), 30)  # by then it has found out what the broker can do
        for fault in schedule:
            time.sleep(chance.uniform(*CALM_SECONDS))
            inflict(fault, postgres, apache_kafka, chance.uniform(*AWAY_SECONDS))
            over.append((fault, time.time()))
            assert ask(settings, "/healthz")[0] == 200
        reviews.finish()
        eventually(lambda: closed(database) == REVIEWS, 120)
        eventually(lambda: len(decisions_told(settings)) == REVIEWS, 60, pause=1.0)
        for one in moderators:
            one.leave()
        assert console.terminate() == 0
        found = decisions_told(settings)
        strange = [said for one in moderators for said in one.strange]
        lost = reviews.sent.keys() - found.keys()
        doubled = [event for event, messages in found.items() if len(messages) > 1]
        refused, longest = sum(one.refused for one in moderators), max(one.longest for one in moderators)
        print(f"\n{refused} pages refused, the slowest answer took {longest:.1f} s", end=" ")
        for fault, times in FAULTS.items():
            recoveries = [recovery(found, moment) for kind, moment in over if kind == fault]
            row = report.Row(NAMES[fault], "exactly once", times, REVIEWS, len(lost), len(doubled), recoveries)
            report.add(row)
        assert strange == []
        assert lost == set()
        assert found.keys() == reviews.sent.keys(), "a decision was told that nobody asked for"
        assert doubled == []
        assert count(database, "SELECT count(*) FROM cases") == REVIEWS
        assert count(database, "SELECT count(*) FROM case_decisions WHERE state = 'final'") == REVIEWS
        assert {case for one in moderators for case in one.told} <= decided(database)
        for action in ("case_decided", "decision_sent"):
            assert count(database, f"SELECT count(*) FROM audit_log WHERE action = '{action}'") == REVIEWS
        assert AuditLog(database).verify() is None
    assert refused, "no page was asked for while the database was away"
    assert longest < HANG_SECONDS
    assert not any("Traceback" in line for line in console.log)


def inflict(fault, postgres, broker, seconds):
    """Do it, and undo it after so many seconds."""
    if fault == "database":
        postgres.halt()
        time.sleep(seconds)
        postgres.resume()
        return
    broker.stop() if fault == "stopped" else broker.kill()
    time.sleep(seconds)
    broker.start()


def recovery(found, moment):
    """From when the fault was over until the first decision that was made after it had been told."""
    return min(told.at for messages in found.values() for told in messages if told.decided_at > moment) - moment


def closed(database):
    return count(database, "SELECT count(*) FROM cases WHERE state = 'closed'")


def count(database, query):
    with database.read() as session:
        return session.scalar(text(query))


def decided(database):
    with database.read() as session:
        return set(session.scalars(text("SELECT case_id FROM case_decisions WHERE state = 'final'")))
