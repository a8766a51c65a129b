"""Moves references to another model pack: which lack its embedding, adding it, and dropping the former pack's."""

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import ColumnElement, delete, exists, func, select, tuple_
from sqlalchemy.orm import Session, aliased

from detector.identity import Embedding, Fingerprint
from records.enrolment import embedding_purpose, fingerprint_purpose, put_embedding, put_fingerprint
from records.errors import LastEmbedding, UnknownReference
from records.fingerprints import fingerprint_from
from records.gallery_changes import vector_from
from records.keys.keyring import DataKey
from records.references import check_unit_vector
from records.schema import EmbeddingRow, FingerprintRow, IdentityRow, ReferenceRow

PAGE = 1000

PackEmbedding = tuple[str, Embedding, Fingerprint | None]
"""Pack, unit vector float32 (D,), and the photo's fingerprint; None leaves the fingerprint that there is."""


def page_without(session: Session, pack: str, after: tuple[str, str]) -> Sequence[tuple[str, str]]:
    """Up to PAGE (identity id, reference id) after `after`, in order, of references without an embedding of `pack`,
    though there is a photo to make it from."""
    key = tuple_(ReferenceRow.identity_id, ReferenceRow.id)
    lacking = (
        select(ReferenceRow.identity_id, ReferenceRow.id)
        .where(key > after, ~ReferenceRow.hash_only, ~_embedded(EmbeddingRow.pack == pack))
        .order_by(ReferenceRow.identity_id, ReferenceRow.id)
        .limit(PAGE)
    )
    return [(identity_id, reference_id) for identity_id, reference_id in session.execute(lacking)]


def count_without(session: Session, pack: str) -> int:
    """References of active identities that cannot be searched with `pack`; see SearchableGallery.without_embedding."""
    lacking = (
        select(func.count())
        .select_from(ReferenceRow)
        .join(IdentityRow, IdentityRow.id == ReferenceRow.identity_id)
        .where(IdentityRow.status == "active", ReferenceRow.suspended_at.is_(None), ~ReferenceRow.hash_only)
        .where(~_embedded(EmbeddingRow.pack == pack))
    )
    return session.scalars(lacking).one()


def put_embeddings(session: Session, data_key: DataKey, embeddings: Mapping[str, PackEmbedding]) -> bool:
    """Whether anything is other than before. Raises UnknownReference, ValueError for what is no unit vector."""
    of_identity = select(ReferenceRow.id).where(ReferenceRow.identity_id == data_key.identity_id)
    unknown = sorted(embeddings.keys() - set(session.scalars(of_identity)))
    if unknown:
        raise UnknownReference(f"{data_key.identity_id} has no reference {unknown[0]}.")
    changed = False
    for reference_id, (pack, vector, fingerprint) in embeddings.items():
        check_unit_vector(pack, vector)
        present = _embedding(session, data_key, reference_id, pack)
        if present is None or not np.array_equal(vector, present):
            put_embedding(session, data_key, reference_id, pack, vector)
            changed = True
        if fingerprint is not None and fingerprint != _fingerprint(session, data_key, reference_id):
            put_fingerprint(session, data_key, reference_id, fingerprint)
            changed = True
    return changed


def identities_with(session: Session, pack: str) -> list[str]:
    """The ids of the identities that have an embedding of `pack`.

    Raises LastEmbedding when one of their references would have none without it.
    """
    _refuse_last(session, pack, EmbeddingRow.pack == pack)
    having = (
        select(ReferenceRow.identity_id)
        .join(EmbeddingRow, EmbeddingRow.reference_id == ReferenceRow.id)
        .where(EmbeddingRow.pack == pack)
    )
    return list(session.scalars(having.distinct().order_by(ReferenceRow.identity_id)))


def drop_embeddings(session: Session, identity_id: str, pack: str) -> int:
    """How many embeddings of `pack` the identity had. Raises LastEmbedding when a reference would be left with none."""
    references = select(ReferenceRow.id).where(ReferenceRow.identity_id == identity_id)
    chosen = (EmbeddingRow.pack == pack) & EmbeddingRow.reference_id.in_(references)
    _refuse_last(session, pack, chosen)
    return len(session.scalars(delete(EmbeddingRow).where(chosen).returning(EmbeddingRow.reference_id)).all())


def _refuse_last(session: Session, pack: str, chosen: ColumnElement[bool]) -> None:
    other = aliased(EmbeddingRow)
    elsewhere = exists().where(other.reference_id == EmbeddingRow.reference_id, other.pack != pack)
    bare = session.scalar(select(func.count()).select_from(EmbeddingRow).where(chosen, ~elsewhere))
    if bare:
        raise LastEmbedding(
            f"Without their embeddings of {pack}, {bare} references would have none and protect nobody; "
            "embed them with another pack first."
        )


def _embedded(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(EmbeddingRow.reference_id == ReferenceRow.id, *conditions)


def _embedding(session: Session, data_key: DataKey, reference_id: str, pack: str) -> Embedding | None:
    row = session.get(EmbeddingRow, (reference_id, pack))
    if row is None:
        return None
    return vector_from(data_key.open(row.sealed, embedding_purpose(reference_id, pack)), row.dimension)


def _fingerprint(session: Session, data_key: DataKey, reference_id: str) -> Fingerprint | None:
    row = session.get(FingerprintRow, reference_id)
    return None if row is None else fingerprint_from(data_key.open(row.sealed, fingerprint_purpose(reference_id)))
