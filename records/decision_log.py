"""The log of what moderators decided. Rows are only added; of the decisions about one review the newest stands.

The word on an account is its newest standing decision that tells whom it shows; `bad_picture` when none tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import ColumnElement, exists, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from records.schema import DecisionRow

Decision = Literal["confirmed", "not_this_person", "genuine_owner", "bad_picture"]
"""The account shows the identity and is not its owner's; it shows somebody else; it is the owner's; nobody can tell."""


@dataclass(frozen=True, slots=True)
class DecisionEntry:
    """One decision about an account and an identity. `stands` is false once the same review was decided anew, or the
    own account that it speaks of was forgotten."""

    account_id: str
    review_id: str | None
    decision: Decision
    decided_by: str
    decided_at: datetime
    note: str | None
    stands: bool


def write_decision(session: Session, identity_id: str, entry: DecisionEntry) -> None:
    """Adds the entry to the identity's; it stands from now on."""
    session.execute(
        insert(DecisionRow).values(
            identity_id=identity_id,
            account_id=entry.account_id,
            review_id=entry.review_id,
            decision=entry.decision,
            decided_by=entry.decided_by,
            decided_at=entry.decided_at,
            note=entry.note,
        )
    )


def decision_of_review(session: Session, identity_id: str, review_id: str) -> DecisionEntry | None:
    """The newest for the review and the identity; None when it is undecided."""
    return next(
        iter(_entries(session, 1, DecisionRow.identity_id == identity_id, DecisionRow.review_id == review_id)), None
    )


def last_word(session: Session, identity_id: str, account_id: str) -> Decision | None:
    """The word on the account; None when no decision stands."""
    standing = (DecisionRow.identity_id == identity_id, DecisionRow.account_id == account_id, _stands())
    word = session.scalar(select(DecisionRow.decision).where(*standing).order_by(*_weight()).limit(1))
    return cast(Decision | None, word)


def account_counts(session: Session, identity_id: str, after: datetime) -> Mapping[str, int]:
    """How many accounts were decided about after a moment, by the word on each in that time."""
    made = (DecisionRow.identity_id == identity_id, DecisionRow.decided_at > after, _stands())
    rank = func.row_number().over(partition_by=DecisionRow.account_id, order_by=_weight())
    ranked = select(DecisionRow.decision, rank.label("rank")).where(*made).subquery()
    words = select(ranked.c.decision, func.count()).where(ranked.c.rank == 1).group_by(ranked.c.decision)
    return {row[0]: row[1] for row in session.execute(words)}


def forget_owner(session: Session, identity_id: str, account_id: str, now: datetime) -> None:
    """Ends the standing of each `genuine_owner` of the pair, and of what it overruled: neither may speak up later."""
    pair = (DecisionRow.identity_id == identity_id, DecisionRow.account_id == account_id)
    owner = (DecisionRow.decision == "genuine_owner", _stands())
    newest = session.scalar(select(func.max(DecisionRow.id)).where(*pair, *owner))
    if newest is not None:
        ended = (*pair, DecisionRow.id <= newest, DecisionRow.ended_at.is_(None))
        session.execute(update(DecisionRow).where(*ended).values(ended_at=now))


def decisions(session: Session, identity_id: str, limit: int) -> tuple[DecisionEntry, ...]:
    """The newest decisions about the identity, newest first."""
    return _entries(session, limit, DecisionRow.identity_id == identity_id)


def _entries(session: Session, limit: int, *which: ColumnElement[bool]) -> tuple[DecisionEntry, ...]:
    newest = select(DecisionRow, _stands()).where(*which).order_by(DecisionRow.id.desc()).limit(limit)
    return tuple(
        DecisionEntry(
            account_id=row.account_id,
            review_id=row.review_id,
            decision=cast(Decision, row.decision),
            decided_by=row.decided_by,
            decided_at=row.decided_at,
            note=row.note,
            stands=stands,
        )
        for row, stands in session.execute(newest)
    )


def _weight() -> tuple[ColumnElement[bool], ColumnElement[int]]:
    """The order in which decisions speak: the first is the word."""
    return DecisionRow.decision == "bad_picture", DecisionRow.id.desc()


def _stands() -> ColumnElement[bool]:
    later = aliased(DecisionRow)
    return DecisionRow.ended_at.is_(None) & ~exists().where(
        later.identity_id == DecisionRow.identity_id,
        later.review_id == DecisionRow.review_id,  # never true for NULL: what names no review is never decided anew
        later.id > DecisionRow.id,
    )
