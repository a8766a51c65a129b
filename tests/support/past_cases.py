"""Weeks of closed cases, written into the database at once: what figures of quality are made from."""

import json
import random
import uuid
from datetime import timedelta

from sqlalchemy import insert

from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.database import Database

KINDS = {
    "same_picture": ("pictures", 0.12, 0.95),
    "cropped_picture": ("pictures", 0.06, 0.9),
    "same_person": ("faces", 0.5, 0.86),
    "name_claim": ("faces", 0.12, 0.78),
    "look_alike_risk": ("faces", 0.2, 0.35),
}
"""By finding: its queue, its share of the cases, and the share of these that shows the right face."""
OTHERWISE = {"confirmed": "not_this_person", "not_this_person": "confirmed", "genuine_owner": "confirmed"}


def lay_past(database: Database, people: list[str], now, *, cases: int, days: int, seed: int = 7) -> None:
    """Cases of the last so many days, decided by these people; every twentieth was judged by two of them."""
    dice = random.Random(seed)
    rows, decisions = [], []
    for number in range(cases):
        kind = dice.choices(list(KINDS), [share for _, share, _ in KINDS.values()])[0]
        queue, _, right = KINDS[kind]
        band = min(7, int(dice.expovariate(1.2) * (1 if kind == "look_alike_risk" else 2)))
        shown = dice.random() < right + 0.03 * band
        decision = dice.choices(["confirmed", "genuine_owner"], [9, 1])[0] if shown else "not_this_person"
        decision = "bad_picture" if dice.random() < 0.05 else decision
        opened = now - timedelta(days=days * dice.random())
        decided = opened + timedelta(minutes=dice.lognormvariate(3.6, 1.1))
        case_id = str(uuid.UUID(int=dice.getrandbits(128), version=5))
        closed = decided < now
        rows.append(_case(case_id, kind, queue, band, opened, decided if closed else None, number))
        if not closed:
            continue
        first, second = dice.sample(people, 2)
        if number % 20 == 0:
            differs = dice.random() < 0.12
            said = OTHERWISE.get(decision, decision) if differs else decision
            decisions.append(_decision(dice, case_id, "first", said, first, decided - timedelta(minutes=4), None))
            decisions.append(_decision(dice, case_id, "second", decision, second, decided, decided))
        else:
            decisions.append(_decision(dice, case_id, "first", decision, first, decided, decided))
    with database.write() as session:
        for start in range(0, len(rows), 2000):
            session.execute(insert(CaseRow), rows[start : start + 2000])
        for start in range(0, len(decisions), 2000):
            session.execute(insert(CaseDecisionRow), decisions[start : start + 2000])


def _case(case_id, kind, queue, band, opened, closed, number):
    picture = kind in ("same_picture", "cropped_picture")
    return {
        "id": case_id,
        "event_id": f"past-{number}",
        "account_id": f"past-acct-{number}",
        "screened_at": opened,
        "opened_at": opened,
        "queue": queue,
        "kind": kind,
        "identity_kind": "celebrity",
        "band": None if picture else band,
        "priority": 50,
        "held": False,
        "evidence": json.dumps({"findings": [], "padding": "x" * 700}),
        "double_review": False,
        "state": "closed" if closed else "decided",
        "stage": "first",
        "closed_at": closed,
    }


def _decision(dice, case_id, stage, decision, moderator_id, at, final_at):
    return {
        "id": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        "case_id": case_id,
        "stage": stage,
        "decision": decision,
        "reason": "other",
        "decided_by": moderator_id,
        "decided_at": at,
        "final_at": final_at,
        "state": "final" if final_at else "first",
    }
