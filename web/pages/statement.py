"""The statement of reasons of a confirmed case: to read, to copy, and as files. Each look is an export in the log."""

import json
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from records.people.web_sessions import Session
from web.console.casework import Worker, case_path
from web.console.statement import Statement, may_read, statement_of
from web.desk import Desk
from web.languages import LANGUAGES, N_
from web.problems import Problem, Way
from web.rendering import render
from web.security import DeskOf

router = APIRouter()
LanguageCode = Annotated[Literal["en", "zh_Hans"], Query()]


@router.get("/case/{case_id}/statement")
def statement_page(request: Request, desk: DeskOf, session: Worker, case_id: str) -> Response:
    statement = _statement(desk, session, case_id, "page")
    texts = [(LANGUAGES[code], text) for code, text in statement.texts.items()]
    fields = _json(statement)
    return render(request, "statement.html", case_id=case_id, fields=fields, texts=texts)


@router.get("/case/{case_id}/statement.json")
def statement_fields(desk: DeskOf, session: Worker, case_id: str) -> Response:
    return _file(_json(_statement(desk, session, case_id, "json")), "application/json", f"statement-{case_id}.json")


@router.get("/case/{case_id}/statement.txt")
def statement_text(desk: DeskOf, session: Worker, case_id: str, language: LanguageCode = "en") -> Response:
    text = _statement(desk, session, case_id, "text").texts[language]
    return _file(text, "text/plain; charset=utf-8", f"statement-{case_id}-{LANGUAGES[language].tag}.txt")


def _statement(desk: Desk, session: Session, case_id: str, form: str) -> Statement:
    statement = statement_of(desk, desk.cases.get(case_id))
    way = Way(N_("Back to the case"), case_path(case_id))
    if statement is None:
        title = N_("There is no statement of reasons")
        text = N_("There is one for a confirmed impersonation only, and none while an appeal is open.")
        raise Problem(404, "no_statement", title, text, way)
    if not may_read(statement.decision, session.moderator):
        title = N_("This statement is not yours to send")
        text = N_("Who made the decision sends it, or a lead. Ask one of them.")
        raise Problem(403, "not_your_statement", title, text, way)
    details = {"what": "statement", "form": form, "decision_id": statement.decision.id}
    desk.audit.append(session.moderator.id, "export", case_id, details)
    return statement


def _json(statement: Statement) -> str:
    """A field a line: lists of countries are long."""
    lines = (f'  "{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in statement.fields.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _file(content: str, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
