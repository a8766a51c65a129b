"""`likeness migrate` makes the tables as their owner, for processes whose account may use them and not change them."""

from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from records.database import open_database
from tests.support.program import Program

USER = "likeness_user"


@pytest.fixture
def accounts(postgres):
    """The URLs of a new database for its owner and for an account that may use what the owner makes in it."""
    owner = postgres.create_database()
    with closing(open_database(owner)) as database, database.write() as session:
        for statement in (
            f"DROP ROLE IF EXISTS {USER}",
            f"CREATE ROLE {USER} LOGIN",
            f"ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {USER}",
            f"ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO {USER}",
        ):
            session.execute(text(statement))
    yield owner, make_url(owner).set(username=USER).render_as_string(hide_password=False)
    with closing(open_database(owner)) as database, database.write() as session:
        session.execute(text(f"DROP OWNED BY {USER}"))
        session.execute(text(f"DROP ROLE {USER}"))


def test_the_user_waits_for_the_owner_to_make_the_tables_and_then_needs_no_right_to_change_them(tmp_path, accounts):
    owner, user = accounts
    likeness = Program(tmp_path / "home", LIKENESS_DATABASE__URL=user)
    refused = likeness("gallery", "list")
    assert refused.code == 2
    assert "run `likeness migrate` as their owner" in refused.sentence
    made = likeness("migrate", LIKENESS_DATABASE__URL=owner)
    assert (made.code, made.err) == (0, "")
    assert "are those of this version" in made.out
    assert likeness("gallery", "list").code == 0
    assert likeness("migrate").code == 0  # nothing is left to do


def test_a_fresh_database_of_each_kind_gets_its_tables(tmp_path, empty_database_url):
    likeness = Program(tmp_path / "home", LIKENESS_DATABASE__URL=empty_database_url)
    assert likeness("migrate").code == 0
    with closing(open_database(empty_database_url)) as database:
        database.check()


def test_a_database_that_is_away_is_told_in_one_sentence(tmp_path):
    ended = Program(tmp_path / "home")("migrate", LIKENESS_DATABASE__URL="postgresql://likeness@127.0.0.1:9/likeness")
    assert ended.code == 2
    assert "does not answer" in ended.sentence
