"""Fills a database with cases in bulk: half of them decided over two months, the others waiting for up to a week; the
most urgent ones have pictures. console_history.py adds what surrounds them."""

import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
from sqlalchemy import insert, text

from benchmarks.console_history import add_history
from config import load_settings
from detector.verdict import Box
from records.casework import case_pictures
from records.casework.case_pictures import CasePicture
from records.casework.queues import QueueRule, route
from records.casework.schema_cases import CaseDecisionRow, CaseRow
from records.database import Database
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.people.schema_people import ModeratorRow
from records.references import ReferencePhoto

MASTER_KEY = MasterKey.of(bytes(32))
PEOPLE = 500
MODERATORS = 60
OTHERS = ("lead", "curator", "administrator", "auditor")
"""Roles, and logins of who has them."""
TURNS_BYTES = 8 * 32
BATCH = 5_000
KINDS = ("same_person", "same_person", "look_alike_risk", "same_picture", "cropped_picture", "name_claim")
DECISIONS = ("confirmed",) * 6 + ("not_this_person",) * 2 + ("genuine_owner", "bad_picture")
JUDGED_TWICE = 20
"""Of so many decided cases one."""
WAITING, DECIDED = timedelta(days=7), timedelta(days=60)
SIDE = 1_000
FACE: Box = (350.0, 300.0, 300.0, 380.0)
LANDMARKS = [[420.0, 450.0], [580.0, 450.0], [500.0, 540.0], [440.0, 620.0], [560.0, 620.0]]


def fill(database: Database, cases: int) -> None:
    """People, a gallery, so many cases, and as many entries of the audit log."""
    rng = random.Random(5)
    jpeg = _picture()
    identities = _gallery(GalleryRecords(database, MASTER_KEY), jpeg)
    now = datetime.now(UTC)
    moderators = [f"mod-{number:02}" for number in range(MODERATORS)]
    people = [*((one, "moderator") for one in moderators), *((role, role) for role in OTHERS)]
    plain = {"settings": "{}", "failures": 0, "created_at": now}
    with database.write() as session:
        session.execute(
            insert(ModeratorRow),
            [{"id": one, "login": one, "name": one, "role": role, **plain} for one, role in people],
        )
    queues = [QueueRule(**queue.model_dump()) for queue in load_settings().console.queues]
    with_picture = min(cases // 5, 4_000)
    for start in range(0, cases, BATCH):
        rows, decisions, shown = [], list[dict[str, object]](), list[str]()
        for number in range(start, min(start + BATCH, cases)):
            row = _case(rng, queues, rng.choice(identities), number, now)
            if number < with_picture:
                row["priority"] = 90
                shown.append(str(row["id"]))
            elif number % 2:
                came = now - DECIDED * rng.random()
                decided = came + (now - came) * rng.random() ** 6
                row |= {"opened_at": came, "screened_at": came, "state": "closed", "closed_at": decided}
                row["double_review"] = number % JUDGED_TWICE == 1
                decisions += _decisions(rng, row, moderators, decided)
            rows.append(row)
        with database.write() as session:
            session.execute(insert(CaseRow), rows)
            if decisions:
                session.execute(insert(CaseDecisionRow), decisions)
            for case_id in shown:
                faces = {"avatar": [{"box": FACE, "landmarks": LANDMARKS}], "references": {}}
                picture = CasePicture(jpeg, faces, rng.randbytes(TURNS_BYTES))
                case_pictures.put(session, case_id, picture, MASTER_KEY, now, now + timedelta(days=90))
    add_history(database, rng, moderators, cases, now)
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
    came = now - WAITING * rng.random()
    case_id = str(uuid.UUID(int=rng.getrandbits(128)))
    return {
        "id": case_id,
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
        "band": rng.randrange(6),
        "golden_id": None,
        "priority": rng.randrange(20, 90),
        "held": False,
        "picture_group": case_id if number % 10 else f"group-{number % 500}",
        "double_review": False,
        "evidence": json.dumps(evidence),
        "state": "open",
        "stage": "first",
        "claimed_by": None,
        "claimed_until": None,
        "closed_at": None,
    }


def _decisions(
    rng: random.Random, case: dict[str, object], moderators: list[str], decided_at: datetime
) -> Iterator[dict[str, object]]:
    """The one that was told, after that of a first person where two judged."""
    told = rng.choice(DECISIONS)
    first, second = rng.sample(moderators, 2)
    facts = {"case_id": case["id"], "identity_id": case["identity_id"], "reason": "same_person", "note": None}
    facts |= {"due_at": None, "batch_id": None, "decided_at": decided_at}
    final = {"state": "final", "final_at": decided_at + timedelta(seconds=60)}
    if case["double_review"]:
        said = told if rng.random() < 0.8 else rng.choice(DECISIONS)
        kept = {"stage": "first", "decision": said, "decided_by": first, "state": "first", "final_at": None}
        yield {"id": str(uuid.uuid4())} | facts | kept
    stage = "second" if case["double_review"] else "first"
    yield {"id": str(uuid.uuid4())} | facts | final | {"stage": stage, "decision": told, "decided_by": second}


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
