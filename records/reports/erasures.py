"""What is kept of an erasure: which request it followed and how much there was, nothing of the person. An older copy of
the database that is restored is cleaned by it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, get_args

from sqlalchemy import insert
from sqlalchemy.orm import Session

from records.reports.receipts import ErasureRequest
from records.reports.schema_reports import ErasureRow


@dataclass(frozen=True, slots=True)
class Erased:
    """That somebody was erased; `erased` counts what there was of them."""

    id: str
    report_id: str | None
    identity_id: str | None
    request: ErasureRequest
    erased: Mapping[str, int]
    at: datetime


def erased_of(row: ErasureRow) -> Erased:
    """The row as others may keep it when its transaction is over."""
    return Erased(
        row.id, row.report_id, row.identity_id, cast(ErasureRequest, row.request), json.loads(row.erased), row.at
    )


def note(session: Session, erased: Erased) -> None:
    """Adds its row, in place of the one that it may have."""
    if (known := session.get(ErasureRow, erased.id)) is not None:
        session.delete(known)
        session.flush()
    row = {name: getattr(erased, name) for name in Erased.__dataclass_fields__}
    session.execute(insert(ErasureRow).values(row | {"erased": json.dumps(dict(erased.erased))}))


def written(erased: Erased) -> dict[str, Any]:
    """As it goes into a file, fit for JSON."""
    said = {name: getattr(erased, name) for name in Erased.__dataclass_fields__}
    return said | {"at": erased.at.isoformat(), "erased": dict(erased.erased)}


def read(said: Any) -> Erased:
    """Out of `written`. Raises ValueError for what is none."""
    try:
        erased = Erased(
            id=_text(said["id"]),
            report_id=said["report_id"] and _text(said["report_id"]),
            identity_id=said["identity_id"] and _text(said["identity_id"]),
            request=said["request"],
            erased={_text(name): int(count) for name, count in said["erased"].items()},
            at=datetime.fromisoformat(said["at"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError("It is no erasure as `likeness erasure list --json` writes them.") from None
    if erased.request not in get_args(ErasureRequest) or erased.at.tzinfo is None:
        raise ValueError("It is an erasure by no request that there is, or at no moment.")
    return erased


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is expected")
    return value
