"""HTML from a template, in the visitor's language and with what every page shows: head, navigation, footer.

Templates have, besides what a page hands them: `visit`, `navigation`, `here` (the path), `form_token` (goes into every
form), `static("name")`, `languages`, and the filters `moment`, `ago`, `day`, `date` (with the year), `span` (of
seconds), `number`, `percent`.
`_` takes texts of ours only: what it gives is not escaped again, while the values that fill it in are. `N_` names a
text that `_` says later.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.dates import format_date, format_datetime, format_skeleton, format_timedelta
from babel.numbers import format_decimal, format_percent
from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from config import Settings
from records.errors import RecordsError
from records.people.moderators import Role
from web.console.report_lanes import lanes_for, waiting_for
from web.languages import LANGUAGES, N_, Language
from web.security import (
    FORM_COOKIE,
    PLACE_FIELD,
    REPORT_PATH,
    TOKEN_FIELD,
    Visit,
    at_report_door,
    desk_of,
    place_of,
    visit_of,
)

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
REPORTS = "/reports"
FORMATTED = 4096
"""Numbers that are kept as they are shown."""
WORKERS: tuple[Role, ...] = ("moderator", "lead")
GALLERY_READERS: tuple[Role, ...] = ("curator", "lead", "administrator")
AUDITORS: tuple[Role, ...] = ("auditor", "administrator")
QUALITY_READERS: tuple[Role, ...] = ("lead", "administrator")


@dataclass(frozen=True, slots=True)
class Room:
    """An entry of the navigation, for those who may enter; no roles: for everybody. `key` goes there."""

    path: str
    name: str
    key: str | None = None
    roles: tuple[Role, ...] = ()


ROOMS = (
    Room("/queue", N_("Queue"), "q", WORKERS),
    Room(REPORTS, N_("Reports"), "v", WORKERS),
    Room("/search", N_("Search"), "/", WORKERS),
    Room("/identities", N_("Gallery"), "g", GALLERY_READERS),
    Room("/audit", N_("Audit log"), "l", AUDITORS),
    Room("/people", N_("People"), roles=("administrator",)),
    Room("/tokens", N_("Tokens"), roles=("administrator",)),
    Room("/appeals", N_("Appeals"), "p", ("lead",)),
    Room("/quality", N_("Quality"), roles=QUALITY_READERS),
    Room("/account", N_("Account")),
)


def static_folder() -> str:
    """The path under which static/ is served; it changes with any file in it, so that browsers may keep them."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return f"/static/{digest.hexdigest()[:12]}"


def environments(static: str, clock: Callable[[], datetime]) -> dict[str, Environment]:
    """What renders templates, by language code."""
    return {code: _environment(language, static, clock) for code, language in LANGUAGES.items()}


def rooms_for(visit: Visit, settings: Settings) -> list[Room]:
    """What the visitor may enter; the first is where they begin."""
    if visit.session is None:
        return []
    role = visit.session.moderator.role
    rooms = [room for room in ROOMS if not room.roles or role in room.roles]
    return [room for room in rooms if room.path != REPORTS or lanes_for(settings.reports, role)]


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page from templates/. Raises DatabaseAway when the visitor's session was not looked up yet."""
    visit = visit_of(request)
    environment: Environment = request.app.state.environments[visit.language.code]
    place = place_of(request) if request.method == "GET" else REPORT_PATH if at_report_door(request) else "/"
    html = environment.get_template(template).render(
        visit=visit,
        navigation=rooms_for(visit, desk_of(request).settings),
        waiting_in=_waiting(request, visit, status),
        here=request.url.path,
        form_token=_form_token(visit, place),
        languages=LANGUAGES.values(),
        **values,
    )
    response = HTMLResponse(html, status)
    if visit.new_token:
        set_cookie(response, FORM_COOKIE, visit.csrf_token)
    return response


def _waiting(request: Request, visit: Visit, status: int) -> dict[str, int]:
    """How much waits in rooms that say so, by path. Nothing is counted for a page that tells of an error of ours."""
    if visit.session is None or status >= 500:
        return {}
    desk = desk_of(request)
    lanes = lanes_for(desk.settings.reports, visit.session.moderator.role)
    try:
        return {REPORTS: waiting_for(lanes, desk.open_reports.get())} if lanes else {}
    except RecordsError:
        return {}


def set_cookie(response: Response, name: str, value: str, *, days: int = 0) -> None:
    """A cookie that only this host gets, over TLS, from its own pages; `days` 0: until the browser closes."""
    response.set_cookie(
        name, value, max_age=days * 86_400 or None, path="/", secure=True, httponly=True, samesite="strict"
    )


def _form_token(visit: Visit, place: str) -> Markup:
    fields = '<input type="hidden" name="{}" value="{}"><input type="hidden" name="{}" value="{}">'
    return Markup(fields).format(TOKEN_FIELD, visit.csrf_token, PLACE_FIELD, place)  # noqa: S704  # format escapes


def _environment(language: Language, static: str, clock: Callable[[], datetime]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.install_gettext_translations(language.texts, newstyle=True)  # type: ignore[attr-defined]
    environment.globals["N_"] = N_
    environment.globals["static"] = lambda name: f"{static}/{name}"

    def moment(at: datetime) -> Markup:
        shown = f"{format_datetime(at, 'medium', locale=language.locale)} UTC"
        return Markup('<time datetime="{}" data-moment>{}</time>').format(at.isoformat(timespec="seconds"), shown)

    def ago(at: datetime) -> Markup:
        shown = format_timedelta(at - clock(), add_direction=True, locale=language.locale)
        full = f"{format_datetime(at, 'medium', locale=language.locale)} UTC"
        return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(timespec="seconds"), full, shown)

    @lru_cache(FORMATTED)  # a page of figures says a few of them hundreds of times
    def number(value: float) -> str:
        return format_decimal(value, locale=language.locale)

    @lru_cache(FORMATTED)
    def percent(value: float) -> str:
        return format_percent(value, locale=language.locale)

    def span(seconds: float) -> str:
        return format_timedelta(timedelta(seconds=seconds), locale=language.locale)

    def day(at: datetime) -> str:
        return format_skeleton("MMMd", at, locale=language.locale)

    def date(at: datetime) -> str:
        return format_date(at, "long", locale=language.locale)

    environment.filters.update(moment=moment, ago=ago, day=day, date=date, span=span, number=number, percent=percent)
    return environment
