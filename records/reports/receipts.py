"""The receipt of an erasure: what was erased, when and by which request, and what is left and why; signed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

TYPE = "likeness-erasure-receipt"

ErasureRequest = Literal["withdrawn", "expired", "refused", "operator"]

REQUESTS: Mapping[ErasureRequest, str] = {
    "withdrawn": "The reporter took the report back.",
    "expired": "The consent of the reporter ended.",
    "refused": "The report was refused, and the time for an answer to that is over.",
    "operator": "The operator erased it.",
}
REMAINS = (
    {
        "what": "case number, state and dates of the report, its language, which texts were agreed to, and how it came",
        "why": "so that this receipt can be read, and no report comes in twice; nothing in it names or shows anybody",
    },
    {
        "what": "entries of the audit log",
        "why": "who did what, when; by ids, without names, pictures, contacts or anything measured on a face",
    },
    {
        "what": "decisions that moderators made on other people's accounts",
        "why": "the platform has been told, and the accounts' holders may appeal; without pictures, by ids",
    },
    {
        "what": "sealed messages on the topic gallery-changes, until Kafka clears them away",
        "why": "a log cannot be cut at once; the key is destroyed, so nobody can open them, whoever holds a copy",
    },
    {
        "what": "reviews on the topic impersonation-reviews, and a platform's form on victim-reports, for some days",
        "why": "a log cannot be cut at once; reviews bear ids and the case number, a form is sealed for us alone",
    },
    {
        "what": "backups of the database, until they are replaced",
        "why": "they hold sealed data; whoever restores one erases anew by `likeness erasure replay`",
    },
    {
        "what": "pictures that others uploaded to the platform",
        "why": "they are the platform's uploads; nothing compares them with the erased face any more",
    },
)


def receipt_of(
    *,
    erasure_id: str,
    case_number: str,
    report_id: str | None,
    identity_id: str | None,
    request: ErasureRequest,
    erased: Mapping[str, int],
    at: datetime,
) -> dict[str, Any]:
    """The receipt as it is signed. erased: counts by what was erased; at: aware."""
    return {
        "type": TYPE,
        "erasure_id": erasure_id,
        "case_number": case_number,
        "report_id": report_id,
        "identity_id": identity_id,
        "request": request,
        "request_in_words": REQUESTS[request],
        "erased_at": at.astimezone(UTC).isoformat(timespec="seconds"),
        "erased": dict(erased),
        "remains": list(REMAINS),
        "issued_by": f"Likeness {version('likeness')}",
    }
