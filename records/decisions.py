"""What moderators decide about a case, and what follows from it, in one transaction with the change of the gallery.

`not_this_person` makes account and identity a negative pair, `genuine_owner` makes the account the identity's own:
both silence the pair. `confirmed` takes both back, so that the impostor's next picture is seen. `bad_picture` teaches
nothing. About one account and one identity the last word counts; a review decided anew takes back what it taught.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from records import decision_log, quarantine
from records.announcer import Announcer, utc_now
from records.audit import AuditLog
from records.database import Database
from records.decision_log import Decision, DecisionEntry
from records.errors import ReviewOfAnother
from records.keys.keyring import MasterKey
from records.platform_ids import checked_account_id, checked_review_id
from records.quarantine import BurstRule
from records.schema import IdentityRow, NegativePairRow, OwnAccountRow

__all__ = ["BurstRule", "Consequences", "Decision", "DecisionEntry", "DecisionRecords"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Consequences:
    """How things stand after a decision: the account is known to be somebody else's than the identity's; it is the
    identity's own; what the identity matches waits in quarantine."""

    negative_pair: bool
    own_account: bool
    quarantined: bool


class DecisionRecords:
    """Decisions about identities. Every method is one transaction and may raise DatabaseAway or SchemaMismatch; those
    that change something raise UnknownIdentity, and MasterKeyError when the master key is not the database's.

    `clock` gives the moment, aware.
    """

    def __init__(
        self, database: Database, master_key: MasterKey, rule: BurstRule, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._rule = rule
        self._clock = clock
        self._announcer = Announcer(database, master_key, clock)
        self._audit = AuditLog(database, clock=clock)

    def record(
        self,
        identity_id: str,
        account_id: str,
        decision: Decision,
        decided_by: str,
        review_id: str | None = None,
        note: str | None = None,
    ) -> Consequences:
        """Writes the decision down and draws its consequences; announces them when the gallery is other than before.

        The decision that stands for a review, once more, changes nothing; another one replaces it. Without a review,
        what is the last word on the pair already changes nothing. Own accounts that were entered by hand stay whatever
        is decided. Raises ReviewOfAnother when the review is about another account, UnfitId for a blank id.
        """
        checked_account_id(account_id)
        if review_id is not None:
            checked_review_id(review_id)
        with self._announcer.holding(identity_id) as (session, data_key):
            reason = None
            before = None if review_id is None else decision_log.decision_of_review(session, identity_id, review_id)
            if before is not None and before.account_id != account_id:
                raise ReviewOfAnother(f"The review {review_id} is about account {before.account_id}, not {account_id}.")
            if review_id is None:
                said = decision_log.last_word(session, identity_id, account_id)
            else:
                said = before.decision if before is not None and before.stands else None
            if decision != said:
                now = self._clock()
                entry = DecisionEntry(account_id, review_id, decision, decided_by, now, note, stands=True)
                decision_log.write_decision(session, identity_id, entry)
                teaches = decision != "bad_picture" or before is not None
                taught = teaches and _teach(session, identity_id, entry)
                reason = quarantine.begin_on_burst(session, identity_id, self._rule, now)
                if taught or reason is not None:
                    self._announcer.announce(session, identity_id, data_key)
            consequences = _standing(session, identity_id, account_id)
        if reason is not None:
            log.warning("identity quarantined", extra={"identity_id": identity_id, "reason": reason})
        return consequences

    def lift_quarantine(self, identity_id: str, *, by: str | None = None) -> bool:
        """Whether the identity was in quarantine; only decisions made after this count towards the next. With `by`, an
        actor of the audit log, it is noted there."""
        with self._announcer.holding(identity_id) as (session, data_key):
            lifted = quarantine.end(session, identity_id, self._clock())
            if lifted:
                self._announcer.announce(session, identity_id, data_key)
                if by is not None:
                    self._audit.append_in(session, by, "identity_changed", identity_id, {"quarantined": False})
        return lifted

    def history(self, identity_id: str, limit: int = 100) -> tuple[DecisionEntry, ...]:
        """The newest decisions about the identity, newest first; empty for an identity that is unknown."""
        with self._database.read() as session:
            return decision_log.decisions(session, identity_id, limit)


def _teach(session: Session, identity_id: str, entry: DecisionEntry) -> bool:
    """Whether the pair is silenced by other means than before, now that the last word on it may be another."""
    word = decision_log.last_word(session, identity_id, entry.account_id)
    negative = _keep(session, NegativePairRow, identity_id, entry, word == "not_this_person")
    own = _keep(session, OwnAccountRow, identity_id, entry, word == "genuine_owner")
    return negative or own


def _keep(
    session: Session,
    table: type[NegativePairRow] | type[OwnAccountRow],
    identity_id: str,
    entry: DecisionEntry,
    kept: bool,
) -> bool:
    """Sees to it that the pair is in the table, or is not unless it was entered by hand; whether that took a change."""
    pair = (table.identity_id == identity_id, table.account_id == entry.account_id)
    if not kept:
        learned = delete(table).where(*pair, table.learned_at.is_not(None))
        return session.scalar(learned.returning(table.account_id)) is not None
    if session.get(table, (identity_id, entry.account_id)) is not None:
        return False
    row = insert(table).values(identity_id=identity_id, account_id=entry.account_id, learned_at=entry.decided_at)
    session.execute(row)
    return True


def _standing(session: Session, identity_id: str, account_id: str) -> Consequences:
    return Consequences(
        negative_pair=session.get(NegativePairRow, (identity_id, account_id)) is not None,
        own_account=session.get(OwnAccountRow, (identity_id, account_id)) is not None,
        quarantined=session.get_one(IdentityRow, identity_id).quarantined_at is not None,
    )
