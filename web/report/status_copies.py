"""Files that a reporter may keep: the receipt of an erasure, and a copy of all that is held of them."""

import json

from fastapi import APIRouter
from fastapi.responses import Response

from records.errors import ReportErased
from web.problems import Elsewhere
from web.report.status_visitor import STATUS_PATH, ReportInHand
from web.security import DeskOf

router = APIRouter()


@router.get(f"{STATUS_PATH}/receipt.json")
def receipt(report: ReportInHand) -> Response:
    if report.receipt is None:
        raise Elsewhere(STATUS_PATH)
    return _file(report.receipt, f"receipt-{report.number}.json")


@router.get(f"{STATUS_PATH}/data.json")
def own_copy(desk: DeskOf, report: ReportInHand) -> Response:
    try:
        copied = desk.report_copies.of(report)
    except ReportErased:
        raise Elsewhere(STATUS_PATH) from None
    return _file(json.dumps(copied, ensure_ascii=False, indent=2), f"{report.number}.json")


def _file(text: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type="application/json", headers=headers)
