"""Copies of golden cases, mixed into the work: whoever gets one cannot tell it from any other case.

1. case_claims.py takes a new case for somebody, and asks here whether they are given a copy in its place; 2. they work
it as they would that case; 3. case_closing.py asks here to close it, and nothing follows from it; 4. golden_cases.py
tells its reviewer, and the leads. A copy is one person's: put back, it waits for them alone, until it is swept away.
"""

import json
import secrets
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from uuid import UUID, uuid4, uuid5

from sqlalchemy import Select, delete, exists, inspect, or_, select, update
from sqlalchemy.orm import Session, aliased

from records.casework import case_pictures
from records.casework.schema_around_cases import GoldenCaseRow
from records.casework.schema_cases import CaseDecisionRow, CasePictureRow, CaseRow, CaseSkipRow
from records.keys.keyring import MasterKey
from records.schema_audit import AuditRow

_CHANCE = secrets.SystemRandom().random
SHIFTED = ("account_created_at", "uploaded_at", "screened_at")
"""Moments of a case that are as long before its copy came as they were before itself."""
JUST_BEFORE = 60
"""Seconds: a copy came up to so long before the case whose place it takes."""
LEFT_FOR = timedelta(hours=1)
"""How long a copy waits for its reviewer after it was last in their hands."""
LINES = ("threshold", "sure_threshold")
"""Similarities that the policy of the day sets."""
_Copy = aliased(CaseRow)


class GoldenMix:
    """Decides who is tested, and with what. rate: share of the cases given out, 0..1; `chance` gives the next random
    number, 0 <= x < 1, which moderators must not foresee."""

    def __init__(self, master_key: MasterKey, rate: float, *, chance: Callable[[], float] = _CHANCE) -> None:
        self._master_key = master_key
        self._rate = rate
        self._chance = chance

    def instead_of(
        self, session: Session, row: CaseRow, moderator_id: str, queues: Collection[str], now: datetime
    ) -> CaseRow | None:
        """A copy that the person is given in place of the case, out of these queues; None when it is not its turn, or
        there is none that they have not seen. Raises MasterKeyError, SealBroken."""
        if self._chance() >= self._rate:
            return None
        fit = [one for one in session.execute(_fit_for(moderator_id, queues, now)) if _fits(one.evidence, row.evidence)]
        if not fit:
            return None
        golden_id, source_id, _ = fit[int(self._chance() * len(fit))]
        source = session.get_one(CaseRow, source_id)
        facts = {column.key: getattr(source, column.key) for column in inspect(CaseRow).column_attrs}
        # it came just before the case whose place it takes, which may be the next one they see
        opened_at = row.opened_at - timedelta(seconds=1 + int(self._chance() * JUST_BEFORE))
        aged = opened_at - source.opened_at
        facts |= {name: at and at + aged for name in SHIFTED for at in (facts[name],)}
        facts |= {
            "id": str(uuid5(UUID(int=0), str(uuid4()))),  # of the version that cases have
            "opened_at": opened_at,
            "golden_id": golden_id,
            "golden_for": moderator_id,
            "evidence": _of_today(source.evidence, row.evidence),
            "picture_group": None,
            "double_review": False,
            "state": "open",
            "stage": "first",
            "claimed_by": None,
            "claimed_until": None,
            "closed_at": None,
        }
        copy = CaseRow(**facts)
        session.add(copy)
        session.flush()
        kept_until = session.get_one(CasePictureRow, source_id).kept_until
        picture = case_pictures.find(session, source_id, self._master_key, now)
        assert picture is not None  # `_fit_for` asked for it
        case_pictures.put(session, copy.id, picture, self._master_key, now, kept_until)
        return copy


def given_back(moderator_id: str, queues: Collection[str]) -> Select[CaseRow]:
    """The copies that the person gave back to these queues, and has neither skipped nor decided."""
    return select(CaseRow).where(
        CaseRow.golden_for == moderator_id,
        CaseRow.state == "open",
        CaseRow.stage == "first",
        CaseRow.claimed_by.is_(None),
        CaseRow.queue.in_(queues),
        ~exists().where(CaseSkipRow.case_id == CaseRow.id, CaseSkipRow.moderator_id == moderator_id),
    )


def is_told(case: CaseRow, moderator_id: str) -> bool:
    """Whether the case is a copy, and they are told that there is no such case: it is closed, or was never theirs. To
    whom it was given an open copy is refused only what any case would be."""
    return case.golden_id is not None and (case.state == "closed" or case.golden_for != moderator_id)


def golden_source(session: Session, case_id: str) -> str | None:
    """The id of the case that this one is a copy of; None when it is none."""
    of_copy = select(GoldenCaseRow.source_id).join(CaseRow, CaseRow.golden_id == GoldenCaseRow.id)
    return session.scalar(of_copy.where(CaseRow.id == case_id))


def sweep(session: Session, now: datetime) -> int:
    """Erases the copies whose reviewers left them LEFT_FOR ago, those who undid a decision too; how many."""
    lately = exists().where(AuditRow.subject == CaseRow.id, AuditRow.at > now - LEFT_FOR)
    left = or_(CaseRow.claimed_until <= now - LEFT_FOR, CaseRow.claimed_until.is_(None) & ~lately)
    standing = exists().where(CaseDecisionRow.case_id == CaseRow.id, CaseDecisionRow.state != "undone")
    gone = delete(CaseRow).where(CaseRow.golden_id.is_not(None), CaseRow.state == "open", left, ~standing)
    return len(session.scalars(gone.returning(CaseRow.id)).all())


def retire(session: Session, source_id: str, now: datetime) -> None:
    """From now on no copies are made of the case."""
    in_use = (GoldenCaseRow.source_id == source_id, GoldenCaseRow.retired_at.is_(None))
    session.execute(update(GoldenCaseRow).where(*in_use).values(retired_at=now))


def due(now: datetime) -> Select[str, str]:
    """The decisions on copies whose grace period is over, with the copies: of an open one, whose turn would be somebody
    else's now, too."""
    return (
        select(CaseDecisionRow.id, CaseDecisionRow.case_id)
        .join(CaseRow, CaseRow.id == CaseDecisionRow.case_id)
        .where(
            CaseRow.golden_id.is_not(None),
            CaseRow.state != "closed",
            CaseDecisionRow.state.in_(("pending", "first")),
            or_(CaseDecisionRow.due_at <= now, CaseDecisionRow.due_at.is_(None)),
        )
    )


def close_copy(session: Session, copy: CaseRow, made: CaseDecisionRow, now: datetime) -> None:
    """Closes a copy, unless the decision was taken back: nobody learns from it, and the decision is `first` where it is
    right, else `overruled`."""
    if copy.state == "closed" or made.state not in ("pending", "first"):
        return
    expected = session.scalar(select(GoldenCaseRow.expected).where(GoldenCaseRow.id == copy.golden_id))
    made.state = "first" if made.decision == expected else "overruled"
    made.due_at = None
    copy.state, copy.closed_at, copy.claimed_by, copy.claimed_until = "closed", now, None, None


def _fit_for(moderator_id: str, queues: Collection[str], now: datetime) -> Select[str, str, str]:
    theirs = (CaseDecisionRow.decided_by == moderator_id, CaseDecisionRow.state != "undone")
    decided = exists().where(CaseDecisionRow.case_id == CaseRow.id, *theirs)
    done = exists().where(_Copy.golden_id == GoldenCaseRow.id, CaseDecisionRow.case_id == _Copy.id, *theirs)
    skipped = exists().where(CaseSkipRow.case_id == CaseRow.id, CaseSkipRow.moderator_id == moderator_id)
    return (
        select(GoldenCaseRow.id, GoldenCaseRow.source_id, CaseRow.evidence)
        .join(CaseRow, CaseRow.id == GoldenCaseRow.source_id)
        .join(CasePictureRow, CasePictureRow.case_id == CaseRow.id)
        .where(
            GoldenCaseRow.retired_at.is_(None),
            GoldenCaseRow.added_by != moderator_id,
            CasePictureRow.kept_until > now,
            CaseRow.state == "closed",
            CaseRow.queue.in_(queues),
            ~decided,
            ~done,
            ~skipped,
        )
        .order_by(GoldenCaseRow.id)
    )


def _fits(evidence: str, todays: str) -> bool:
    """Whether the case could be of today: by today's model pack, with no similarity on the other side of a line."""
    source, today = json.loads(evidence), json.loads(todays)
    if source.get("model_pack") != today.get("model_pack"):
        return False
    found = [one["similarity"] for one in source.get("findings", []) if one.get("similarity") is not None]
    lines = [(source[name], today[name]) for name in LINES if name in source and name in today]
    return all((similarity >= then) == (similarity >= now) for similarity in found for then, now in lines)


def _of_today(evidence: str, todays: str) -> str:
    """The evidence with today's lines, and today's gallery version, which grows from case to case."""
    source, today = json.loads(evidence), json.loads(todays)
    then, now = source.get("threshold"), today.get("threshold")
    findings = [one | {"threshold": now} if now and one.get("threshold") == then else one for one in source["findings"]]
    facts = {name: today[name] for name in (*LINES, "gallery_version") if name in today}
    return json.dumps(source | facts | {"findings": findings}, separators=(",", ":"))
