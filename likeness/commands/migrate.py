"""likeness migrate: makes and migrates the database's tables, for deployments whose other processes may not."""

from contextlib import closing

from config import load_settings
from records.database import open_database


def migrate() -> None:
    """Make the database's tables, or bring them to this version's; ends when that is done."""
    settings = load_settings()
    with closing(open_database(settings.database_url)) as database:
        database.migrate()
        print(f"The tables of {database.name} are those of this version.")
