"""Milvus, where the gallery is kept there: that it answers, and that it holds whom the records protect."""

from collections.abc import Iterator
from contextlib import closing

from config import Settings, packaged
from detector.packs import read_packs
from likeness.doctor.finding import Finding
from records.database import Database, open_database
from records.errors import DatabaseAway
from records.gallery_state import comparisons
from records.keys.open_master_key import open_master_key

MEND = "See that it runs, and milvus.uri and token."


def milvus_checks(settings: Settings) -> Iterator[Finding]:
    if settings.milvus.uri is None:
        return
    try:
        with closing(open_database(settings.database_url)) as database:
            database.check()
            yield _gallery(settings, database)
    except ImportError as error:
        yield Finding("milvus", "fail", f"{error.name} is missing.", "pip install 'likeness[milvus]'")
    except DatabaseAway as error:
        yield Finding("milvus", "fail", str(error), MEND)


def _gallery(settings: Settings, database: Database) -> Finding:
    """Faces there and in the records, of the pack in force, if models.toml declares it."""
    from consumers.milvus.gallery import state_key
    from consumers.milvus.side import open_store

    declared = read_packs(packaged("models.toml")).get(settings.models.pack)
    pack = declared.id if declared else settings.models.pack
    store, _ = open_store(settings, database, open_master_key(settings.keys, settings.master_key_file, create=False))
    with closing(store):
        if store.faces(pack) not in store.collections():
            return Finding("milvus", "warn", "It answers, and holds no gallery yet.", "Start `likeness run`.")
        there, told = store.count(store.faces(pack)), store.state(state_key(pack))
    with database.read() as session:
        wanted = comparisons(session, pack)
    said = (
        f"It answers; {there:,} faces and templates there, {wanted:,} in the records; change {told.get('version', 0)}."
    )
    if there == wanted:
        return Finding("milvus", "ok", said)
    return Finding("milvus", "warn", said, "Changes may be under way; else see the log of `likeness run` for Milvus.")
