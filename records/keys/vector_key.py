"""The key by which faces are turned before a vector database is given them; see consumers/milvus/turning.py.

It is made when it is first asked for, rests wrapped by the master key, and outlives that one's rotation.
"""

import logging
from datetime import UTC, datetime

from sqlalchemy import Executable, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from records.database import Database
from records.errors import MasterKeyError
from records.keys.keyring import DataKey, MasterKey
from records.keys.wrapped import is_of
from records.schema import VectorKeyRow

SUBJECT = "vectors"
_TURNING = "turning"
log = logging.getLogger(__name__)


def vector_key(database: Database, master_key: MasterKey) -> bytes:
    """32 bytes, the same for all processes. One that hangs on a destroyed master key, as in an older copy of the
    database, gives way to another, by which the vector database is filled anew.

    Raises DatabaseAway, SchemaMismatch; MasterKeyError where the master key may be the wrong one."""
    with database.write() as session:
        session.execute(_new(database, master_key))
        wrapped = session.scalars(select(VectorKeyRow.wrapped)).one()
    try:
        return _turning(wrapped, master_key)
    except MasterKeyError:
        if not is_of(master_key, database):
            raise
    with database.write() as session:
        session.execute(delete(VectorKeyRow).where(VectorKeyRow.wrapped == wrapped))  # unless another process has
        session.execute(_new(database, master_key))
        wrapped = session.scalars(select(VectorKeyRow.wrapped)).one()
    log.warning(
        "No master key in hand opened the key by which faces are turned for Milvus: there is a new one, and Milvus is "
        "filled anew. Restart each process that ran before; drop the old collections."
    )
    return _turning(wrapped, master_key)


def _new(database: Database, master_key: MasterKey) -> Executable:
    """Makes one, unless there is one."""
    row = {"id": SUBJECT, "wrapped": DataKey.new(SUBJECT).wrap(master_key), "created_at": datetime.now(UTC)}
    insert_into = postgresql.insert if database.postgresql else sqlite.insert
    return insert_into(VectorKeyRow).values(row).on_conflict_do_nothing()


def _turning(wrapped: bytes, master_key: MasterKey) -> bytes:
    return DataKey.unwrap(SUBJECT, wrapped, master_key).derive(_TURNING)
