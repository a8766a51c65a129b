"""Reads identities with what is sealed of them opened: all page by page, or one as it stands in a transaction."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from detector.identity import Embedding, Fingerprint, Identity, Reference
from detector.verdict import IdentityKind
from records.enrolment import embedding_purpose, fingerprint_purpose
from records.fingerprints import fingerprint_from
from records.gallery_changes import vector_from
from records.keys import DataKey
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
    embedding of `pack` (None: of any)."""
    heads_of = HEADS.where(*which).limit(PAGE)
    heads = [Head(*row) for row in session.execute(heads_of)]
    while heads:
        yield from _opened(session, heads, unwrap, pack)
        heads = [Head(*row) for row in session.execute(heads_of.where(IdentityRow.id > heads[-1].id))]


def _opened(session: Session, heads: Sequence[Head], unwrap: Unwrap, pack: str | None) -> Iterator[Identity]:
    """The identities of `heads`, which are in order of id; one query for each kind of thing they have."""
    if not heads:
        return
    first, last = heads[0].id, heads[-1].id
    own_accounts = _accounts(session, OwnAccountRow, first, last)
    negative_accounts = _accounts(session, NegativePairRow, first, last)
    embeddings = _sealed_embeddings(session, first, last, pack)
    fingerprints = {
        row.reference_id: row.sealed
        for row in session.execute(
            select(FingerprintRow.reference_id, FingerprintRow.sealed)
            .join(ReferenceRow, ReferenceRow.id == FingerprintRow.reference_id)
            .where(ReferenceRow.identity_id.between(first, last))
        )
    }
    for head in heads:
        if head.id in embeddings:
            yield Identity(
                id=head.id,
                name=head.name,
                kind=cast(IdentityKind, head.kind),
                sequence=head.sequence,
                own_accounts=frozenset(own_accounts[head.id]),
                references=_references(unwrap(head.id, head.wrapped), embeddings[head.id], fingerprints),
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


def _references(
    data_key: DataKey, embeddings: Sequence[Sealed], fingerprints: Mapping[str, bytes]
) -> tuple[Reference, ...]:
    by_reference: dict[str, dict[str, Embedding]] = {}
    for reference_id, pack, dimension, blob in embeddings:
        vector = vector_from(data_key.open(blob, embedding_purpose(reference_id, pack)), dimension)
        by_reference.setdefault(reference_id, {})[pack] = vector
    return tuple(
        Reference(id=id_, embeddings=of_packs, fingerprint=_fingerprint(data_key, id_, fingerprints.get(id_)))
        for id_, of_packs in by_reference.items()
    )


def _fingerprint(data_key: DataKey, reference_id: str, sealed: bytes | None) -> Fingerprint | None:
    return None if sealed is None else fingerprint_from(data_key.open(sealed, fingerprint_purpose(reference_id)))
