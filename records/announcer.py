"""One change to an identity: the transaction that holds it, and the outbox row that tells of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from records.database import Database
from records.errors import UnknownIdentity
from records.gallery_changes import write_change
from records.gallery_state import active_identity
from records.keys.keyring import DataKey, MasterKey
from records.schema import GalleryStateRow, IdentityKeyRow, IdentityRow, OutboxEntry


def utc_now() -> datetime:
    return datetime.now(UTC)


class Announcer:
    """`clock` gives the moment, aware."""

    def __init__(self, database: Database, master_key: MasterKey, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._master_key = master_key
        self._clock = clock

    @contextmanager
    def holding(self, identity_id: str) -> Iterator[tuple[Session, DataKey]]:
        """A transaction that holds the identity until it commits, with the identity's data key.

        Raises UnknownIdentity, MasterKeyError, DatabaseAway, SchemaMismatch.
        """
        with self._database.write() as session:
            held = select(IdentityRow.id).where(IdentityRow.id == identity_id).with_for_update()
            if session.scalar(held) is None:
                raise UnknownIdentity(f"There is no identity {identity_id}.")
            wrapped = session.scalars(
                select(IdentityKeyRow.wrapped).where(IdentityKeyRow.identity_id == identity_id)
            ).one()
            yield session, self.unwrap(identity_id, wrapped)

    def announce(self, session: Session, identity_id: str, data_key: DataKey | None) -> None:
        """Numbers the change and puts the identity's whole state into the outbox: the last step of a transaction.

        Without a data key the change is a tombstone.
        """
        # the counter stays locked until the commit, so sequences commit in their order
        sequence = session.scalars(
            update(GalleryStateRow)
            .values(last_sequence=GalleryStateRow.last_sequence + 1)
            .returning(GalleryStateRow.last_sequence)
        ).one()
        now = self._clock()
        session.execute(
            update(IdentityRow).where(IdentityRow.id == identity_id).values(sequence=sequence, updated_at=now)
        )
        identity = None if data_key is None else active_identity(session, identity_id, data_key)
        session.execute(
            insert(OutboxEntry).values(
                sequence=sequence,
                topic_name="gallery_changes",
                key=identity_id,
                value=None if identity is None or data_key is None else write_change(identity, data_key),
                created_at=now,
            )
        )

    def prove_master_key(self, session: Session) -> None:
        """Raises MasterKeyError rather than let a second master key into the database: one old key tells them apart."""
        session.execute(select(GalleryStateRow.id).with_for_update())  # so that no two first identities pass unseen
        any_key = session.execute(select(IdentityKeyRow.identity_id, IdentityKeyRow.wrapped).limit(1)).one_or_none()
        if any_key is not None:
            self.unwrap(*any_key)

    def unwrap(self, identity_id: str, wrapped: bytes) -> DataKey:
        """Raises MasterKeyError."""
        return DataKey.unwrap(identity_id, wrapped, self._master_key)
