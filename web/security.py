"""Who asks, and whether a form is really theirs.

`visit_of` finds the session behind the cookie; `signed_in(roles...)` is the dependency that pages declare;
`checked_form` runs before every route and refuses forms that another site or another login made.
"""

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar
from urllib.parse import unquote, urlsplit

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser

from config import Settings
from records.people.moderators import Role
from records.people.web_sessions import Session
from web.desk import Desk
from web.headers import DISCARDED_BYTES, FORM_BYTES, allow_bytes
from web.languages import Language, choose_language
from web.preferences import Preferences
from web.problems import NotSignedIn, draft_gone, forbidden, forged, not_found, stale_form

MultiPartParser.spool_max_size = DISCARDED_BYTES  # photos stay in memory: /tmp would keep them in the clear
SESSION_COOKIE = "__Host-likeness"
FORM_COOKIE = "__Host-likeness-form"
LANGUAGE_COOKIE = "__Host-likeness-language"
ATTEMPT_COOKIE = "__Host-likeness-oidc"
TOKEN_FIELD = "csrf_token"  # noqa: S105  # a name
TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105  # a name
PLACE_FIELD = "place"
BEFORE_LOGIN = ("/login", "/language")
REPORT_PATH = "/report"
REPORT_UPLOADS = (f"{REPORT_PATH}/photos", f"{REPORT_PATH}/challenge")
DRAFT_COOKIE = "__Host-likeness-report-draft"
UPLOAD_PATH = "/identities/photos"
UPLOADERS: tuple[Role, ...] = ("curator",)
MOST_PHOTOS = 20
MOST_UPLOAD_BYTES = 60_000_000
NUL = "\0"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request's visitor. `csrf_token` goes into every form; `new_token`: the browser does not have it yet;
    `had_session`: a session's cookie came, whether the session still is or not."""

    session: Session | None
    had_session: bool
    language: Language
    preferences: Preferences
    csrf_token: str
    new_token: bool


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


DeskOf = Annotated[Desk, Depends(desk_of)]

Kept = TypeVar("Kept")
_making = threading.Lock()


def one_of_process(request: Request, name: str, make: Callable[[Desk], Kept]) -> Kept:
    """What the whole process has one of, under this name; made when it is first asked for, by two at once or not."""
    state = request.app.state
    with _making:
        if not hasattr(state, name):
            setattr(state, name, make(desk_of(request)))
    kept: Kept = getattr(state, name)
    return kept


def visit_of(request: Request) -> Visit:
    """Who asks; found once a request. Raises DatabaseAway."""
    if not hasattr(request.state, "visit"):
        token = request.cookies.get(SESSION_COOKIE)
        request.state.visit = make_visit(request, desk_of(request).sessions.find(token) if token else None)
    visit: Visit = request.state.visit
    return visit


VisitOf = Annotated[Visit, Depends(visit_of)]


def make_visit(request: Request, session: Session | None) -> Visit:
    """The visit of a session, or of nobody; asks no database."""
    kept = session.moderator.settings if session else {}
    preferences = Preferences.read(kept, desk_of(request).settings.console)
    chosen = preferences.language or request.cookies.get(LANGUAGE_COOKIE)
    known_token = session.csrf_token if session else request.cookies.get(FORM_COOKIE)
    return Visit(
        session=session,
        had_session=SESSION_COOKIE in request.cookies,
        language=choose_language(chosen, request.headers.get("Accept-Language", "")),
        preferences=preferences,
        csrf_token=known_token or secrets.token_urlsafe(32),
        new_token=not known_token,
    )


def signed_in(*roles: Role) -> Callable[..., Session]:
    """A dependency that gives the session of somebody with one of these roles; without roles, of anybody.

    Whom it turns away for their role is noted in the audit log.
    """

    def session_of(request: Request, desk: DeskOf, visit: VisitOf) -> Session:
        if visit.session is None:
            raise NotSignedIn(place_of(request))
        moderator = visit.session.moderator
        if roles and moderator.role not in roles:
            details = {"method": request.method, "role": moderator.role}
            desk.audit.append(moderator.id, "forbidden", request.url.path, details)
            raise forbidden()
        return visit.session

    return session_of


async def checked_form(request: Request, visit: VisitOf) -> None:
    """Refuses what would change something unless it comes from our own page and carries the visit's token."""
    if NUL in f"{request.url.path}{unquote(request.url.query)}":  # in no text of ours, and no database takes it
        raise not_found()
    if request.method in SAFE_METHODS:
        return
    if request.url.path == UPLOAD_PATH and visit.session and visit.session.moderator.role in UPLOADERS:
        allow_bytes(request, upload_bytes(desk_of(request).settings))
    gone = False
    if request.url.path in REPORT_UPLOADS and DRAFT_COOKIE in request.cookies:
        # looked up first: the cookie may be made up, to have large bodies read
        gone = not await run_in_threadpool(desk_of(request).report_drafts.has, request.cookies[DRAFT_COOKIE])
        if not gone:
            allow_bytes(request, FORM_BYTES + desk_of(request).settings.pictures.max_bytes)
    try:
        form = await request.form()
    except HTTPException as error:
        if gone and error.status_code == 413:
            raise draft_gone(REPORT_PATH) from None
        raise
    place = own_path(_field(form.get(PLACE_FIELD)))
    if not _from_our_page(request):
        raise forged("/")
    sent = request.headers.get(TOKEN_HEADER) or _field(form.get(TOKEN_FIELD))
    if hmac.compare_digest(sent.encode(), visit.csrf_token.encode()):
        if any(NUL in f"{name}{_field(value)}" for name, value in form.multi_items()):
            raise stale_form(422)
        return
    if at_report_door(request):
        raise forged(place if place != "/" else REPORT_PATH)
    if visit.session is None and request.url.path not in BEFORE_LOGIN:
        raise NotSignedIn(place, sent=True)
    raise forged(place)


def at_report_door(request: Request) -> bool:
    """Whether the page is one of those for people who report, and who have no login."""
    return f"{request.url.path}/".startswith(f"{REPORT_PATH}/")


def upload_bytes(settings: Settings) -> int:
    """How much may come to UPLOAD_PATH at once."""
    return min(MOST_UPLOAD_BYTES, MOST_PHOTOS * settings.pictures.max_bytes)


def place_of(request: Request) -> str:
    """Where the visitor is: path and query, to come back to."""
    query = f"?{request.url.query}" if request.url.query else ""
    return own_path(f"{request.url.path}{query}")


def own_path(text: str) -> str:
    """The text if it is a path on this site that one may be sent to, else "/"."""
    if not text.startswith("/") or text.startswith("//") or "\\" in text or not text.isprintable():
        return "/"
    return text


def _from_our_page(request: Request) -> bool:
    """By what the browser says; a program that says nothing is left to the token."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("Host")


def _field(value: UploadFile | str | None) -> str:
    return value if isinstance(value, str) else ""
