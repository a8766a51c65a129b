"""Reads identities with what is sealed of them opened: all page by page, or one as it stands in a transaction."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from detector.identity import Embedding, Fingerprint, Identity, Reference
from detector.verdict import IdentityKind
from records.enrolment import embedding_purpose, fingerprint_purpose
from records.fingerprints import fingerprint_from
from records.gallery_changes import vector_from
from records.keys.keyring import DataKey
from records.schema import (
    EmbeddingRow,
    FingerprintRow,
    IdentityKeyRow,
    IdentityRow,
    NegativePairRow,
    OwnAccountRow,
    ReferenceRow,
)

PAGE = 1000

Unwrap = Callable[[str, bytes], DataKey]
"""(identity id, wrapped data key) -> data key"""


class Head(NamedTuple):
    """The columns of HEADS."""

    id: str
    name: str
    kind: str
    sequence: int
    reach: int
    quarantined_at: datetime | None
    wrapped: bytes


HEADS = (
    select(
        IdentityRow.id,
        IdentityRow.name,
        IdentityRow.kind,
        IdentityRow.sequence,
        IdentityRow.reach,
        IdentityRow.quarantined_at,
        IdentityKeyRow.wrapped,
    )
    .join(IdentityKeyRow, IdentityKeyRow.identity_id == IdentityRow.id)
    .where(IdentityRow.status == "active")
    .order_by(IdentityRow.id)
)

Sealed = tuple[str, str, int, bytes]
"""Of an embedding: reference id, pack, dimension, sealed bytes."""


def active_identity(session: Session, identity_id: str, data_key: DataKey) -> Identity | None:
    """The identity as it stands; None unless it is active and has a reference that is not suspended."""
    heads = [Head(*row) for row in session.execute(HEADS.where(IdentityRow.id == identity_id))]
    return next(_opened(session, heads, lambda _id, _wrapped: data_key, None), None)


def active_identities(
    session: Session, unwrap: Unwrap, pack: str | None, *which: ColumnElement[bool]
) -> Iterator[Identity]:
    """All active identities by id, or those that meet the conditions `which`, with the references that have an
    embedding of `pack` (None: of any) and those whose photo stayed with the person."""
    heads_of = HEADS.where(*which).limit(PAGE)
    heads = [Head(*row) for row in session.execute(heads_of)]
    while heads:
        yield from _opened(session, heads, unwrap, pack)
        heads = [Head(*row) for row in session.execute(heads_of.where(IdentityRow.id > heads[-1].id))]


def comparisons(session: Session, pack: str) -> int:
    """With how many embeddings of `pack` a face is compared, templates included; see GalleryIndex.comparisons."""
    of_each = (
        select(func.count().label("embeddings"))
        .select_from(EmbeddingRow)
        .join(ReferenceRow, ReferenceRow.id == EmbeddingRow.reference_id)
        .join(IdentityRow, IdentityRow.id == ReferenceRow.identity_id)
        .where(IdentityRow.status == "active", ReferenceRow.suspended_at.is_(None), EmbeddingRow.pack == pack)
        .group_by(ReferenceRow.identity_id)
        .subquery()
    )
    several = case((of_each.c.embeddings > 1, 1), else_=0)
    return session.scalar(select(func.coalesce(func.sum(of_each.c.embeddings + several), 0))) or 0


def _opened(session: Session, heads: Sequence[Head], unwrap: Unwrap, pack: str | None) -> Iterator[Identity]:
    """The identities of `heads`, which are in order of id; one query for each kind of thing they have."""
    if not heads:
        return
    first, last = heads[0].id, heads[-1].id
    own_accounts = _accounts(session, OwnAccountRow, first, last)
    negative_accounts = _accounts(session, NegativePairRow, first, last)
    embeddings = _sealed_embeddings(session, first, last, pack)
    hash_only = _hash_only(session, first, last)
    fingerprints = {
        row.reference_id: row.sealed
        for row in session.execute(
            select(FingerprintRow.reference_id, FingerprintRow.sealed)
            .join(ReferenceRow, ReferenceRow.id == FingerprintRow.reference_id)
            .where(ReferenceRow.identity_id.between(first, last))
        )
    }
    for head in heads:
        if head.id in embeddings or head.id in hash_only:
            data_key = unwrap(head.id, head.wrapped)
            yield Identity(
                id=head.id,
                name=head.name,
                kind=cast(IdentityKind, head.kind),
                sequence=head.sequence,
                own_accounts=frozenset(own_accounts[head.id]),
                references=_references(data_key, embeddings.get(head.id, ()), hash_only.get(head.id, ()), fingerprints),
                negative_accounts=frozenset(negative_accounts[head.id]),
                reach=head.reach,
                quarantined=head.quarantined_at is not None,
            )


def _accounts(
    session: Session, table: type[OwnAccountRow] | type[NegativePairRow], first: str, last: str
) -> defaultdict[str, set[str]]:
    accounts = defaultdict[str, set[str]](set)
    for row in session.execute(
        select(table.identity_id, table.account_id).where(table.identity_id.between(first, last))
    ):
        accounts[row.identity_id].add(row.account_id)
    return accounts


def _sealed_embeddings(session: Session, first: str, last: str, pack: str | None) -> Mapping[str, list[Sealed]]:
    embeddings = (
        select(
            ReferenceRow.identity_id,
            EmbeddingRow.reference_id,
            EmbeddingRow.pack,
            EmbeddingRow.dimension,
            EmbeddingRow.sealed,
        )
        .join(EmbeddingRow, EmbeddingRow.reference_id == ReferenceRow.id)
        .where(ReferenceRow.identity_id.between(first, last), ReferenceRow.suspended_at.is_(None))
        .order_by(ReferenceRow.identity_id, ReferenceRow.added_at, ReferenceRow.id)
    )
    if pack is not None:
        embeddings = embeddings.where(EmbeddingRow.pack == pack)
    sealed = defaultdict[str, list[Sealed]](list)
    for row in session.execute(embeddings):
        sealed[row.identity_id].append((row.reference_id, row.pack, row.dimension, row.sealed))
    return sealed


def _hash_only(session: Session, first: str, last: str) -> Mapping[str, list[str]]:
    """Of each identity the ids of the references whose photo stayed with the person."""
    reference_ids = defaultdict[str, list[str]](list)
    for identity_id, reference_id in session.execute(
        select(ReferenceRow.identity_id, ReferenceRow.id)
        .where(ReferenceRow.identity_id.between(first, last), ReferenceRow.suspended_at.is_(None))
        .where(ReferenceRow.hash_only)
        .order_by(ReferenceRow.identity_id, ReferenceRow.added_at, ReferenceRow.id)
    ):
        reference_ids[identity_id].append(reference_id)
    return reference_ids


def _references(
    data_key: DataKey, embeddings: Sequence[Sealed], hash_only: Sequence[str], fingerprints: Mapping[str, bytes]
) -> tuple[Reference, ...]:
    by_reference: dict[str, dict[str, Embedding]] = {}
    for reference_id, pack, dimension, blob in embeddings:
        vector = vector_from(data_key.open(blob, embedding_purpose(reference_id, pack)), dimension)
        by_reference.setdefault(reference_id, {})[pack] = vector
    by_reference |= {reference_id: {} for reference_id in hash_only}
    return tuple(
        Reference(id=id_, embeddings=of_packs, fingerprint=_fingerprint(data_key, id_, fingerprints.get(id_)))
        for id_, of_packs in by_reference.items()
    )


def _fingerprint(data_key: DataKey, reference_id: str, sealed: bytes | None) -> Fingerprint | None:
    return None if sealed is None else fingerprint_from(data_key.open(sealed, fingerprint_purpose(reference_id)))
