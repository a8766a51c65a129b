"""Puts reference photos into the database: the facts in the clear, the photo and its embeddings sealed."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from records.errors import DuplicateReference
from records.gallery_changes import vector_bytes
from records.keys import DataKey
from records.references import ReferencePhoto
from records.schema import EmbeddingRow, ReferencePhotoRow, ReferenceRow


def embedding_purpose(reference_id: str, pack: str) -> str:
    """What an embedding is sealed for."""
    return f"embedding:{reference_id}:{pack}"


def photo_purpose(reference_id: str) -> str:
    """What a photo is sealed for."""
    return f"photo:{reference_id}"


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
        sealed = data_key.seal(vector_bytes(vector), embedding_purpose(reference_id, pack))
        session.execute(
            insert(EmbeddingRow).values(reference_id=reference_id, pack=pack, dimension=len(vector), sealed=sealed)
        )
