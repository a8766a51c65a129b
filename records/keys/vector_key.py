"""The key by which faces are turned before a vector database is given them; see consumers/milvus/turning.py.

It is made when it is first asked for, rests wrapped by the master key, and outlives that one's rotation.
"""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from records.database import Database
from records.keys.keyring import DataKey, MasterKey
from records.schema import VectorKeyRow

SUBJECT = "vectors"
_TURNING = "turning"


def vector_key(database: Database, master_key: MasterKey) -> bytes:
    """32 bytes, the same for all processes. Raises DatabaseAway, SchemaMismatch, MasterKeyError."""
    new = DataKey.new(SUBJECT)
    row = {"id": SUBJECT, "wrapped": new.wrap(master_key), "created_at": datetime.now(UTC)}
    insert_into = postgresql.insert if database.postgresql else sqlite.insert
    with database.write() as session:
        session.execute(insert_into(VectorKeyRow).values(row).on_conflict_do_nothing())
        wrapped = session.scalars(select(VectorKeyRow.wrapped)).one()
    return DataKey.unwrap(SUBJECT, wrapped, master_key).derive(_TURNING)
