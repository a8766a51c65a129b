"""What a process serves: the console, the report page, or both; and whose address it takes a visitor's for."""

from contextlib import contextmanager

import pytest
import urllib3

from config import SettingsError, load_settings
from likeness.page_server import PageServer
from records.database import open_database
from tests.support.console_process import ConsoleProcess, console_settings
from tests.support.console_site import Visitor, hidden_fields, make_desk, place_of, running_site, text_of
from tests.support.running_service import ask, eventually, metric
from web.app import make_app

CONSOLE = ("/login", "/queue", "/identities", "/people", "/audit", "/api/v1/queues", "/api/v1/openapi.json")
DOOR = ("/report", "/report/status")


@pytest.fixture
def database(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    yield database
    database.close()


@contextmanager
def serving(database, *what, **web):
    with running_site(make_desk(database, web={"serves": what, **web})) as site:
        yield Visitor(site)


def test_both_are_served_by_one_process_unless_it_is_told_otherwise(database):
    with running_site(make_desk(database)) as site:
        visitor = Visitor(site)
        assert [visitor.get(path).status for path in DOOR] == [200, 200]
        assert visitor.get("/login").status == 200
        assert visitor.get("/api/v1/queues").status == 401


def test_the_report_page_alone_lets_nobody_into_the_console(database):
    with serving(database, "reports") as visitor:
        assert [visitor.get(path).status for path in CONSOLE] == [404] * len(CONSOLE)
        token = hidden_fields(visitor.get("/report"))
        assert visitor.post("/login", {"login": "ada", "password": "x"} | token).status == 404
        assert visitor.post("/tokens", {"name": "x"} | token).status == 404
        assert [visitor.get(path).status for path in DOOR] == [200, 200]
        assert place_of(visitor.get("/")) == "/report"
        assert "/login" not in visitor.get("/nowhere").data.decode()


def test_its_visitors_choose_their_language_there(database):
    with serving(database, "reports") as visitor:
        assert place_of(visitor.post("/language", {"language": "zh_Hans"}, form_of="/report")) == "/report"
        assert "您" in text_of(visitor.get("/report"))


def test_the_console_alone_has_no_report_page(database):
    with serving(database, "console") as visitor:
        assert visitor.get("/login").status == 200
        assert [visitor.get(path).status for path in (*DOOR, "/report/photos")] == [404] * 3


def test_the_report_page_alone_runs_on_a_host_of_its_own_without_kafka(tmp_path, models):
    class Nowhere:
        name, bootstrap_servers = "nowhere", "127.0.0.1:9"

    settings = console_settings(Nowhere, tmp_path / "home", models)
    settings = settings.model_copy(update={"web": settings.web.model_copy(update={"serves": ("reports",)})})
    with ConsoleProcess(settings) as process:
        told = eventually(
            lambda: [one["message"] for one in process.messages() if "report page is at" in one["message"]]
        )
        visitor = Visitor(told[0].rpartition(" ")[2])
        assert visitor.get("/report").status == 200
        assert visitor.get("/login").status == 404
        assert ask(settings, "/readyz") == (200, "ok\n")
        assert metric(settings, "likeness_console_ready") == 1
        assert process.terminate() == 0
    assert not any("Kafka" in line for line in process.log)


@contextmanager
def behind(database, *trusted):
    """The console behind proxies; asks as often as a wrong token may from where the headers say, and gives how often
    that was."""
    server = PageServer(make_app(make_desk(database)), "127.0.0.1", 0, trusted)
    server.start()
    pool = urllib3.PoolManager(retries=False)

    def tries(count, forwarded_for):
        """How many of so many wrong tokens were judged; `forwarded_for`: of the number of the try, or None."""
        asked = 0
        for number in range(count):
            header = forwarded_for(number)
            headers = {"Authorization": "Bearer lk_wrong"} | ({"X-Forwarded-For": header} if header else {})
            asked += pool.request("GET", f"{server.address}/api/v1/queues", headers=headers).status == 401
        return asked

    yield tries
    server.close()


def test_who_comes_without_a_proxy_cannot_forge_their_address(database):
    with behind(database) as tries:
        assert tries(25, lambda number: f"203.0.113.{number}") < 23


def test_behind_a_proxy_each_visitor_counts_for_themselves_and_forges_nothing(database):
    with behind(database, "127.0.0.0/8", "10.0.0.7") as tries:
        assert tries(25, lambda number: f"203.0.113.{number}") == 25
        assert tries(25, lambda number: f"198.51.100.{number}, 203.0.113.200") < 23  # what a visitor wrote comes first
        assert tries(25, lambda number: "203.0.113.201, 10.0.0.7") < 23  # a second proxy of ours
        assert tries(25, lambda number: f"203.0.113.{100 + number}, 10.0.0.7") == 25


@pytest.mark.parametrize("wrong", ["proxy.example.com", "10.0.0.0/33", "10.0.0.1/24"])
def test_a_proxy_is_an_address_or_a_network(wrong):
    with pytest.raises(SettingsError, match=r"web\.trusted_proxies"):
        load_settings(web={"trusted_proxies": [wrong]})


@pytest.mark.parametrize("what", [[], ["moderators"]])
def test_a_process_serves_something_that_there_is(what):
    with pytest.raises(SettingsError, match=r"web\.serves"):
        load_settings(web={"serves": what})
