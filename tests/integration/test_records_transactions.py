"""Transactions: a page's readings at one moment, in one transaction, on both kinds of database."""

import threading
from contextlib import closing

import pytest
from sqlalchemy import event, text

from records.database import open_database
from records.errors import DatabaseAway


@pytest.fixture
def transactions(database):
    """A list that grows by one with each transaction of the database."""
    begun = []
    event.listen(database.engine, "begin", begun.append)
    return begun


def names(database):
    with database.read() as session:
        return sorted(session.scalars(text("SELECT name FROM identities")))


def test_readings_of_one_moment_see_nothing_that_is_written_meanwhile(database, records):
    records.add_identity("Ada", "celebrity")
    with database.one_moment():
        assert names(database) == ["Ada"]
        records.add_identity("Grace", "celebrity")
        assert names(database) == ["Ada"]
    assert names(database) == ["Ada", "Grace"]


def test_readings_of_one_moment_are_one_transaction(database, transactions):
    with database.one_moment():
        for _ in range(5):
            names(database)
    assert len(transactions) == 1
    names(database)
    names(database)
    assert len(transactions) == 3


def test_a_moment_within_a_moment_is_the_same_one_and_does_not_end_it(database, records, transactions):
    with database.one_moment():
        names(database)
        with database.one_moment():
            names(database)
        names(database)
    assert len(transactions) == 1


def test_a_moment_is_its_own_threads_alone(database, records):
    seen = []
    with database.one_moment():
        assert names(database) == []
        records.add_identity("Ada", "celebrity")
        thread = threading.Thread(target=lambda: seen.append(names(database)))
        thread.start()
        thread.join()
        assert names(database) == []
    assert seen == [["Ada"]]


def test_after_an_error_the_next_reading_is_of_its_own_moment(database, records):
    with pytest.raises(ZeroDivisionError), database.one_moment():
        names(database)
        records.add_identity("Ada", "celebrity")
        raise ZeroDivisionError
    assert names(database) == ["Ada"]


def test_a_reading_that_fails_within_a_moment_says_so_as_any_other(database):
    if database.postgresql:
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = :name"
        with pytest.raises(DatabaseAway), database.one_moment():
            names(database)
            with database.write() as session:
                session.execute(text(end), {"name": database.engine.url.database})
            with pytest.raises(DatabaseAway, match="does not answer"):
                names(database)
            raise DatabaseAway("the page gives up")
    else:
        away = pytest.raises(DatabaseAway, match="does not answer")
        with database.one_moment(), away, database.read() as session:
            session.execute(text("SELECT nonsense FROM identities"))
    assert names(database) == []


def test_postgresql_takes_one_core_for_each_query_of_ours(postgres):
    with postgres.brief_database() as url, closing(open_database(url)) as database:
        for _ in range(2):  # it holds beyond the first transaction, and for connections that were rolled back
            with pytest.raises(ZeroDivisionError), database.read() as session:
                assert session.scalar(text("SHOW max_parallel_workers_per_gather")) == "0"
                raise ZeroDivisionError
