"""What cases hold of a person who is erased: their pictures, what moderators and accounts' holders wrote, and texts
that may name them.

What is left of a case is a record without the person: which account, what was decided and when, and ids that name
nobody any more. A case that waited for a decision about nobody else is closed without one.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from records.casework.appeals import UNDER_APPEAL, is_under_appeal
from records.casework.golden_copies import retire
from records.casework.schema_around_cases import AppealRow, CoopReportRow, GoldenCaseRow
from records.casework.schema_cases import CaseCommentRow, CaseDecisionRow, CasePictureRow, CaseRow
from records.reports.schema_reports import ErasureRow
from records.schema import OwnAccountRow

AT_ONCE = 500
JUST_NOW = timedelta(hours=1)
"""For how long it is seen whether a case names somebody whose erasure it crossed."""
ANSWERED = AppealRow.state != "open"
UNLINKED = CaseRow.identity_id.is_(None) & CaseRow.evidence.contains('"findings":[]')
"""Cases of own accounts as `_unlink` leaves them; any other case has a finding."""


def erase_from_cases(session: Session, identity_id: str, now: datetime) -> Counter[str]:
    """Erases the identity from all cases within a write transaction; counts what it erased and closed.

    A case under appeal stays open: the account's holder has a right to an answer, given without what was erased. Cases
    of the identity's own accounts name it no more: the two together would tell who it was. Call it before the identity
    is erased.
    """
    counts: Counter[str] = Counter()
    _drop_copies(session, identity_id)
    own = _own_accounts(session, identity_id)
    named = CaseRow.evidence.contains(identity_id, autoescape=True)
    about = or_(CaseRow.identity_id == identity_id, (CaseRow.state != "closed") & named)
    case_ids = session.scalars(select(CaseRow.id).where(about).order_by(CaseRow.id)).all()
    for start in range(0, len(case_ids), AT_ONCE):
        some = CaseRow.id.in_(case_ids[start : start + AT_ONCE])
        rows = select(CaseRow).where(some).order_by(CaseRow.id).with_for_update()  # as in case_claims.hold
        theirs = [row for row in session.scalars(rows) if _is_theirs(row, identity_id, now, counts)]
        _unlink(session, [row for row in theirs if row.account_id in own])
        session.flush()
        counts += erase_written(session, [row.id for row in theirs], now)
    return counts


def erase_written(session: Session, case_ids: Sequence[str], now: datetime) -> Counter[str]:
    """Erases pictures and texts of these cases; counts them. While an appeal is open, its text and what the account
    calls itself stay: somebody must answer it."""
    pictures = delete(CasePictureRow).where(CasePictureRow.case_id.in_(case_ids)).returning(CasePictureRow.case_id)
    comments = delete(CaseCommentRow).where(CaseCommentRow.case_id.in_(case_ids)).returning(CaseCommentRow.id)
    said = AppealRow.case_id.in_(case_ids) & ANSWERED & (AppealRow.text != "")
    appeals = update(AppealRow).where(said).values(text="").returning(AppealRow.id)
    erased = {"case_pictures": pictures, "comments": comments, "appeals": appeals}
    counts = Counter({name: len(session.scalars(rows).all()) for name, rows in erased.items()})
    called = update(CaseRow).where(CaseRow.id.in_(case_ids), ~UNDER_APPEAL)
    session.execute(called.values(handle=None, display_name=None))
    noted = CaseDecisionRow.case_id.in_(case_ids) & CaseDecisionRow.note.is_not(None)
    session.execute(update(CaseDecisionRow).where(noted).values(note=None))
    unsent = CoopReportRow.case_id.in_(case_ids) & CoopReportRow.sent_at.is_(None)
    session.execute(delete(CoopReportRow).where(unsent))
    golden = GoldenCaseRow.source_id.in_(case_ids)
    for source_id in session.scalars(select(GoldenCaseRow.source_id).where(golden)):
        retire(session, source_id, now)
    session.execute(update(GoldenCaseRow).where(golden).values(why=""))
    return counts


def late_ones(session: Session, now: datetime) -> Sequence[str]:
    """The erased identities of whom a case holds something anew: a review was still on its way, a decision was taken
    back, somebody wrote a comment, or an appeal has been answered."""
    erased = select(ErasureRow.identity_id).where(ErasureRow.identity_id.is_not(None))
    waits = (CaseRow.state == "open") & ~UNDER_APPEAL
    holds = waits | ~UNDER_APPEAL & written_on()
    late = set(session.scalars(select(CaseRow.identity_id).where(CaseRow.identity_id.in_(erased), holds)))
    came = select(CaseRow.identity_id, CaseRow.evidence)
    came = came.where(CaseRow.state == "open", CaseRow.opened_at > now - JUST_NOW)
    named = {one for leading, evidence in session.execute(came) for one in _named(json.loads(evidence)) - {leading}}
    late |= set(session.scalars(erased.where(ErasureRow.identity_id.in_(named))))
    return sorted(one for one in late if one)


def late_own_accounts(session: Session) -> Sequence[str]:
    """The cases of erased people's own accounts that hold something anew, see late_ones; nothing links the two."""
    return session.scalars(select(CaseRow.id).where(UNLINKED, ~UNDER_APPEAL, written_on())).all()


def written_on() -> ColumnElement[bool]:
    """Whether there is a picture of a case, a comment on it, a note of a decision, the text of an appeal that is
    answered, or what the account calls itself, which may be the person's name."""
    noted = exists().where(CaseDecisionRow.case_id == CaseRow.id, CaseDecisionRow.note.is_not(None))
    commented = exists().where(CaseCommentRow.case_id == CaseRow.id)
    appealed = exists().where(AppealRow.case_id == CaseRow.id, ANSWERED, AppealRow.text != "")
    called = CaseRow.handle.is_not(None) | CaseRow.display_name.is_not(None)
    return exists().where(CasePictureRow.case_id == CaseRow.id) | commented | noted | appealed | called


def _named(evidence: dict[str, Any]) -> set[str]:
    """Whom the findings speak of."""
    findings = evidence.get("findings", [])
    people = [*findings, *(one["runner_up"] for one in findings if one.get("runner_up"))]
    return {one["identity_id"] for one in people if one.get("identity_id")}


def _own_accounts(session: Session, identity_id: str) -> set[str]:
    """Those in the gallery, and those that a moderator found to be theirs."""
    own = select(OwnAccountRow.account_id).where(OwnAccountRow.identity_id == identity_id)
    theirs = (CaseDecisionRow.decision == "genuine_owner") & (CaseDecisionRow.state != "undone")
    found = select(CaseRow.account_id).join(CaseDecisionRow, CaseDecisionRow.case_id == CaseRow.id)
    found = found.where(CaseDecisionRow.identity_id == identity_id, theirs)
    return {*session.scalars(own), *session.scalars(found)}


def _unlink(session: Session, rows: Sequence[CaseRow]) -> None:
    for row in rows:
        row.identity_id = row.reference_id = None
        row.evidence = _written(json.loads(row.evidence) | {"findings": []})
    decided = CaseDecisionRow.case_id.in_([row.id for row in rows])
    session.execute(update(CaseDecisionRow).where(decided).values(identity_id=None))


def _is_theirs(row: CaseRow, identity_id: str, now: datetime, counts: Counter[str]) -> bool:
    """Whether the case is about nobody else; else it goes on without the identity."""
    evidence = json.loads(row.evidence)
    findings: list[dict[str, Any]] = evidence.get("findings", [])
    others = [_without(one, identity_id) for one in findings if one.get("identity_id") not in (None, identity_id)]
    # a case under appeal was closed before, and is about whom it was decided on
    goes_on = others and row.state != "closed" and not is_under_appeal(row)
    if row.identity_id != identity_id or goes_on:
        unnamed = [one for one in findings if one.get("identity_id") is None]
        evidence["findings"] = others + unnamed
        if row.identity_id == identity_id:
            _lead(row, others[0])
        row.evidence = _written(evidence)
        return False
    # what quotes the profile or the picture may name the person; where the face lay is theirs, too
    quoting = ("name_claim", "foreign_text")
    kept = [one | {"face_box": None} for one in findings if not any(one.get(name) for name in quoting)]
    row.evidence = _written(evidence | {"findings": kept})
    if row.state == "open" and not is_under_appeal(row):
        row.state, row.closed_at, row.claimed_by, row.claimed_until = "closed", now, None, None
        counts["cases_closed"] += 1
    return True


def _without(finding: dict[str, Any], identity_id: str) -> dict[str, Any]:
    rival = finding.get("runner_up")
    return finding | {"runner_up": None} if rival and rival.get("identity_id") == identity_id else finding


def _lead(row: CaseRow, finding: dict[str, Any]) -> None:
    """The case is about the person of this finding from now on."""
    row.kind, row.identity_id = finding["kind"], finding["identity_id"]
    row.identity_kind, row.reference_id = finding.get("identity_kind"), finding.get("reference_id")
    row.band = None


def _drop_copies(session: Session, identity_id: str) -> None:
    """Copies that test moderators with a case about the identity, and that nobody has decided on."""
    decided = select(CaseDecisionRow.case_id).where(CaseDecisionRow.state != "undone")
    undecided = (CaseRow.identity_id == identity_id) & CaseRow.golden_id.is_not(None) & CaseRow.id.not_in(decided)
    session.execute(delete(CaseRow).where(undecided, CaseRow.state == "open"))


def _written(evidence: dict[str, Any]) -> str:
    return json.dumps(evidence, ensure_ascii=True, separators=(",", ":"))
