"""The evidence file of a report, for the victim's lawyer or the police: released by a lead, and noted with its hash."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from records.people.web_sessions import Session
from web.console.evidence_file import audit_lines
from web.security import DeskOf, signed_in

router = APIRouter()
Lead = Annotated[Session, Depends(signed_in("lead"))]


@router.post("/reports/{report_id}/evidence")
def release(desk: DeskOf, session: Lead, report_id: str) -> Response:
    now = desk.clock()
    evidence = desk.evidence.gather(report_id, now)
    newest = desk.audit.read(limit=1)
    lines = audit_lines(desk.audit.database, evidence, newest[0].number if newest else 0)
    calibration = desk.enrols.calibration if desk.enrols else None
    content = desk.evidence_files.make(evidence, lines, calibration, session.moderator.id, now)
    details = {"sha256": hashlib.sha256(content).hexdigest(), "cases": len(evidence.cases)}
    desk.audit.append(session.moderator.id, "evidence_released", report_id, details)
    name = f"likeness-evidence-{evidence.report.number}-{now:%Y%m%d-%H%M%S}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response(content, media_type="application/zip", headers=headers)
