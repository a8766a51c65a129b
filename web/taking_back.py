"""Somebody takes their report back, on the report page or by the platform that sent it for them."""

from web.desk import Desk


def take_back(desk: Desk, report_id: str, by: str) -> str:
    """Erases all that is kept of the person, and has who wants to be written to told so; gives the signed receipt.
    by: an actor of the audit log. Raises UnknownReport."""
    # the address is erased, too, so it is looked up before
    notice = desk.report_notices.farewell(report_id) if desk.last_word else None
    receipt = desk.erasure.withdraw(report_id, "withdrawn", by)
    if notice and desk.last_word:
        desk.last_word(notice)
    return receipt
