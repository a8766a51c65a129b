"""Reads identities with their opened embeddings: all of them page by page, or one as it stands in a transaction."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from detector.identity import Embedding, Identity, Reference
from detector.verdict import IdentityKind
from records.enrolment import embedding_purpose
from records.gallery_changes import vector_from
from records.keys import DataKey
from records.schema import EmbeddingRow, IdentityKeyRow, IdentityRow, OwnAccountRow, ReferenceRow

PAGE = 1000

Unwrap = Callable[[str, bytes], DataKey]
"""(identity id, wrapped data key) -> data key"""


class Head(NamedTuple):
    """The columns of HEADS."""

    id: str
    name: str
    kind: str
    sequence: int
    wrapped: bytes


HEADS = (
    select(IdentityRow.id, IdentityRow.name, IdentityRow.kind, IdentityRow.sequence, IdentityKeyRow.wrapped)
    .join(IdentityKeyRow, IdentityKeyRow.identity_id == IdentityRow.id)
    .where(IdentityRow.status == "active")
    .order_by(IdentityRow.id)
)


def active_identity(session: Session, identity_id: str, data_key: DataKey) -> Identity | None:
    """The identity as it stands; None unless it is active and has a reference."""
    heads = [Head(*row) for row in session.execute(HEADS.where(IdentityRow.id == identity_id))]
    return next(_opened(session, heads, lambda _id, _wrapped: data_key, None), None)


def active_identities(session: Session, unwrap: Unwrap, pack: str | None) -> Iterator[Identity]:
    """All active identities by id, with the references that have an embedding of `pack` (None: of any)."""
    heads = [Head(*row) for row in session.execute(HEADS.limit(PAGE))]
    while heads:
        yield from _opened(session, heads, unwrap, pack)
        following = HEADS.where(IdentityRow.id > heads[-1].id).limit(PAGE)
        heads = [Head(*row) for row in session.execute(following)]


def _opened(session: Session, heads: Sequence[Head], unwrap: Unwrap, pack: str | None) -> Iterator[Identity]:
    """The identities of `heads`, which are in order of id; one query for each kind of thing they have."""
    if not heads:
        return
    first, last = heads[0].id, heads[-1].id
    own_accounts = defaultdict[str, set[str]](set)
    for own in session.execute(
        select(OwnAccountRow.identity_id, OwnAccountRow.account_id).where(
            OwnAccountRow.identity_id.between(first, last)
        )
    ):
        own_accounts[own.identity_id].add(own.account_id)
    embeddings = (
        select(
            ReferenceRow.identity_id,
            EmbeddingRow.reference_id,
            EmbeddingRow.pack,
            EmbeddingRow.dimension,
            EmbeddingRow.sealed,
        )
        .join(EmbeddingRow, EmbeddingRow.reference_id == ReferenceRow.id)
        .where(ReferenceRow.identity_id.between(first, last))
        .order_by(ReferenceRow.identity_id, ReferenceRow.added_at, ReferenceRow.id)
    )
    if pack is not None:
        embeddings = embeddings.where(EmbeddingRow.pack == pack)
    sealed = defaultdict[str, list[tuple[str, str, int, bytes]]](list)
    for row in session.execute(embeddings):
        sealed[row.identity_id].append((row.reference_id, row.pack, row.dimension, row.sealed))
    for head in heads:
        if head.id in sealed:
            yield Identity(
                id=head.id,
                name=head.name,
                kind=cast(IdentityKind, head.kind),
                sequence=head.sequence,
                own_accounts=frozenset(own_accounts[head.id]),
                references=_references(unwrap(head.id, head.wrapped), sealed[head.id]),
            )


def _references(data_key: DataKey, sealed: Sequence[tuple[str, str, int, bytes]]) -> tuple[Reference, ...]:
    by_reference: dict[str, dict[str, Embedding]] = {}
    for reference_id, pack, dimension, blob in sealed:
        vector = vector_from(data_key.open(blob, embedding_purpose(reference_id, pack)), dimension)
        by_reference.setdefault(reference_id, {})[pack] = vector
    return tuple(Reference(id=id_, embeddings=embeddings) for id_, embeddings in by_reference.items())
