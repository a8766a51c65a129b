"""The statement of reasons of a confirmed case, for the platform to send to the account's holder."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from web.api.access import Reader
from web.api.cases import CaseId
from web.api.found import case_named
from web.api.problems import ApiProblem, ProblemDocument, Responses
from web.api.shapes import Decision, Shape
from web.console.statement import statement_of
from web.security import DeskOf

router = APIRouter(tags=["decisions"])
NO_STATEMENT: Responses = {
    404: {"model": ProblemDocument, "description": "No such case, or not a confirmed one: `no_statement`."},
}


class StatementOut(Shape):
    """Why an account is restricted, as article 17 of Regulation (EU) 2022/2065 asks for it."""

    decision: Decision = Field(description="What it states; while that is `pending` it can still be undone.")
    fields: Mapping[str, Any] = Field(description="For the DSA Transparency Database, without personal data.")
    texts: Mapping[str, str] = Field(description="For the account's holder, by language.")


@router.get(
    "/cases/{case_id}/statement",
    operation_id="getStatement",
    summary="Show the statement of reasons",
    responses=NO_STATEMENT,
)
def get_statement(desk: DeskOf, token: Reader, case_id: CaseId) -> StatementOut:
    """The statement of reasons of a confirmed case; each look is an entry `export` of the audit log. Scope:
    `cases:read`."""
    statement = statement_of(desk, case_named(desk, case_id))
    if statement is None:
        raise ApiProblem(404, "no_statement", "Only a confirmed case has a statement, and none while it is appealed.")
    details = {"what": "statement", "form": "api", "decision_id": statement.decision.id}
    desk.audit.append(token.actor, "export", case_id, details)
    return StatementOut(decision=Decision.of(statement.decision), fields=statement.fields, texts=statement.texts)
