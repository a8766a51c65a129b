"""The gallery's records: every change to an identity, and the change's outbox row, in one transaction."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from detector.identity import Identity
from detector.verdict import IdentityKind
from records import gallery_listing
from records.database import Database
from records.enrolment import insert_references, photo_purpose
from records.errors import UnknownIdentity, UnknownReference
from records.gallery_changes import write_change
from records.gallery_state import active_identities, active_identity
from records.keys import DataKey
from records.references import IdentityDetail, IdentityStatus, IdentitySummary, ReferencePhoto
from records.schema import (
    GalleryStateRow,
    IdentityKeyRow,
    IdentityRow,
    OutboxEntry,
    OwnAccountRow,
    ReferencePhotoRow,
    ReferenceRow,
)

KEYS_PER_QUERY = 10_000


def _now() -> datetime:
    return datetime.now(UTC)


def _random_id() -> str:
    return os.urandom(16).hex()


class GalleryRecords:
    """Identities and their references. Every method is one transaction and may raise DatabaseAway or SchemaMismatch;
    those that seal or open something raise MasterKeyError when the master key is not the database's.

    `clock` gives the moment, aware; `new_id` a fresh text that is used in no other id.
    """

    def __init__(
        self,
        database: Database,
        master_key: bytes,
        *,
        clock: Callable[[], datetime] = _now,
        new_id: Callable[[], str] = _random_id,
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._clock = clock
        self._new_id = new_id

    def add_identity(
        self,
        name: str,
        kind: IdentityKind,
        own_accounts: Sequence[str] = (),
        *,
        references: Sequence[ReferencePhoto] = (),
        status: IdentityStatus = "active",
    ) -> str:
        """The new identity's id. Its references, when given, arrive with it in one change."""
        identity_id = f"idn_{self._new_id()}"
        data_key = DataKey.new(identity_id)
        now = self._clock()
        with self._database.write() as session:
            self._prove_master_key(session)
            session.execute(
                insert(IdentityRow).values(
                    id=identity_id, name=name, kind=kind, status=status, sequence=0, created_at=now, updated_at=now
                )
            )
            session.execute(
                insert(IdentityKeyRow).values(
                    identity_id=identity_id, wrapped=data_key.wrap(self._master_key), created_at=now
                )
            )
            for account_id in sorted(set(own_accounts)):
                session.execute(insert(OwnAccountRow).values(identity_id=identity_id, account_id=account_id))
            insert_references(session, data_key, references, self._new_id, now)
            self._announce(session, identity_id, data_key)
        return identity_id

    def add_reference(self, identity_id: str, photo: ReferencePhoto) -> str:
        """The new reference's id. Raises UnknownIdentity, DuplicateReference."""
        return self.add_references(identity_id, [photo])[0]

    def add_references(self, identity_id: str, photos: Sequence[ReferencePhoto]) -> list[str]:
        """The new references' ids, all of them or none, as one change. Raises UnknownIdentity, DuplicateReference."""
        with self._identity(identity_id) as (session, data_key):
            reference_ids = insert_references(session, data_key, photos, self._new_id, self._clock())
            if reference_ids:
                self._announce(session, identity_id, data_key)
        return reference_ids

    def remove_reference(self, reference_id: str) -> None:
        """Erases the reference, its photo and its embeddings. Raises UnknownReference."""
        with self._database.read() as session:
            identity_id = session.scalar(select(ReferenceRow.identity_id).where(ReferenceRow.id == reference_id))
        if identity_id is None:
            raise UnknownReference(f"There is no reference {reference_id}.")
        with self._identity(identity_id) as (session, data_key):
            if session.scalar(delete(ReferenceRow).where(ReferenceRow.id == reference_id).returning(1)) is None:
                raise UnknownReference(f"There is no reference {reference_id}.")
            self._announce(session, identity_id, data_key)
        self._database.empty_log()

    def remove_identity(self, identity_id: str) -> None:
        """Erases the identity with its key and all that hangs on it, and announces a tombstone.

        It needs no master key: a person can be erased after the key is lost. Raises UnknownIdentity.
        """
        with self._database.write() as session:
            if session.scalar(delete(IdentityRow).where(IdentityRow.id == identity_id).returning(1)) is None:
                raise UnknownIdentity(f"There is no identity {identity_id}.")
            self._announce(session, identity_id, None)
        self._database.empty_log()

    def set_status(self, identity_id: str, status: IdentityStatus) -> None:
        """Only an active identity is searched for; any other is announced as a tombstone. Raises UnknownIdentity."""
        with self._identity(identity_id) as (session, data_key):
            session.execute(update(IdentityRow).where(IdentityRow.id == identity_id).values(status=status))
            self._announce(session, identity_id, data_key)

    def add_own_account(self, identity_id: str, account_id: str) -> bool:
        """Whether the account is new to the identity. Raises UnknownIdentity."""
        with self._identity(identity_id) as (session, data_key):
            if session.get(OwnAccountRow, (identity_id, account_id)) is not None:
                return False
            session.execute(insert(OwnAccountRow).values(identity_id=identity_id, account_id=account_id))
            self._announce(session, identity_id, data_key)
        return True

    def remove_own_account(self, identity_id: str, account_id: str) -> bool:
        """Whether the identity had the account. Raises UnknownIdentity."""
        with self._identity(identity_id) as (session, data_key):
            had = delete(OwnAccountRow).where(
                OwnAccountRow.identity_id == identity_id, OwnAccountRow.account_id == account_id
            )
            if session.scalar(had.returning(1)) is None:
                return False
            self._announce(session, identity_id, data_key)
        return True

    def publish_anew(self) -> int:
        """Puts every identity's state into the outbox once more; returns how many.

        The changes are numbered from the clock's milliseconds on, so that they are newer than any that a database
        which was later replaced by an older copy may have published.
        """
        with self._database.write() as session:
            floor = int(self._clock().timestamp() * 1000)
            higher = update(GalleryStateRow).where(GalleryStateRow.last_sequence < floor)
            session.execute(higher.values(last_sequence=floor))
        identities = self.list_identities()
        for identity in identities:
            with self._identity(identity.id) as (session, data_key):
                self._announce(session, identity.id, data_key)
        return len(identities)

    def find_identity(self, id_or_name: str) -> IdentitySummary | None:
        """The identity with this id, else with exactly this name; None when there is none. Raises AmbiguousName."""
        with self._database.read() as session:
            return gallery_listing.find(session, id_or_name)

    def list_identities(self) -> list[IdentitySummary]:
        """All identities, by name."""
        with self._database.read() as session:
            return gallery_listing.summaries(session)

    def show(self, identity_id: str) -> IdentityDetail:
        """Raises UnknownIdentity."""
        with self._database.read() as session:
            detail = gallery_listing.detail(session, identity_id)
        if detail is None:
            raise UnknownIdentity(f"There is no identity {identity_id}.")
        return detail

    def reference_photo(self, reference_id: str) -> bytes:
        """The JPEG copy of a reference. Raises UnknownReference."""
        sealed_photo = (
            select(ReferenceRow.identity_id, IdentityKeyRow.wrapped, ReferencePhotoRow.sealed)
            .join(IdentityKeyRow, IdentityKeyRow.identity_id == ReferenceRow.identity_id)
            .join(ReferencePhotoRow, ReferencePhotoRow.reference_id == ReferenceRow.id)
            .where(ReferenceRow.id == reference_id)
        )
        with self._database.read() as session:
            row = session.execute(sealed_photo).one_or_none()
        if row is None:
            raise UnknownReference(f"There is no reference {reference_id}.")
        return self._unwrap(row.identity_id, row.wrapped).open(row.sealed, photo_purpose(reference_id))

    def identities(self, pack: str | None = None) -> Iterator[Identity]:
        """The active identities that have references, as of one moment, opened as they are asked for.

        With `pack`, only references with an embedding of it. Close the iterator when leaving it early.
        """
        with self._database.read() as session:
            yield from active_identities(session, self._unwrap, pack)

    def data_keys(self, identity_ids: Sequence[str]) -> dict[str, DataKey]:
        """The data keys by identity id; one that is missing has been erased."""
        keys: dict[str, DataKey] = {}
        with self._database.read() as session:
            for start in range(0, len(identity_ids), KEYS_PER_QUERY):
                some = IdentityKeyRow.identity_id.in_(identity_ids[start : start + KEYS_PER_QUERY])
                rows = session.execute(select(IdentityKeyRow.identity_id, IdentityKeyRow.wrapped).where(some))
                keys.update((identity_id, self._unwrap(identity_id, wrapped)) for identity_id, wrapped in rows)
        return keys

    def latest_sequence(self) -> int:
        """The sequence number of the newest change; 0 before the first."""
        with self._database.read() as session:
            return session.scalars(select(GalleryStateRow.last_sequence)).one()

    @contextmanager
    def _identity(self, identity_id: str) -> Iterator[tuple[Session, DataKey]]:
        """A transaction that holds the identity until it commits, with the identity's data key."""
        with self._database.write() as session:
            held = select(IdentityRow.id).where(IdentityRow.id == identity_id).with_for_update()
            if session.scalar(held) is None:
                raise UnknownIdentity(f"There is no identity {identity_id}.")
            wrapped = session.scalars(
                select(IdentityKeyRow.wrapped).where(IdentityKeyRow.identity_id == identity_id)
            ).one()
            yield session, self._unwrap(identity_id, wrapped)

    def _announce(self, session: Session, identity_id: str, data_key: DataKey | None) -> None:
        """Numbers the change and puts the identity's whole state into the outbox: the last step of a transaction."""
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

    def _prove_master_key(self, session: Session) -> None:
        """Raises MasterKeyError rather than let a second master key into the database: one old key tells them apart."""
        session.execute(select(GalleryStateRow.id).with_for_update())  # so that no two first identities pass unseen
        any_key = session.execute(select(IdentityKeyRow.identity_id, IdentityKeyRow.wrapped).limit(1)).one_or_none()
        if any_key is not None:
            self._unwrap(*any_key)

    def _unwrap(self, identity_id: str, wrapped: bytes) -> DataKey:
        return DataKey.unwrap(identity_id, wrapped, self._master_key)
