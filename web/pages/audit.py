"""The audit log: who did what, for auditors and administrators; proven whole on demand, and taken away as a file."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from pydantic import BeforeValidator, Field

from records.audit import AuditFilter
from records.audit_export import export_lines
from records.errors import UnknownModerator
from records.people.web_sessions import Session
from web.console.audit_check import AuditCheck
from web.console.audit_words import ACTIONS, ACTORS
from web.console.casework import with_query
from web.desk import Desk
from web.rendering import AUDITORS, render
from web.security import DeskOf, one_of_process, signed_in

router = APIRouter()
PAGE = 50
CHECK_SECONDS = 2.0
"""How long a page waits for a check; one that takes longer goes on in the background."""
UNKNOWN = "unknown"

Auditor = Annotated[Session, Depends(signed_in(*AUDITORS))]
Text = Annotated[str, Field(max_length=200)]
Day = Annotated[
    Annotated[date, Field(ge=date(2000, 1, 1), lt=date(3000, 1, 1))] | None,
    BeforeValidator(lambda given: given or None),
]


def check_of(request: Request) -> AuditCheck:
    """The check of this process."""
    return one_of_process(request, "audit_check", lambda desk: AuditCheck(desk.audit, desk.clock))


CheckOf = Annotated[AuditCheck, Depends(check_of)]


@router.get("/audit")
def audit_page(
    request: Request,
    desk: DeskOf,
    check: CheckOf,
    _session: Auditor,
    actor: Annotated[Text, Query()] = "",
    subject: Annotated[Text, Query()] = "",
    action: Annotated[Text, Query()] = "",
    since: Annotated[Day, Query()] = None,
    until: Annotated[Day, Query()] = None,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Response:
    """`actor`: an id or a login; days are those of UTC, the last one included."""
    asked: dict[str, Any] = {
        "actor": actor.strip(),
        "subject": subject.strip(),
        "action": action,
        "since": since,
        "until": until,
    }
    found = desk.audit.find(_filter(desk, **asked), before, PAGE + 1)
    said = {name: str(value or "") for name, value in asked.items()}
    return render(
        request,
        "audit.html",
        entries=found[:PAGE],
        asked=said,
        narrowed=any(said.values()),
        older=with_query("/audit", said | {"before": found[PAGE - 1].number}) if len(found) > PAGE else None,
        newest=with_query("/audit", said) if before else None,
        names=desk.moderators.names(),
        actions=ACTIONS,
        actors=ACTORS,
        check=check.state,
        here_with=lambda **query: with_query("/audit", said | query),
    )


@router.post("/audit/verify")
def verify(check: CheckOf, _session: Auditor) -> Response:
    check.start(CHECK_SECONDS)
    return RedirectResponse("/audit", 303)


@router.post("/audit/export")
def export(
    desk: DeskOf,
    session: Auditor,
    actor: Annotated[Text, Form()] = "",
    subject: Annotated[Text, Form()] = "",
    action: Annotated[Text, Form()] = "",
    since: Annotated[Day, Form()] = None,
    until: Annotated[Day, Form()] = None,
) -> Response:
    """The entries of the filter up to now, this export's own included, as JSON Lines."""
    asked: dict[str, Any] = {"actor": actor, "subject": subject, "action": action, "since": since, "until": until}
    number = desk.audit.append(session.moderator.id, "export", "audit_log", {"asked_for": _noted(desk, asked)})
    lines = export_lines(desk.audit.database, _filter(desk, **asked), number)
    name = f"likeness-audit-{desk.clock():%Y%m%d-%H%M%S}.jsonl"
    attached = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=attached)


def _filter(
    desk: Desk, *, actor: str, subject: str, action: str, since: date | None, until: date | None
) -> AuditFilter:
    return AuditFilter(
        subject=_id_of(desk, subject),
        actor=_id_of(desk, actor),
        action=action or None,
        since=_midnight(since) if since else None,
        until=_midnight(until) + timedelta(days=1) if until else None,
    )


def _noted(desk: Desk, asked: Mapping[str, Any]) -> dict[str, str]:
    """What was asked for, as the log may keep it: nothing that was typed but what its entries bear already."""
    which = _filter(desk, **asked)
    borne = {name: getattr(which, name) for name in ("actor", "subject", "action")}
    known = {
        name: text if desk.audit.find(AuditFilter(**{name: text}), limit=1) else UNKNOWN
        for name, text in borne.items()
        if text
    }
    return known | {name: str(asked[name]) for name in ("since", "until") if asked[name]}


def _id_of(desk: Desk, text: str) -> str | None:
    """The id of the moderator with this login; else the text, which may be any id."""
    if not text:
        return None
    try:
        return desk.moderators.by_login(text).id
    except UnknownModerator:
        return text


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
