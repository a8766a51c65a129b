"""The picture of a case and where the faces lie in it, sealed with a data key of the case's own until it is erased."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from records.casework.schema_cases import CaseFingerprintRow, CasePictureKeyRow, CasePictureRow
from records.keys.keyring import DataKey, MasterKey

_PICTURE, _FACES, _FINGERPRINT = "case-picture", "case-faces", "case-fingerprint"
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class CasePicture:
    """jpeg: the avatar, upright. faces: where they lie, in pixels of the JPEG and of the references' photos:
    {"avatar": [{"box": [x, y, w, h], "landmarks": [[x, y] * 5]}, ...], "references": {reference id: {the same}}}.
    turns: of a new one, its PDQ as it is and after each turn, 32 bytes each; none for a picture too plain for it."""

    jpeg: bytes
    faces: Mapping[str, Any]
    turns: bytes = b""


def put(
    session: Session, case_id: str, picture: CasePicture, master_key: MasterKey, now: datetime, kept_until: datetime
) -> None:
    """Seals the picture of a case that has none yet."""
    data_key = DataKey.new(case_id)
    row = {
        "case_id": case_id,
        "picture": data_key.seal(picture.jpeg, _PICTURE),
        "faces": data_key.seal(json.dumps(picture.faces).encode(), _FACES),
        "kept_until": kept_until,
    }
    session.execute(insert(CasePictureRow).values(row))
    key = {"case_id": case_id, "wrapped": data_key.wrap(master_key), "created_at": now}
    session.execute(insert(CasePictureKeyRow).values(key))
    if picture.turns:
        sealed = data_key.seal(picture.turns[:_HASH_BYTES], _FINGERPRINT)
        session.execute(insert(CaseFingerprintRow).values({"case_id": case_id, "sealed": sealed}))


def find(session: Session, case_id: str, master_key: MasterKey, now: datetime) -> CasePicture | None:
    """None when there is none, or none that may still be shown. Raises MasterKeyError, SealBroken."""
    row = session.get(CasePictureRow, case_id)
    if row is None or row.kept_until <= now:
        return None
    if (key := session.get(CasePictureKeyRow, case_id)) is None:
        return None
    data_key = DataKey.unwrap(case_id, key.wrapped, master_key)
    return CasePicture(data_key.open(row.picture, _PICTURE), json.loads(data_key.open(row.faces, _FACES)))


def open_fingerprint(case_id: str, wrapped: bytes, sealed: bytes, master_key: MasterKey) -> bytes:
    """The 32 bytes of the picture's PDQ. Raises MasterKeyError, SealBroken."""
    return DataKey.unwrap(case_id, wrapped, master_key).open(sealed, _FINGERPRINT)


def erase(session: Session, now: datetime) -> list[str]:
    """Erases those whose retention has passed; gives their cases' ids."""
    passed = delete(CasePictureRow).where(CasePictureRow.kept_until <= now).returning(CasePictureRow.case_id)
    return list(session.scalars(passed))
