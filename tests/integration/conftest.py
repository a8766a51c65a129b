"""The brokers and the database server, started once per run; `broker` and `database_url` for tests that hold on all;
`site` for tests of the console over HTTP."""

import pytest

from demo.broker import EmbeddedBroker
from records.database import open_database
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from tests.support.clock import Clock
from tests.support.console_site import running_site
from tests.support.kafka_broker import ApacheKafka
from tests.support.legs import record_leg, running_leg
from tests.support.milvus import MilvusLite
from tests.support.postgres import postgres_server


@pytest.fixture(scope="session")
def tansu(tmp_path_factory):
    """The embedded broker of the demo: no transactions, no compaction, no disk."""
    yield from running_leg("embedded broker", lambda: EmbeddedBroker(tmp_path_factory.mktemp("tansu")))


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory):
    """Apache Kafka itself. Tests that stop it start one of their own: ApacheKafka(tmp_path)."""
    yield from running_leg("Apache Kafka", lambda: ApacheKafka(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(params=["tansu", "apache_kafka"])
def broker(request):
    """Each of the two brokers in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server; `create_database()` gives the URL of a new database."""
    yield from running_leg("PostgreSQL", postgres_server)


@pytest.fixture(scope="session")
def milvus(tmp_path_factory):
    """Milvus Lite behind a port. Tests that stop it start one of their own."""
    with MilvusLite(tmp_path_factory.mktemp("milvus")) as server:
        record_leg("Milvus", server.name, ran=True)
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The URL of a new database of each kind in turn, with nothing in its tables, once it is migrated."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'likeness.db'}"
        return
    with request.getfixturevalue("postgres").brief_database(migrated=True) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request, tmp_path):
    """The URL of a new database of each kind in turn that has no tables yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'likeness.db'}"
        return
    with request.getfixturevalue("postgres").brief_database() as url:
        yield url


@pytest.fixture
def database(database_url):
    """A migrated database of each kind."""
    database = open_database(database_url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def records(database):
    """The gallery's records under a master key of zeros."""
    return GalleryRecords(database, MasterKey.of(bytes(32)))


@pytest.fixture
def clock():
    """The time of a `desk`."""
    return Clock()


@pytest.fixture
def site(desk):
    """The address of a console over the test's own `desk`."""
    with running_site(desk) as address:
        yield address
