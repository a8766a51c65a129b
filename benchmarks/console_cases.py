"""Fills a database with cases in bulk: half of them decided, the others waiting; the most urgent ones have pictures."""

import json
import random
import uuid
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
from sqlalchemy import insert, text

from config import load_settings
from detector.verdict import Box
from records.casework import case_pictures
from records.casework.case_pictures import CasePicture
from records.casework.queues import QueueRule, route
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.database import Database
from records.gallery import GalleryRecords
from records.people.schema_people import ModeratorRow
from records.references import ReferencePhoto

MASTER_KEY = bytes(32)
PEOPLE = 500
MODERATORS = 60
BATCH = 2_000
KINDS = ("same_person", "same_person", "look_alike_risk", "same_picture", "cropped_picture", "name_claim")
SIDE = 1_000
FACE: Box = (350.0, 300.0, 300.0, 380.0)
LANDMARKS = [[420.0, 450.0], [580.0, 450.0], [500.0, 540.0], [440.0, 620.0], [560.0, 620.0]]


def fill(database: Database, cases: int) -> None:
    """Moderators, a gallery, and so many cases."""
    rng = random.Random(5)
    jpeg = _picture()
    identities = _gallery(GalleryRecords(database, MASTER_KEY), jpeg)
    now = datetime.now(UTC)
    moderators = [f"mod-{number:02}" for number in range(MODERATORS)]
    with database.write() as session:
        plain = {"role": "moderator", "settings": "{}", "failures": 0, "created_at": now}
        session.execute(insert(ModeratorRow), [{"id": one, "login": one, "name": one, **plain} for one in moderators])
    queues = [QueueRule(**queue.model_dump()) for queue in load_settings().console.queues]
    with_picture = min(cases // 5, 4_000)
    for start in range(0, cases, BATCH):
        rows, decisions, shown = [], [], list[str]()
        for number in range(start, min(start + BATCH, cases)):
            row = _case(rng, queues, rng.choice(identities), number, now)
            if number < with_picture:
                row["priority"] = 90
                shown.append(str(row["id"]))
            elif number % 2:
                row |= {"state": "closed", "closed_at": now}
                decisions.append(_decision(row, rng.choice(moderators), now))
            rows.append(row)
        with database.write() as session:
            session.execute(insert(CaseRow), rows)
            if decisions:
                session.execute(insert(CaseDecisionRow), decisions)
            picture = CasePicture(jpeg, {"avatar": [{"box": FACE, "landmarks": LANDMARKS}], "references": {}})
            for case_id in shown:
                case_pictures.put(session, case_id, picture, MASTER_KEY, now + timedelta(days=90))
    if database.postgresql:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))  # as the server does by itself within minutes


def _case(
    rng: random.Random, queues: list[QueueRule], identity: tuple[str, str, str], number: int, now: datetime
) -> dict[str, object]:
    identity_id, identity_kind, reference_id = identity
    kind = rng.choice(KINDS)
    finding = {"kind": kind, "priority": 50, "identity_id": identity_id, "identity_kind": identity_kind}
    finding |= {"reference_id": reference_id, "similarity": 0.7, "threshold": 0.55, "face_box": FACE, "quality": 0.8}
    evidence = {"findings": [finding], "faces": 1, "picture_width": SIDE, "picture_height": SIDE}
    evidence |= {"model_pack": "opencv-zoo@1", "threshold": 0.55, "sure_threshold": 0.6, "gallery_version": 9}
    came = now - timedelta(minutes=rng.randrange(10_000))
    return {
        "id": str(uuid.UUID(int=rng.getrandbits(128))),
        "event_id": f"event-{number}",
        "account_id": f"account-{rng.randrange(40_000)}",
        "handle": "handle",
        "display_name": "Name",
        "account_created_at": came,
        "uploaded_at": came,
        "screened_at": came,
        "opened_at": came,
        "queue": route(queues, kind, identity_kind, False),
        "kind": kind,
        "identity_id": identity_id,
        "identity_kind": identity_kind,
        "reference_id": reference_id,
        "band": 3,
        "golden_id": None,
        "priority": rng.randrange(20, 90),
        "held": False,
        "picture_group": None if number % 10 else f"group-{number % 500}",
        "double_review": False,
        "evidence": json.dumps(evidence),
        "state": "open",
        "stage": "first",
        "claimed_by": None,
        "claimed_until": None,
        "closed_at": None,
    }


def _decision(row: dict[str, object], moderator_id: str, now: datetime) -> dict[str, object]:
    return {
        "id": str(uuid.uuid4()),
        "case_id": row["id"],
        "stage": "first",
        "identity_id": row["identity_id"],
        "decision": "confirmed",
        "reason": "same_person",
        "note": None,
        "decided_by": moderator_id,
        "decided_at": now,
        "due_at": None,
        "state": "final",
    }


def _gallery(records: GalleryRecords, jpeg: bytes) -> list[tuple[str, str, str]]:
    """Of each identity its id, its kind, and a reference's id."""
    made = []
    for number in range(PEOPLE):
        kind = "victim" if number % 10 == 0 else "celebrity"
        vector = np.random.default_rng(number).standard_normal(128).astype(np.float32)
        vector /= np.linalg.norm(vector)
        photo = ReferencePhoto("bench", f"{number:064x}", jpeg, SIDE, SIDE, FACE, 0.9, {"opencv-zoo": vector})
        identity_id = records.add_identity(f"Person {number}", kind, references=[photo])  # type: ignore[arg-type]
        made.append((identity_id, kind, records.show(identity_id).references[0].id))
    return made


def _picture() -> bytes:
    """A JPEG as costly to decode as a photograph of a face."""
    noise = np.random.default_rng(1).integers(0, 256, (SIDE // 8, SIDE // 8, 3), np.uint8)
    pixels = cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
