"""Claims: an open case is in one person's hands at a time, and a person holds one case, or those of one campaign.

A claim lasts for a lease, which the browser renews. Once the lease has ended anybody may take the case; until somebody
does, it stays with its holder, who may have closed a laptop for a minute. Who takes another case gives back the first.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVarTuple

from sqlalchemy import ColumnElement, Exists, Select, and_, exists, literal, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from records.announcer import utc_now
from records.audit import AuditLog
from records.casework.cases import Case, case_of, unknown_case
from records.casework.golden_copies import GoldenMix, given_back, golden_source
from records.casework.queues import QueueRule, stages_of
from records.casework.schema_around_cases import GoldenCaseRow
from records.casework.schema_cases import CaseDecisionRow, CaseRow, CaseSkipRow
from records.database import Database
from records.errors import ClaimLost, ClaimRefused, ReasonMissing
from records.people.schema_people import ModeratorRow

Columns = TypeVarTuple("Columns")

_Copy = aliased(CaseRow)
_FREED = {"claimed_by": None, "claimed_until": None}


class CaseClaims:
    """Every method is one transaction, with its entry in the audit log, and may raise DatabaseAway or SchemaMismatch.
    `clock` gives the moment, aware."""

    def __init__(
        self,
        database: Database,
        queues: Sequence[QueueRule],
        audit: AuditLog,
        *,
        lease: timedelta,
        golden: GoldenMix | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`golden` puts tests among the cases that are given out, but for leads, who know the answers; None: there are
        none."""
        self._database = database
        self._rules = {rule.name: rule for rule in queues}
        self._audit = audit
        self._lease = lease
        self._golden = golden
        self._clock = clock

    def next(self, moderator_id: str, role: str, queue: str | None = None) -> Case | None:
        """The case that they hold already, else the most urgent one that is free, of one queue or of all that the role
        works: claimed from now on. None when nothing waits for them."""
        now = self._clock()
        with self._database.write() as session:
            held = hold(session, moderator_id)
            row = next((one for one in held if self._keeps(one, moderator_id, role)), None)
            theirs = [name for name in self._rules if queue in (None, name) and self._stages(name, role)]
            if row is None:  # a test that they gave back was the most urgent case, and is so still
                row = session.scalars(given_back(moderator_id, theirs).with_for_update(skip_locked=True)).first()
            if row is None:
                # the most urgent queue first; a case that another is about to take is passed over, not waited for
                for name in self._urgent_first(session, moderator_id, role, queue, now):
                    first = _first(select(CaseRow).where(*self._free(name, moderator_id, role, now)))
                    row = session.scalar(first.with_for_update(skip_locked=True))
                    if row is not None:
                        break
                if row is not None and self._golden is not None and role != "lead":
                    row = self._golden.instead_of(session, row, moderator_id, theirs, now) or row
            if row is None:
                return None
            return self._take(session, row, held, moderator_id, now)

    def peek(self, moderator_id: str, role: str, queue: str | None = None) -> Case | None:
        """Which case `next` would find if they held none, as things stand; it stays free."""
        now = self._clock()
        with self._database.read() as session:
            for name in self._urgent_first(session, moderator_id, role, queue, now):
                first = _first(select(CaseRow).where(*self._free(name, moderator_id, role, now)))
                return case_of(session.scalars(first).one())
        return None

    def claim(self, case_id: str, moderator_id: str, role: str, through: str | None = None) -> Case:
        """The particular case, claimed from now on; theirs already, the lease begins anew. `through`: the program that
        did it for them, as the audit log's actor. Raises UnknownCase, ClaimRefused."""
        now = self._clock()
        with self._database.write() as session:
            held = hold(session, moderator_id, case_id)
            row = next((one for one in held if one.id == case_id), None)
            if row is None or row.golden_for not in (None, moderator_id):
                raise unknown_case(case_id)
            if refused := self._refusal(session, row, moderator_id, role, now):
                raise refused
            return self._take(session, row, held, moderator_id, now, through)

    def may_claim(self, case_id: str, moderator_id: str, role: str) -> bool:
        """Whether `claim` would give them the case just now."""
        with self._database.read() as session:
            row = session.get(CaseRow, case_id)
            if row is None or row.golden_for not in (None, moderator_id):
                return False
            return self._refusal(session, row, moderator_id, role, self._clock()) is None

    def renew(self, case_id: str, moderator_id: str) -> datetime:
        """The moment at which the lease that begins now, of all that they hold, will end. Raises ClaimLost."""
        until = self._clock() + self._lease
        with self._database.write() as session:
            renewed = update(CaseRow).where(CaseRow.claimed_by == moderator_id).values(claimed_until=until)
            if case_id not in session.scalars(renewed.returning(CaseRow.id)).all():
                raise claim_lost()
        return until

    def require(self, case_id: str, moderator_id: str) -> Case:
        """The case, if it is in their hands. Raises ClaimLost."""
        with self._database.read() as session:
            row = session.scalar(select(CaseRow).where(_theirs(case_id, moderator_id)))
            if row is None:
                raise claim_lost()
            return case_of(row)

    def release(self, case_id: str, moderator_id: str) -> None:
        """Gives the case back to its queue; nothing happens when it is not theirs."""
        with self._database.write() as session:
            session.execute(update(CaseRow).where(_theirs(case_id, moderator_id)).values(_FREED))

    def skip(self, case_id: str, moderator_id: str, reason: str) -> None:
        """Gives the case back, and `next` never offers it to them again. Raises ReasonMissing, ClaimLost."""
        if not (reason := reason.strip()):
            raise ReasonMissing("A case is passed on with a reason; say why.")
        with self._database.write() as session:
            freed = update(CaseRow).where(_theirs(case_id, moderator_id)).values(_FREED)
            if session.scalar(freed.returning(CaseRow.id)) is None:
                raise claim_lost()
            source_id = golden_source(session, case_id)  # which they are not tested with again
            for skipped_id in filter(None, (case_id, source_id)):
                facts = {"moderator_id": moderator_id, "reason": reason, "skipped_at": self._clock()}
                # they may have skipped it before and come back to it by search
                session.merge(CaseSkipRow(case_id=skipped_id, **facts))
            session.flush()
            self._audit.append_in(session, moderator_id, "case_skipped", case_id, {"reason": reason})

    def _refusal(
        self, session: Session, row: CaseRow, moderator_id: str, role: str, now: datetime
    ) -> ClaimRefused | None:
        """Why the person may not have the case."""
        if row.state != "open":
            return ClaimRefused("not_open", "The case is decided already; take the next one.")
        left_over = select(and_(literal(role == "lead"), _nobody_is_left(self._roles(row.queue)))).where(
            CaseRow.id == row.id
        )
        known = decided_by(moderator_id, row.id) | and_(
            literal(row.stage != "first"), tested_with(moderator_id, row.id)
        )
        if session.scalar(select(known)) and not session.scalar(left_over):
            return ClaimRefused("decided_by_you", "You have decided on this case; now it is another person's turn.")
        if row.stage not in self._stages(row.queue, role):
            if row.stage == "lead":
                return ClaimRefused("lead_only", "The case waits for a lead; take the next one.")
            return ClaimRefused("not_your_queue", f"Your role does not work the queue {row.queue}; take another.")
        if row.claimed_by != moderator_id and not is_free(row, now):
            return ClaimRefused("held_by_another", "Somebody else is working on the case; take the next one.")
        return None

    def _take(
        self,
        session: Session,
        row: CaseRow,
        held: Sequence[CaseRow],
        moderator_id: str,
        now: datetime,
        through: str | None = None,
    ) -> Case:
        known = row.claimed_by == moderator_id
        take(row, held, moderator_id, now + self._lease)
        session.flush()
        if not known:
            said = {"acting_for": moderator_id} if through else {}
            self._audit.append_in(session, through or moderator_id, "case_claimed", row.id, said)
        return case_of(row)

    def _stages(self, queue: str, role: str) -> Sequence[str]:
        return stages_of(self._rules[queue], role) if queue in self._rules else ()

    def _roles(self, queue: str) -> Sequence[str]:
        return self._rules[queue].roles if queue in self._rules else ()

    def _keeps(self, row: CaseRow, moderator_id: str, role: str) -> bool:
        return row.claimed_by == moderator_id and row.stage in self._stages(row.queue, role)

    def _urgent_first(
        self, session: Session, moderator_id: str, role: str, queue: str | None, now: datetime
    ) -> list[str]:
        """The queues in which a case is free for them, that with the most urgent one first."""
        place = select(CaseRow.queue, CaseRow.priority, CaseRow.opened_at)
        names = [name for name in self._rules if queue in (None, name) and self._stages(name, role)]
        free = (_first(place.where(*self._free(name, moderator_id, role, now))) for name in names)
        found = [row for first in free for row in session.execute(first)]
        return [row.queue for row in sorted(found, key=lambda row: (-row.priority, row.opened_at))]

    def _free(self, queue: str, moderator_id: str, role: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
        """The conditions of the queue's cases that they may take now."""
        ended = and_(CaseRow.claimed_until <= now, CaseRow.claimed_by != moderator_id)
        return (
            CaseRow.state == "open",
            CaseRow.queue == queue,
            CaseRow.stage.in_(self._stages(queue, role)),
            CaseRow.golden_id.is_(None),
            or_(CaseRow.claimed_by.is_(None), ended),
            ~skipped_by(moderator_id),
            or_(
                CaseRow.stage == "first",
                ~(decided_by(moderator_id, CaseRow.id) | tested_with(moderator_id, CaseRow.id)),
                and_(literal(role == "lead"), _nobody_is_left(self._roles(queue))),
            ),
        )


def hold(session: Session, moderator_id: str, *case_ids: str) -> Sequence[CaseRow]:
    """What the person has in hand, and the cases if they exist: nobody changes them until the transaction ends."""
    # two tabs of one person would each find nothing in hand, and take a case each
    session.execute(select(ModeratorRow.id).where(ModeratorRow.id == moderator_id).with_for_update(key_share=True))
    wanted = {*session.scalars(select(CaseRow.id).where(CaseRow.claimed_by == moderator_id)), *case_ids}
    if not wanted:
        return []
    # in order of id: two persons who take a case from each other would otherwise wait for each other
    return session.scalars(select(CaseRow).where(CaseRow.id.in_(wanted)).order_by(CaseRow.id).with_for_update()).all()


def take(row: CaseRow, held: Sequence[CaseRow], moderator_id: str, until: datetime) -> None:
    """Puts the case into the person's hands, and gives back what else they held."""
    for other in held:
        if other.claimed_by == moderator_id:
            give_back(other)
    row.claimed_by, row.claimed_until = moderator_id, until


def give_back(row: CaseRow) -> None:
    row.claimed_by = row.claimed_until = None


def claim_lost() -> ClaimLost:
    return ClaimLost("The case is no longer in your hands; take the next one, or search for it to claim it again.")


def is_free(row: CaseRow, now: datetime) -> bool:
    """Whether nobody has the case, or only somebody whose lease has ended."""
    return row.claimed_until is None or row.claimed_until <= now


def _first(free: Select[*Columns]) -> Select[*Columns]:
    return free.order_by(CaseRow.priority.desc(), CaseRow.opened_at).limit(1)


def _theirs(case_id: str, moderator_id: str) -> ColumnElement[bool]:
    return and_(CaseRow.id == case_id, CaseRow.claimed_by == moderator_id)


def skipped_by(moderator_id: str) -> ColumnElement[bool]:
    """Whether the person passed the case of CaseRow on."""
    return exists().where(CaseSkipRow.case_id == CaseRow.id, CaseSkipRow.moderator_id == moderator_id)


def _nobody_is_left(roles: Sequence[str]) -> ColumnElement[bool]:
    """Whether the case waits for a lead or has been appealed, and all who could decide have decided on it before: then
    any lead may, or it would wait for ever. `roles`: who works the queue."""
    may_judge = or_(ModeratorRow.role == "lead", and_(CaseRow.stage == "appeal", ModeratorRow.role.in_(roles)))
    decided = exists().where(
        CaseDecisionRow.case_id == CaseRow.id,
        CaseDecisionRow.decided_by == ModeratorRow.id,
        CaseDecisionRow.state != "undone",
    )
    # said, since of two levels SQLAlchemy would find out one by itself
    decided = decided.correlate(CaseRow, ModeratorRow)
    tested = tested_with(ModeratorRow.id, CaseRow.id).correlate(CaseRow, ModeratorRow)
    somebody = exists().where(ModeratorRow.disabled_at.is_(None), may_judge, ~decided, ~tested).correlate(CaseRow)
    return and_(CaseRow.stage.in_(("lead", "appeal")), ~somebody)


def decided_by(moderator_id: str, case_id: str | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Whether a decision of theirs on the case stands."""
    return exists().where(
        CaseDecisionRow.case_id == case_id,
        CaseDecisionRow.decided_by == moderator_id,
        CaseDecisionRow.state != "undone",
    )


def tested_with(moderator_id: str | InstrumentedAttribute[str], case_id: str | InstrumentedAttribute[str]) -> Exists:
    """Whether they were given a copy of the case, and so were told, or will be, what its right answer is."""
    return exists().where(
        _Copy.golden_for == moderator_id,
        _Copy.golden_id == GoldenCaseRow.id,
        GoldenCaseRow.source_id == case_id,
    )
