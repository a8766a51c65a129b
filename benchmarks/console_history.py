"""What gathers around cases: appeals, test cases with their copies, tokens, and an audit log."""

import random
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update

from records.audit import STATE, canonical, entry_hash
from records.casework.schema_around_cases import AppealRow, GoldenCaseRow
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.database import Database
from records.people.schema_people import ApiTokenRow
from records.schema_audit import AuditRow, AuditStateRow

GOLDEN = 20
APPEALS = 300
TOKENS = 20
PAGE = 10_000
ACTIONS = ("case_claimed", "face_viewed", "face_viewed", "picture_revealed", "case_decided", "decision_sent")


def add_history(database: Database, rng: random.Random, moderators: Sequence[str], entries: int, now: datetime) -> None:
    """Appeals of decided cases, half of them open; test cases that all have done; so many entries of the audit log."""
    told = (
        select(CaseDecisionRow.id, CaseDecisionRow.case_id)
        .where(CaseDecisionRow.state == "final")
        .order_by(CaseDecisionRow.id)
    )
    with database.write() as session:
        decided = session.execute(told.limit(APPEALS + GOLDEN)).all()
        session.execute(
            insert(AppealRow),
            [_appeal(one.id, one.case_id, number, now) for number, one in enumerate(decided[GOLDEN:])],
        )
        for made in decided[:GOLDEN]:
            source = session.get_one(CaseRow, made.case_id)
            golden = _golden(source, now)
            facts = {column.key: getattr(source, column.key) for column in CaseRow.__table__.columns}
            copies = [
                facts | {"id": str(uuid.UUID(int=rng.getrandbits(128))), "golden_id": golden["id"], "golden_for": one}
                for one in moderators
            ]
            session.execute(insert(GoldenCaseRow).values(golden))
            session.execute(insert(CaseRow), copies)
            tests = [_test(copy, moderator, now) for copy, moderator in zip(copies, moderators, strict=True)]
            session.execute(insert(CaseDecisionRow), tests)
        tokens = [_token(number, now) for number in range(TOKENS)]
        session.execute(insert(ApiTokenRow), tokens)
        cases = session.scalars(select(CaseRow.id).order_by(func.length(CaseRow.id), CaseRow.id).limit(PAGE)).all()
    for start in range(0, entries, PAGE):
        with database.write() as session:
            number, previous = session.execute(STATE.with_for_update()).one()
            rows = []
            for _ in range(min(PAGE, entries - start)):
                number += 1
                entry = (number, now, rng.choice(moderators), rng.choice(ACTIONS), rng.choice(cases), canonical({}))
                previous = entry_hash(*entry, previous)
                rows.append(dict(zip(("number", "at", "actor", "action", "subject", "details"), entry, strict=True)))
                rows[-1]["hash"] = previous
            session.execute(insert(AuditRow), rows)
            newest = {"last_number": number, "last_hash": previous}
            session.execute(update(AuditStateRow).where(AuditStateRow.id == 1).values(newest))


def _appeal(decision_id: str, case_id: str, number: int, now: datetime) -> dict[str, Any]:
    received = now - timedelta(hours=number)
    facts = {"id": str(uuid.uuid4()), "case_id": case_id, "decision_id": decision_id, "text": "That is me."}
    over = {"state": "upheld", "closed_at": now} if number % 2 else {"state": "open", "closed_at": None}
    return facts | over | {"received_by": "lead", "received_at": received}


def _golden(source: CaseRow, now: datetime) -> dict[str, Any]:
    facts = {"id": str(uuid.uuid4()), "source_id": source.id, "expected": "confirmed", "why": "The same mole."}
    return facts | {"added_by": "lead", "added_at": now, "retired_at": None}


def _test(copy: dict[str, Any], moderator: str, now: datetime) -> dict[str, Any]:
    facts = {"id": str(uuid.uuid4()), "case_id": copy["id"], "stage": "first", "identity_id": copy["identity_id"]}
    facts |= {"decision": "confirmed", "reason": "same_person", "note": None, "batch_id": None, "decided_by": moderator}
    return facts | {"decided_at": now, "due_at": None, "final_at": None, "state": "first"}


def _token(number: int, now: datetime) -> dict[str, Any]:
    facts = {"id": str(uuid.uuid4()), "name": f"Tool {number}", "hash": f"{number:064x}", "scopes": "cases:read"}
    return facts | {"created_by": "administrator", "created_at": now}
