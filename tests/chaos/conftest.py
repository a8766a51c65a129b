"""A broker and a database of this folder's own, to be stopped at will, and the table at the end of the run."""

import pytest

from demo.broker import EmbeddedBroker
from tests.chaos import report
from tests.support.kafka_broker import ApacheKafka
from tests.support.legs import running_leg
from tests.support.postgres import postgres_server


@pytest.fixture(scope="package")
def apache_kafka(tmp_path_factory):
    """Apache Kafka that each test may end as it likes, and leaves running."""
    yield from running_leg("Apache Kafka", lambda: ApacheKafka(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(scope="package")
def tansu(tmp_path_factory):
    """The embedded broker, which keeps nothing and so cannot be started again."""
    yield from running_leg("embedded broker", lambda: EmbeddedBroker(tmp_path_factory.mktemp("tansu")))


@pytest.fixture(scope="package")
def postgres():
    """A PostgreSQL server that each test may end as it likes, and leaves running."""
    yield from running_leg("PostgreSQL", postgres_server)


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    if not report.rows():
        return
    lines = report.table(report.rows())
    terminalreporter.section("chaos")
    for line in lines:
        terminalreporter.line(line)
    whole = config.args == ["tests/chaos"] and not terminalreporter.stats.get("deselected")
    if report.FULL and whole and exitstatus == pytest.ExitCode.OK:
        report.write(report.PAGE, lines)
        terminalreporter.line(f"Written to {report.PAGE.relative_to(config.rootpath)}.")
