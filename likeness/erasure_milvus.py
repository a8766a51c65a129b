"""What Milvus still holds of somebody who was erased: nothing may bear their id."""

from contextlib import closing

from config import Settings
from records.database import Database
from records.keys.keyring import MasterKey
from records.reports.remains import Check, Subject


def look_at_milvus(settings: Settings, subject: Subject, database: Database, master_key: MasterKey) -> Check:
    """Raises DatabaseAway, MasterKeyError."""
    if settings.milvus.uri is None or subject.erased.identity_id is None:
        return Check(
            "Milvus", 0, "holds no gallery (milvus.uri is empty)" if settings.milvus.uri is None else "no face"
        )
    from consumers.milvus.side import open_store

    store, _ = open_store(settings, database, master_key)
    with closing(store):
        left = sum(len(store.rows_of(name, [subject.erased.identity_id])) for name in store.of_gallery())
    if left:
        return Check("Milvus", left, "rows bear the id: does a consumer run that writes there?")
    return Check("Milvus", 0, "no row bears the id; its files are rid of what was dropped when they are compacted")
