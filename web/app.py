"""The web application over one desk: the console with its API, the report page, or both, as web.serves says."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.staticfiles import StaticFiles
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from web import language_choice, pages, report
from web.api.app import PATH as API_PATH
from web.api.app import make_api
from web.api.problems import too_late as api_too_late
from web.api.reports import PATH as REPORTS_PATH
from web.deadline import Deadline
from web.desk import Desk
from web.errors import handle_errors, too_late
from web.headers import OuterLayer
from web.oidc import OidcClient
from web.rate_limit import RateLimit
from web.rendering import STATIC, environments, static_folder
from web.security import REPORT_UPLOADS, UPLOAD_PATH, checked_form

LOGIN_BURST = 10
LOGIN_SECONDS = 6.0
YEAR_SECONDS = 31_536_000
PATIENT = (UPLOAD_PATH, f"{API_PATH}{REPORTS_PATH}", "/identities/add", "/identities/tray", *REPORT_UPLOADS)
"""Where photos are judged, compared with the whole gallery, and stored."""


def make_app(desk: Desk) -> FastAPI:
    """The application, to be served by uvicorn. Connects to nothing yet."""
    app = FastAPI(
        title="Likeness",
        dependencies=[Depends(checked_form)],
        openapi_url=None,
        redirect_slashes=False,  # it would redirect to whatever host the request names
    )
    static = static_folder()
    app.state.desk = desk
    app.state.environments = environments(static, desk.clock)
    app.state.login_limit = RateLimit(burst=LOGIN_BURST, seconds=LOGIN_SECONDS, clock=lambda: desk.clock().timestamp())
    web = desk.settings.web
    app.state.oidc = OidcClient(web, clock=desk.clock) if web.oidc.issuer else None
    app.add_middleware(Deadline, patient=PATIENT, late=_too_late)
    app.add_middleware(OuterLayer)  # the last is the outermost
    app.mount(static, _KeptFiles(directory=STATIC))
    if "console" in web.serves:
        app.mount(API_PATH, make_api(desk))
    else:
        app.add_api_route("/", lambda: RedirectResponse("/report", 303))
    app.include_router(language_choice.router)
    for package in (pages,) * ("console" in web.serves) + (report,) * ("reports" in web.serves):
        for router in _routers(package):
            app.include_router(router)
    handle_errors(app)
    return app


def _routers(package: ModuleType) -> Iterator[APIRouter]:
    """Of each module that has one."""
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if (router := getattr(importlib.import_module(found.name), "router", None)) is not None:
            yield router


def _too_late(request: Request) -> Response:
    return api_too_late() if request.url.path.startswith(f"{API_PATH}/") else too_late(request)


class _KeptFiles(StaticFiles):
    """Files that browsers may keep: their path changes when they do."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = f"public, max-age={YEAR_SECONDS}, immutable"
        return response
