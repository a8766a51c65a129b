"""The picture of a case and where the faces lie in it, sealed with a data key of the case's own until it is erased."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from records.keys import DataKey
from records.schema_cases import CasePictureRow

_PICTURE, _FACES = "case-picture", "case-faces"


@dataclass(frozen=True, slots=True)
class CasePicture:
    """jpeg: the avatar, upright. faces: where they lie, in pixels of the JPEG and of the references' photos:
    {"avatar": [{"box": [x, y, w, h], "landmarks": [[x, y] * 5]}, ...], "references": {reference id: {the same}}}."""

    jpeg: bytes
    faces: Mapping[str, Any]


def put(session: Session, case_id: str, picture: CasePicture, master_key: bytes, kept_until: datetime) -> None:
    """Seals the picture of a case that has none yet."""
    data_key = DataKey.new(case_id)
    row = {
        "case_id": case_id,
        "wrapped": data_key.wrap(master_key),
        "picture": data_key.seal(picture.jpeg, _PICTURE),
        "faces": data_key.seal(json.dumps(picture.faces).encode(), _FACES),
        "kept_until": kept_until,
    }
    session.execute(insert(CasePictureRow).values(row))


def find(session: Session, case_id: str, master_key: bytes, now: datetime) -> CasePicture | None:
    """None when there is none, or none that may still be shown. Raises MasterKeyError, SealBroken."""
    row = session.get(CasePictureRow, case_id)
    if row is None or row.kept_until <= now:
        return None
    data_key = DataKey.unwrap(case_id, row.wrapped, master_key)
    return CasePicture(data_key.open(row.picture, _PICTURE), json.loads(data_key.open(row.faces, _FACES)))


def erase(session: Session, now: datetime) -> int:
    """Erases those whose retention has passed; returns how many."""
    passed = delete(CasePictureRow).where(CasePictureRow.kept_until <= now).returning(CasePictureRow.case_id)
    return len(session.scalars(passed).all())
