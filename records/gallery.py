"""The gallery's records: every change to an identity, and the change's outbox row, in one transaction."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from detector.identity import DEFAULT_REACH, Identity
from detector.verdict import IdentityKind
from records import decision_log, gallery_listing, pack_move
from records.announcer import Announcer, utc_now
from records.audit import Action, AuditLog
from records.database import Database
from records.enrolment import insert_identity, insert_references, open_photo
from records.errors import UnknownIdentity, UnknownReference
from records.gallery_state import active_identities
from records.keys.keyring import DataKey, MasterKey
from records.pack_move import PackEmbedding
from records.platform_ids import checked_account_id
from records.references import IdentityDetail, IdentityStatus, IdentitySummary, ReferencePhoto, checked_reach
from records.reports.erasure import Erasure
from records.schema import GalleryStateRow, IdentityKeyRow, IdentityRow, OwnAccountRow, ReferenceRow

KEYS_PER_QUERY = 10_000


def _random_id() -> str:
    return os.urandom(16).hex()


class GalleryRecords:
    """Identities and their references. Every method is one transaction and may raise DatabaseAway or SchemaMismatch;
    those that seal or open something raise MasterKeyError when the master key is not the database's. With `by`, an
    actor of the audit log, a change is noted there.

    `clock` gives the moment, aware; `new_id` a fresh text that is used in no other id.
    """

    def __init__(
        self,
        database: Database,
        master_key: MasterKey,
        *,
        clock: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = _random_id,
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._clock = clock
        self._new_id = new_id
        self._announcer = Announcer(database, master_key, clock)
        self._audit = AuditLog(database, clock=clock)
        self._erasure = Erasure(database, master_key, self._audit, clock=clock)

    def add_identity(
        self,
        name: str,
        kind: IdentityKind,
        own_accounts: Sequence[str] = (),
        *,
        references: Sequence[ReferencePhoto] = (),
        status: IdentityStatus = "active",
        reach: int = DEFAULT_REACH,
        by: str | None = None,
    ) -> str:
        """The new identity's id. Its references, when given, arrive with it in one change. `reach`: 1..5.

        Raises DuplicateReference, UnfitId for a blank account.
        """
        identity_id = f"idn_{self._new_id()}"
        data_key = DataKey.new(identity_id)
        now = self._clock()
        with self._database.write() as session:
            self._announcer.prove_master_key(session)
            insert_identity(session, data_key, self._master_key, name, kind, status, reach, own_accounts, now)
            reference_ids = insert_references(session, data_key, references, self._new_id, now)
            self._announcer.announce(session, identity_id, data_key)
            self._note(session, by, "identity_added", identity_id, references=reference_ids)
        return identity_id

    def add_reference(self, identity_id: str, photo: ReferencePhoto) -> str:
        """The new reference's id. Raises UnknownIdentity, DuplicateReference."""
        return self.add_references(identity_id, [photo])[0]

    def add_references(self, identity_id: str, photos: Sequence[ReferencePhoto], *, by: str | None = None) -> list[str]:
        """The new references' ids, all of them or none, as one change. Raises UnknownIdentity, DuplicateReference."""
        with self._announcer.holding(identity_id) as (session, data_key):
            reference_ids = insert_references(session, data_key, photos, self._new_id, self._clock())
            if reference_ids:
                self._announcer.announce(session, identity_id, data_key)
                self._note(session, by, "identity_changed", identity_id, references_added=reference_ids)
        return reference_ids

    def remove_reference(self, reference_id: str, *, by: str | None = None) -> None:
        """Erases the reference, its photo and its embeddings. Raises UnknownReference."""
        identity_id = self._owner(reference_id)
        with self._announcer.holding(identity_id) as (session, data_key):
            if session.scalar(delete(ReferenceRow).where(ReferenceRow.id == reference_id).returning(1)) is None:
                raise UnknownReference(f"There is no reference {reference_id}.")
            self._announcer.announce(session, identity_id, data_key)
            self._note(session, by, "identity_changed", identity_id, reference_removed=reference_id)
        self._database.empty_log()

    def remove_identity(self, identity_id: str, *, by: str | None = None) -> None:
        """Erases the identity with its key and all that hangs on it, the report that it was made from too, and
        announces a tombstone.

        It needs no master key: a person can be erased after the key is lost. Raises UnknownIdentity.
        """
        self._erasure.remove_identity(identity_id, by)

    def set_status(self, identity_id: str, status: IdentityStatus) -> None:
        """Only an active identity is searched for; any other is announced as a tombstone. Raises UnknownIdentity."""
        with self._announcer.holding(identity_id) as (session, data_key):
            session.execute(update(IdentityRow).where(IdentityRow.id == identity_id).values(status=status))
            self._announcer.announce(session, identity_id, data_key)

    def set_suspended(self, identity_id: str, suspended: bool, *, by: str | None = None) -> bool:
        """Whether it was otherwise before: nothing is found for a suspended identity, which keeps all that it has.
        What is neither active nor suspended stays as it is. Raises UnknownIdentity."""
        before, after = ("active", "suspended") if suspended else ("suspended", "active")
        other = (IdentityRow.id == identity_id) & (IdentityRow.status == before)
        with self._announcer.holding(identity_id) as (session, data_key):
            if session.scalar(update(IdentityRow).where(other).values(status=after).returning(1)) is None:
                return False
            self._announcer.announce(session, identity_id, data_key)
            self._note(session, by, "identity_changed", identity_id, suspended=suspended)
        return True

    def suspend_reference(self, reference_id: str, suspended: bool, *, by: str | None = None) -> bool:
        """Whether it was otherwise before: nothing is compared with a suspended reference, which is kept. Raises
        UnknownReference."""
        identity_id = self._owner(reference_id)
        was = ReferenceRow.suspended_at.is_(None) if suspended else ReferenceRow.suspended_at.is_not(None)
        other = update(ReferenceRow).where(ReferenceRow.id == reference_id, was)
        with self._announcer.holding(identity_id) as (session, data_key):
            at = self._clock() if suspended else None
            if session.scalar(other.values(suspended_at=at).returning(1)) is None:
                return False
            self._announcer.announce(session, identity_id, data_key)
            self._note(session, by, "identity_changed", identity_id, reference=reference_id, suspended=suspended)
        return True

    def set_reach(self, identity_id: str, reach: int, *, by: str | None = None) -> bool:
        """Whether it was another before. `reach`: 1 (known to few) to 5 (worldwide). Raises UnknownIdentity."""
        other = (IdentityRow.id == identity_id) & (IdentityRow.reach != checked_reach(reach))
        with self._announcer.holding(identity_id) as (session, data_key):
            if session.scalar(update(IdentityRow).where(other).values(reach=reach).returning(1)) is None:
                return False
            self._announcer.announce(session, identity_id, data_key)
            self._note(session, by, "identity_changed", identity_id, reach=reach)
        return True

    def add_own_account(self, identity_id: str, account_id: str, *, by: str | None = None) -> bool:
        """Whether the account is new to the identity. Raises UnknownIdentity, UnfitId for a blank account."""
        checked_account_id(account_id)
        with self._announcer.holding(identity_id) as (session, data_key):
            own = session.get(OwnAccountRow, (identity_id, account_id))
            if own is not None:
                own.learned_at = None  # entered by hand, it outlives a decision that is taken back
                return False
            session.execute(insert(OwnAccountRow).values(identity_id=identity_id, account_id=account_id))
            self._announcer.announce(session, identity_id, data_key)
            self._note(
                session, by, "identity_changed", identity_id, own_account_added=_told(session, identity_id, account_id)
            )
        return True

    def remove_own_account(self, identity_id: str, account_id: str, *, by: str | None = None) -> bool:
        """Whether the identity had the account; decisions that made it so stand no more. Raises UnknownIdentity."""
        with self._announcer.holding(identity_id) as (session, data_key):
            decision_log.forget_owner(session, identity_id, account_id, self._clock())
            had = delete(OwnAccountRow).where(
                OwnAccountRow.identity_id == identity_id, OwnAccountRow.account_id == account_id
            )
            if session.scalar(had.returning(1)) is None:
                return False
            self._announcer.announce(session, identity_id, data_key)
            self._note(
                session,
                by,
                "identity_changed",
                identity_id,
                own_account_removed=_told(session, identity_id, account_id),
            )
        return True

    def references_without(self, pack: str) -> Iterator[tuple[str, str]]:
        """(identity id, reference id) of every reference without an embedding of `pack`, whatever its identity's
        status, by identity. Read page by page, so that embeddings can be added meanwhile."""
        after = ("", "")
        while True:
            with self._database.read() as session:
                page = pack_move.page_without(session, pack, after)
            if not page:
                return
            yield from page
            after = page[-1]

    def without_embedding(self, pack: str) -> int:
        """How many references of active identities cannot be searched with `pack`."""
        with self._database.read() as session:
            return pack_move.count_without(session, pack)

    def add_embeddings(self, identity_id: str, embeddings: Mapping[str, PackEmbedding]) -> bool:
        """Whether anything is new; all of it, by reference id, is one change. One of the same pack is replaced.

        Raises UnknownIdentity, UnknownReference, ValueError for what is no unit vector or no fingerprint.
        """
        with self._announcer.holding(identity_id) as (session, data_key):
            changed = pack_move.put_embeddings(session, data_key, embeddings)
            if changed:
                self._announcer.announce(session, identity_id, data_key)
        return changed

    def remove_embeddings(self, pack: str) -> int:
        """Erases the embeddings of `pack`, one change for each identity; returns how many. Cut short, do it again.

        Raises LastEmbedding when a reference would be left with none.
        """
        with self._database.read() as session:
            identity_ids = pack_move.identities_with(session, pack)
        count = 0
        for identity_id in identity_ids:
            with self._announcer.holding(identity_id) as (session, data_key):
                count += pack_move.drop_embeddings(session, identity_id, pack)
                self._announcer.announce(session, identity_id, data_key)
        self._database.empty_log()
        return count

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
            with self._announcer.holding(identity.id) as (session, data_key):
                self._announcer.announce(session, identity.id, data_key)
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
        with self._database.read() as session:
            return open_photo(session, self._announcer.unwrap, reference_id)

    def identities(self, pack: str | None = None, *, after: int = 0) -> Iterator[Identity]:
        """The active identities that have references, as of one moment, opened as they are asked for.

        With `pack`, only references with an embedding of it; with `after`, only identities whose newest change has a
        higher sequence number. Close the iterator when leaving it early.
        """
        with self._database.read() as session:
            yield from active_identities(session, self._announcer.unwrap, pack, IdentityRow.sequence > after)

    def identities_of(self, identity_ids: Sequence[str], pack: str) -> Iterator[Identity]:
        """As `identities`, of these people only: for a few."""
        with self._database.read() as session:
            for identity_id in identity_ids:
                yield from active_identities(session, self._announcer.unwrap, pack, IdentityRow.id == identity_id)

    def active_sequences(self) -> dict[str, int]:
        """The sequence number of each active identity's newest change, by its id."""
        active = select(IdentityRow.id, IdentityRow.sequence).where(IdentityRow.status == "active")
        with self._database.read() as session:
            return {row.id: row.sequence for row in session.execute(active)}

    def data_keys(self, identity_ids: Sequence[str]) -> dict[str, DataKey]:
        """The data keys by identity id; one that is missing has been erased."""
        keys: dict[str, DataKey] = {}
        with self._database.read() as session:
            for start in range(0, len(identity_ids), KEYS_PER_QUERY):
                some = IdentityKeyRow.identity_id.in_(identity_ids[start : start + KEYS_PER_QUERY])
                rows = session.execute(select(IdentityKeyRow.identity_id, IdentityKeyRow.wrapped).where(some))
                keys.update(
                    (identity_id, self._announcer.unwrap(identity_id, wrapped)) for identity_id, wrapped in rows
                )
        return keys

    def latest_sequence(self) -> int:
        """The sequence number of the newest change; 0 before the first."""
        with self._database.read() as session:
            return session.scalars(select(GalleryStateRow.last_sequence)).one()

    def _owner(self, reference_id: str) -> str:
        """The id of the identity that has the reference. Raises UnknownReference."""
        with self._database.read() as session:
            identity_id = session.scalar(select(ReferenceRow.identity_id).where(ReferenceRow.id == reference_id))
        if identity_id is None:
            raise UnknownReference(f"There is no reference {reference_id}.")
        return identity_id

    def _note(self, session: Session, by: str | None, action: Action, identity_id: str, **details: Any) -> None:
        """The last step of a transaction, see AuditLog.append_in."""
        if by is not None:
            self._audit.append_in(session, by, action, identity_id, details)


def _told(session: Session, identity_id: str, account_id: str) -> str | bool:
    """What the audit log, which is never erased, is told of an own account: of a victim's only that there is one."""
    kind = session.scalars(select(IdentityRow.kind).where(IdentityRow.id == identity_id)).one()
    return account_id if kind == "celebrity" else True
