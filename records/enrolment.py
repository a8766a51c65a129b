"""Puts identities and reference photos into the database: facts in the clear; photo, embeddings, fingerprint sealed."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from detector.identity import Embedding, Fingerprint
from detector.verdict import IdentityKind
from records.errors import DuplicateReference, UnknownReference
from records.fingerprints import fingerprint_bytes
from records.gallery_changes import vector_bytes
from records.keys.keyring import DataKey, MasterKey
from records.platform_ids import checked_account_id
from records.references import IdentityStatus, PictureHash, ReferencePhoto, checked_reach
from records.schema import (
    EmbeddingRow,
    FingerprintRow,
    IdentityKeyRow,
    IdentityRow,
    OwnAccountRow,
    ReferencePhotoRow,
    ReferenceRow,
)

STAYED = "Report of the person shown, whose photo stayed with them"
"""The provenance of a reference that is a hash alone."""


def embedding_purpose(reference_id: str, pack: str) -> str:
    """What an embedding is sealed for."""
    return f"embedding:{reference_id}:{pack}"


def fingerprint_purpose(reference_id: str) -> str:
    """What a fingerprint is sealed for."""
    return f"fingerprint:{reference_id}"


def photo_purpose(reference_id: str) -> str:
    """What a photo is sealed for."""
    return f"photo:{reference_id}"


def insert_identity(
    session: Session,
    data_key: DataKey,
    master_key: MasterKey,
    name: str,
    kind: IdentityKind,
    status: IdentityStatus,
    reach: int,
    own_accounts: Sequence[str],
    now: datetime,
) -> None:
    """The identity of the data key, with that key wrapped and its own accounts. Raises ValueError for a wrong reach,
    UnfitId for a blank account."""
    identity_id = data_key.identity_id
    facts = {"id": identity_id, "name": name, "kind": kind, "status": status, "reach": checked_reach(reach)}
    session.execute(insert(IdentityRow).values(**facts, sequence=0, created_at=now, updated_at=now))
    wrapped = data_key.wrap(master_key)
    session.execute(insert(IdentityKeyRow).values(identity_id=identity_id, wrapped=wrapped, created_at=now))
    for account_id in sorted(set(own_accounts)):
        session.execute(
            insert(OwnAccountRow).values(identity_id=identity_id, account_id=checked_account_id(account_id))
        )


def insert_references(
    session: Session, data_key: DataKey, photos: Sequence[ReferencePhoto], new_id: Callable[[], str], now: datetime
) -> list[str]:
    """The ids of the new references of the key's identity, in the order of `photos`. Raises DuplicateReference."""
    identity_id = data_key.identity_id
    present = set(session.scalars(select(ReferenceRow.photo_sha256).where(ReferenceRow.identity_id == identity_id)))
    reference_ids = []
    for photo in photos:
        if photo.photo_sha256 in present:
            raise DuplicateReference(
                f"{identity_id} already has a reference from the file with SHA-256 {photo.photo_sha256}."
            )
        present.add(photo.photo_sha256)
        reference_ids.append(reference_id := f"ref_{new_id()}")
        _insert(session, data_key, reference_id, photo, now)
    return reference_ids


def insert_hash_references(
    session: Session, data_key: DataKey, hashes: Sequence[PictureHash], new_id: Callable[[], str], now: datetime
) -> list[str]:
    """The ids of the new references of the key's identity, in the order of `hashes`, which are other than those it has.
    Raises ValueError for a hash that is none."""
    reference_ids = []
    for found in hashes:
        fingerprint = Fingerprint(found.pdq, found.quality, None, found.width, found.height, None)
        reference_ids.append(reference_id := f"ref_{new_id()}")
        session.execute(
            insert(ReferenceRow).values(
                id=reference_id,
                identity_id=data_key.identity_id,
                provenance=STAYED,
                photo_sha256=hashlib.sha256(found.pdq).hexdigest(),
                photo_width=found.width,
                photo_height=found.height,
                **dict.fromkeys(("face_x", "face_y", "face_width", "face_height", "quality"), 0.0),
                added_at=now,
                hash_only=True,
            )
        )
        put_fingerprint(session, data_key, reference_id, fingerprint)
    return reference_ids


def _insert(session: Session, data_key: DataKey, reference_id: str, photo: ReferencePhoto, now: datetime) -> None:
    x, y, width, height = photo.face_box
    session.execute(
        insert(ReferenceRow).values(
            id=reference_id,
            identity_id=data_key.identity_id,
            provenance=photo.provenance,
            photo_sha256=photo.photo_sha256,
            photo_width=photo.width,
            photo_height=photo.height,
            face_x=x,
            face_y=y,
            face_width=width,
            face_height=height,
            quality=photo.quality,
            added_at=now,
        )
    )
    sealed = data_key.seal(photo.photo_jpeg, photo_purpose(reference_id))
    session.execute(insert(ReferencePhotoRow).values(reference_id=reference_id, sealed=sealed))
    for pack, vector in photo.embeddings.items():
        put_embedding(session, data_key, reference_id, pack, vector)
    if photo.fingerprint is not None:
        put_fingerprint(session, data_key, reference_id, photo.fingerprint)


def put_embedding(session: Session, data_key: DataKey, reference_id: str, pack: str, vector: Embedding) -> None:
    """Seals the reference's embedding of the pack, in place of the one that it may have."""
    session.execute(delete(EmbeddingRow).where(EmbeddingRow.reference_id == reference_id, EmbeddingRow.pack == pack))
    sealed = data_key.seal(vector_bytes(vector), embedding_purpose(reference_id, pack))
    session.execute(
        insert(EmbeddingRow).values(reference_id=reference_id, pack=pack, dimension=len(vector), sealed=sealed)
    )


def put_fingerprint(session: Session, data_key: DataKey, reference_id: str, fingerprint: Fingerprint) -> None:
    """Seals the reference's fingerprint, in place of the one that it may have."""
    session.execute(delete(FingerprintRow).where(FingerprintRow.reference_id == reference_id))
    sealed = data_key.seal(fingerprint_bytes(fingerprint), fingerprint_purpose(reference_id))
    session.execute(insert(FingerprintRow).values(reference_id=reference_id, sealed=sealed))


def open_photo(session: Session, unwrap: Callable[[str, bytes], DataKey], reference_id: str) -> bytes:
    """The JPEG copy of a reference; `unwrap` as in records/gallery_state.py. Raises UnknownReference."""
    sealed_photo = (
        select(ReferenceRow.identity_id, IdentityKeyRow.wrapped, ReferencePhotoRow.sealed)
        .join(IdentityKeyRow, IdentityKeyRow.identity_id == ReferenceRow.identity_id)
        .join(ReferencePhotoRow, ReferencePhotoRow.reference_id == ReferenceRow.id)
        .where(ReferenceRow.id == reference_id)
    )
    row = session.execute(sealed_photo).one_or_none()
    if row is None:
        raise UnknownReference(f"There is no photo of a reference {reference_id}.")
    return unwrap(row.identity_id, row.wrapped).open(row.sealed, photo_purpose(reference_id))
