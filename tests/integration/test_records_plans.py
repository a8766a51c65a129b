"""How the databases go about queries that are easily put so that they read all cases or all decisions."""

from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from benchmarks.console_cases import fill
from records.casework import case_history
from records.casework.case_listing import CaseFilter, CaseListing
from records.database import open_database
from records.gallery_pages import GalleryPages

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CASES = 3_000


@contextmanager
def plans_of(database, beginning):
    """The lines of the plans of all statements that begin so."""
    lines = []
    explain = "EXPLAIN" if database.postgresql else "EXPLAIN QUERY PLAN"

    def note(_connection, cursor, statement, parameters, _context, _many):
        if statement.startswith(beginning):
            with closing(cursor.connection.cursor()) as other:
                lines.extend(str(row[-1]) for row in other.execute(f"{explain} {statement}", parameters).fetchall())

    event.listen(database.engine, "before_cursor_execute", note)
    yield lines
    event.remove(database.engine, "before_cursor_execute", note)


def test_sqlite_finds_what_stands_on_a_few_cases_by_the_cases_not_through_all_decisions(tmp_path):
    """PostgreSQL chooses by how much there is."""
    with closing(open_database(f"sqlite:///{tmp_path / 'likeness.db'}")) as database:
        database.migrate()
        with plans_of(database, "SELECT case_decisions") as plan, database.read() as session:
            case_history.standing(session, [f"case-{number}" for number in range(12)], NOW)
    assert any("ix_case_decisions_case_id_decided_by" in line for line in plan), plan


def test_sqlite_counts_what_a_person_led_to_by_the_cases_not_through_all_final_decisions(tmp_path):
    with closing(open_database(f"sqlite:///{tmp_path / 'likeness.db'}")) as database:
        database.migrate()
        with plans_of(database, "SELECT cases") as plan:
            GalleryPages(database, keep=timedelta(0)).led_by_references("idn_a")
    assert any("ix_case_decisions_case_id_decided_by" in line for line in plan), plan


def test_a_queue_is_listed_in_the_order_of_an_index_and_never_sorted(full_database):
    """A queue of a quarter of the cases: of one with most of them, every index in order of time costs about as much."""
    with plans_of(full_database, "SELECT cases") as plan:
        CaseListing(full_database).cases(CaseFilter(queue="pictures", state="open"), None, 51)
    assert "ix_cases_state_queue_opened_at_id" in "".join(plan), plan
    assert not [line for line in plan if "Sort" in line or "TEMP B-TREE" in line], plan


@pytest.mark.parametrize(
    "which", [CaseFilter(account_id="account-77"), CaseFilter(account_id="account-77", state="open")]
)
def test_an_accounts_cases_are_found_by_the_account(full_database, which):
    with plans_of(full_database, "SELECT cases") as plan:
        CaseListing(full_database).cases(which, None, 51)
    assert "ix_cases_account_id" in "".join(plan), plan


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def full_database(request, tmp_path_factory):
    """With CASES cases, and what PostgreSQL knows of them after some minutes."""
    if request.param == "sqlite":
        with closing(open_database(f"sqlite:///{tmp_path_factory.mktemp('full') / 'likeness.db'}")) as database:
            database.migrate()
            fill(database, CASES)
            yield database
        return
    with (
        request.getfixturevalue("postgres").brief_database(migrated=True) as url,
        closing(open_database(url)) as database,
    ):
        fill(database, CASES)
        yield database
