"""What the gallery holds, for people to read: names, counts and details, nothing biometric."""

from collections import defaultdict
from typing import cast

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from detector.verdict import IdentityKind
from records.errors import AmbiguousName
from records.references import IdentityDetail, IdentityStatus, IdentitySummary, ReferenceDetail
from records.schema import EmbeddingRow, FingerprintRow, IdentityRow, NegativePairRow, OwnAccountRow, ReferenceRow


def summaries(session: Session, *which: ColumnElement[bool]) -> list[IdentitySummary]:
    """The identities that meet the conditions `which`, by name."""
    chosen = select(IdentityRow.id).where(*which)
    references = _counts(session, ReferenceRow, chosen)
    own_accounts = _counts(session, OwnAccountRow, chosen)
    negative_pairs = _counts(session, NegativePairRow, chosen)
    packs = (
        select(ReferenceRow.identity_id, EmbeddingRow.pack)
        .join(EmbeddingRow, EmbeddingRow.reference_id == ReferenceRow.id)
        .where(ReferenceRow.identity_id.in_(chosen))
        .distinct()
        .order_by(EmbeddingRow.pack)
    )
    packs_of = defaultdict[str, list[str]](list)
    for identity_id, pack in session.execute(packs):
        packs_of[identity_id].append(pack)
    return [
        IdentitySummary(
            id=row.id,
            name=row.name,
            kind=cast(IdentityKind, row.kind),
            status=cast(IdentityStatus, row.status),
            references=references.get(row.id, 0),
            own_accounts=own_accounts.get(row.id, 0),
            packs=tuple(packs_of[row.id]),
            negative_pairs=negative_pairs.get(row.id, 0),
            reach=row.reach,
            quarantined_at=row.quarantined_at,
            quarantine_reason=row.quarantine_reason,
        )
        for row in session.scalars(select(IdentityRow).where(*which).order_by(IdentityRow.name, IdentityRow.id))
    ]


def find(session: Session, id_or_name: str) -> IdentitySummary | None:
    """By id, else by name. Raises AmbiguousName."""
    found = summaries(session, IdentityRow.id == id_or_name) or summaries(session, IdentityRow.name == id_or_name)
    if len(found) > 1:
        ids = ", ".join(sorted(one.id for one in found))
        raise AmbiguousName(f"{len(found)} identities are named {id_or_name}; choose one by its id: {ids}.")
    return found[0] if found else None


def detail(session: Session, identity_id: str) -> IdentityDetail | None:
    row = session.get(IdentityRow, identity_id)
    if row is None:
        return None
    itself = select(IdentityRow.id).where(IdentityRow.id == identity_id)
    own_accounts = (
        select(OwnAccountRow.account_id)
        .where(OwnAccountRow.identity_id == identity_id)
        .order_by(OwnAccountRow.account_id)
    )
    return IdentityDetail(
        id=row.id,
        name=row.name,
        kind=cast(IdentityKind, row.kind),
        status=cast(IdentityStatus, row.status),
        sequence=row.sequence,
        created_at=row.created_at,
        updated_at=row.updated_at,
        own_accounts=tuple(session.scalars(own_accounts)),
        references=_reference_details(session, identity_id),
        negative_pairs=_counts(session, NegativePairRow, itself).get(identity_id, 0),
        reach=row.reach,
        quarantined_at=row.quarantined_at,
        quarantine_reason=row.quarantine_reason,
    )


def _counts(
    session: Session,
    table: type[ReferenceRow] | type[OwnAccountRow] | type[NegativePairRow],
    chosen: Select[str],
) -> dict[str, int]:
    """How many rows of the table each of the chosen identities has; those without one are missing."""
    counts = select(table.identity_id, func.count()).where(table.identity_id.in_(chosen)).group_by(table.identity_id)
    return {row[0]: row[1] for row in session.execute(counts)}


def _reference_details(session: Session, identity_id: str) -> tuple[ReferenceDetail, ...]:
    packs_of = defaultdict[str, list[str]](list)
    packs = (
        select(EmbeddingRow.reference_id, EmbeddingRow.pack)
        .join(ReferenceRow, ReferenceRow.id == EmbeddingRow.reference_id)
        .where(ReferenceRow.identity_id == identity_id)
        .order_by(EmbeddingRow.pack)
    )
    for reference_id, pack in session.execute(packs):
        packs_of[reference_id].append(pack)
    fingerprinted = set(
        session.scalars(
            select(FingerprintRow.reference_id)
            .join(ReferenceRow, ReferenceRow.id == FingerprintRow.reference_id)
            .where(ReferenceRow.identity_id == identity_id)
        )
    )
    rows = (
        select(ReferenceRow)
        .where(ReferenceRow.identity_id == identity_id)
        .order_by(ReferenceRow.added_at, ReferenceRow.id)
    )
    return tuple(
        ReferenceDetail(
            id=row.id,
            provenance=row.provenance,
            photo_sha256=row.photo_sha256,
            width=row.photo_width,
            height=row.photo_height,
            face_box=None if row.hash_only else (row.face_x, row.face_y, row.face_width, row.face_height),
            quality=row.quality,
            packs=tuple(packs_of[row.id]),
            added_at=row.added_at,
            fingerprinted=row.id in fingerprinted,
            suspended_at=row.suspended_at,
        )
        for row in session.scalars(rows)
    )
