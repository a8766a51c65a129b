"""What a console tells Prometheus of itself, and of all queues."""

from contextlib import closing
from datetime import timedelta

from consumers.case_feed import new_case
from records.announcer import utc_now
from records.casework.cases import CaseRecords
from records.database import open_database
from tests.support.case_office import QUEUES, Office
from tests.support.console import MASTER_KEY, finding, review
from tests.support.running_service import ServiceProcess, eventually, metric, service_settings

KEY = {"master_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}


class Nowhere:
    """A broker that is not there."""

    bootstrap_servers = "127.0.0.1:9"


class ConsoleProcess(ServiceProcess):
    command = "serve"


def test_a_console_tells_how_many_cases_wait_in_each_queue_and_how_many_are_late(tmp_path, models):
    web = {"host": "127.0.0.1", "port": 0}
    settings = service_settings(Nowhere(), tmp_path / "home", models, keys=KEY, web=web)
    victim = [finding(identity_kind="victim")]
    with closing(open_database(settings.database_url)) as database:
        database.migrate()
        for age in (timedelta(hours=5), timedelta(0)):  # victims' cases are late after four hours
            cases = CaseRecords(
                database, MASTER_KEY, QUEUES, keep_pictures=timedelta(1), clock=lambda age=age: utc_now() - age
            )
            cases.open(new_case(review(findings=victim)), None)
            cases.open(new_case(review()), None)
    with ConsoleProcess(settings):
        assert metric(settings, "likeness_console_ready") == 1
        eventually(lambda: metric(settings, 'likeness_console_cases_open{queue="faces"}') == 2)
        assert metric(settings, 'likeness_console_cases_open{queue="victims"}') == 2
        assert metric(settings, 'likeness_console_cases_late{queue="victims"}') == 1
        assert metric(settings, 'likeness_console_cases_late{queue="faces"}') == 0


def test_cases_are_counted_at_every_stage_whoever_may_work_them(database):
    office = Office(database)
    office.hire()
    office.open("first")
    office.open("second", identity_kind="victim")
    office.decide("second", "mo", "confirmed")
    office.open("lead", kind="same_picture")
    office.decide("lead", "mo", "escalated")
    office.open("held", held=True)
    assert {count.queue: count.open for count in office.counts.of_all()} == {
        "quarantined": 1,
        "victims": 1,
        "pictures": 1,
        "faces": 1,
    }
