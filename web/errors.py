"""From what went wrong to a page, or to JSON for a program, that says what to do next."""

import logging
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from records.errors import DatabaseAway, RecordsError
from web.headers import dress
from web.languages import N_
from web.problems import Elsewhere, NotSignedIn, Problem, Way, not_found, stale_form
from web.refusals import REFUSALS
from web.rendering import render
from web.security import REPORT_UPLOADS, UPLOAD_PATH, at_report_door, make_visit, place_of, visit_of

RETRY_SECONDS = 10
LOGIN = Way(N_("Log in"), "/login")

log = logging.getLogger(__name__)


def handle_errors(app: FastAPI) -> None:
    """Registers the handlers of all that pages raise; they run in threads, as pages do."""
    handlers: dict[type[Exception], Callable[[Request, Any], Response]] = {
        Problem: answer,
        NotSignedIn: _not_signed_in,
        Elsewhere: lambda _request, elsewhere: RedirectResponse(elsewhere.path, 303),
        HTTPException: _http,
        RequestValidationError: _stale,
        RecordsError: _records,
        Exception: _failed,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def answer(request: Request, problem: Problem) -> Response:
    """The page, or the JSON, of a problem."""
    try:
        visit = visit_of(request)
    except RecordsError:
        visit = request.state.visit = make_visit(request, None)
    response: Response
    if wants_json(request):
        said = {"error": problem.reason, "message": visit.language.text(problem.text)}
        response = JSONResponse(said, problem.status)
    else:
        template = "report_error.html" if at_report_door(request) else "error.html"
        response = render(request, template, problem.status, problem=problem)
    if problem.retry:
        response.headers["Retry-After"] = str(problem.retry)
    return response


def too_late(request: Request) -> Response:
    """The page for who has waited long enough; asks no database."""
    if not hasattr(request.state, "visit"):
        request.state.visit = make_visit(request, None)
    return _away(request, DatabaseAway.reason)


def wants_json(request: Request) -> bool:
    """Whether a program asks: under /api, or a script of ours that says so."""
    return request.url.path.startswith("/api/") or request.headers.get("Accept", "").startswith("application/json")


def _not_signed_in(request: Request, error: NotSignedIn) -> Response:
    if wants_json(request):
        text = N_("Your login has ended; log in again.")
        return answer(request, Problem(401, "not_signed_in", N_("Log in"), text, LOGIN))
    if request.method == "GET" and request.headers.get("Sec-Fetch-Site") == "cross-site":
        return render(request, "arrive.html", place=error.place)
    query = {"next": error.place} if error.place != "/" else {}
    if error.sent:
        query["why"] = "lost"
    elif visit_of(request).had_session:
        query["why"] = "ended"
    return RedirectResponse(f"/login?{urlencode(query)}" if query else "/login", 303)


def _http(request: Request, error: HTTPException) -> Response:
    if error.status_code == 413:
        title, text = N_("That is too large"), N_("Nothing was changed. Go back, and send less.")
        if request.url.path == UPLOAD_PATH:
            text = N_("Nothing was added. Go back, and send fewer photos at a time, or smaller copies.")
        if request.url.path in REPORT_UPLOADS:
            text = N_("This photo was not taken in. Go back, and choose a smaller copy of it.")
        return answer(request, Problem(413, "too_large", title, text))
    if error.status_code == 404:
        return answer(request, not_found())
    if error.status_code == 405:
        text = N_("This address only takes forms. Begin again at the start page.")
        response = answer(request, Problem(405, "wrong_method", N_("There is nothing to read here"), text))
        response.headers.update(cast(dict[str, str], error.headers or {}))
        return response
    return answer(request, stale_form(error.status_code))


def _stale(request: Request, _error: RequestValidationError) -> Response:
    if request.method == "GET":
        text = N_("A part of it is wrong, or too long. Go back, or begin again at the start page.")
        return answer(request, Problem(422, "wrong_address", N_("This address could not be read"), text))
    return answer(request, stale_form(422))


def _records(request: Request, error: RecordsError) -> Response:
    if refusal := REFUSALS.get(error.reason):
        return answer(request, Problem(refusal.status, error.reason, refusal.title, refusal.text, refusal.way))
    if error.reason in ("database_away", "schema_mismatch"):
        log.warning("the records cannot be used: %s", error)
        return _away(request, error.reason)
    raise error


def _away(request: Request, reason: str) -> Response:
    title = N_("The records do not answer")
    text = N_("What you did last may not be saved; all that was saved is safe. Try again in a moment.")
    way = Way(N_("Try again"), place_of(request) if request.method == "GET" else "/")
    return answer(request, Problem(503, reason, title, text, way, retry=RETRY_SECONDS))


def _failed(request: Request, _error: Exception) -> Response:
    title = N_("Something went wrong on our side")
    text = N_("It has been written to the log. Try again; if it happens again, tell whoever runs this console.")
    response = answer(request, Problem(500, "failed", title, text))
    dress(response.headers)  # this handler runs outside of the outer layer
    return response
