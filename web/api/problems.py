"""What goes wrong in the API, as problem documents (RFC 9457): `reason` is for programs, `detail` says what to do."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from records.errors import DatabaseAway, RecordsError
from web.headers import dress
from web.refusals import REFUSALS

MEDIA_TYPE = "application/problem+json"
RETRY = {"Retry-After": "10"}
Responses = dict[int | str, dict[str, Any]]
"""Of a route, for the OpenAPI document."""
AWAY = ("database_away", "schema_mismatch")
SAID: Mapping[int, tuple[str, str]] = {
    404: ("not_found", "There is nothing at this address; /api/v1/openapi.json lists what there is."),
    405: ("wrong_method", "This address does not take this method; /api/v1/openapi.json lists which it takes."),
    413: ("too_large", "The request is too large; nothing was changed."),
}

log = logging.getLogger(__name__)


class Mistake(BaseModel):
    """One field of a request that cannot be taken."""

    where: str = Field(description="Where it is: `body.reason`, `query.limit`.")
    what: str = Field(description="What is wrong with it.")


class ProblemDocument(BaseModel):
    """Why a request was refused, as RFC 9457 describes it."""

    type: str = Field(examples=["urn:likeness:problem:claim_lost"])
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str = Field(description="One sentence that says what to do.")
    reason: str = Field(description="What went wrong, for programs.", examples=["claim_lost"])
    errors: list[Mistake] | None = Field(None, description="Of a request that cannot be read: what is wrong with it.")


class ApiProblem(Exception):
    """As in ProblemDocument; `headers` go with the answer."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: list[Mistake] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers
        self.errors = errors


def handle_errors(api: FastAPI) -> None:
    """Registers the handlers of all that the API's routes raise."""
    api.add_exception_handler(ApiProblem, _problem)  # type: ignore[arg-type]  # each handler knows its own kind
    api.add_exception_handler(RecordsError, _records)  # type: ignore[arg-type]
    api.add_exception_handler(RequestValidationError, _unreadable)  # type: ignore[arg-type]
    api.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]
    api.add_exception_handler(Exception, _failed)


def answer(
    status: int,
    reason: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: list[Mistake] | None = None,
) -> JSONResponse:
    document = ProblemDocument(
        type=f"urn:likeness:problem:{reason}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        reason=reason,
        errors=errors,
    )
    return JSONResponse(document.model_dump(exclude_none=True), status, dict(headers or {}), MEDIA_TYPE)


def too_late() -> JSONResponse:
    """For who has waited long enough for the records."""
    detail = "The records do not answer; what was asked last may be done yet. Look, and try again in a moment."
    return answer(503, DatabaseAway.reason, detail, RETRY)


def _problem(_request: Request, problem: ApiProblem) -> JSONResponse:
    return answer(problem.status, problem.reason, problem.detail, problem.headers, problem.errors)


def _records(_request: Request, error: RecordsError) -> JSONResponse:
    if error.reason in AWAY:
        log.warning("the records cannot be used: %s", error)
        detail = "The records do not answer; what was asked last was not done. Try again in a moment."
        return answer(503, error.reason, detail, RETRY)
    if (refusal := REFUSALS.get(error.reason)) is None:
        raise error
    return answer(refusal.status, error.reason, str(error))


def _unreadable(_request: Request, error: RequestValidationError) -> JSONResponse:
    errors = [Mistake(where=_place(one["loc"]), what=one["msg"]) for one in error.errors()]
    detail = "The request cannot be read; see errors, and /api/v1/openapi.json for what is expected."
    return answer(422, "unreadable_request", detail, errors=errors)


def _place(parts: tuple[Any, ...]) -> str:
    return ".".join(map(str, parts))


def _http(_request: Request, error: HTTPException) -> JSONResponse:
    reason, detail = SAID.get(error.status_code, ("unreadable_request", "The request cannot be read."))
    return answer(error.status_code, reason, detail, error.headers)


def _failed(_request: Request, _error: Exception) -> JSONResponse:
    detail = "Something went wrong on our side and has been written to the log; try again."
    response = answer(500, "failed", detail)
    dress(response.headers)  # this handler runs outside of the outer layer
    return response
