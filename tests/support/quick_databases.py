"""New databases for tests: migrating takes up to half a second, so it is done once, and then copied."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from records.database import Database, open_database


@pytest.fixture(scope="session", autouse=True)
def quick_databases(tmp_path_factory):
    """An SQLite database without tables is migrated by copying one that was migrated as always."""
    migrate = Database.migrate
    template = tmp_path_factory.mktemp("migrated") / "likeness.db"
    with closing(open_database(f"sqlite:///{template}")) as database:
        migrate(database)

    def copy_or_migrate(self):
        path = Path(self.engine.url.database)
        if not self.postgresql and path.stat().st_size == 0:
            _copy(template, path)
        migrate(self)

    Database.migrate = copy_or_migrate
    yield
    Database.migrate = migrate


def _copy(template, path):
    with closing(sqlite3.connect(template)) as source, closing(sqlite3.connect(path, timeout=30)) as target:
        target.execute("PRAGMA synchronous = OFF")
        source.backup(target)
