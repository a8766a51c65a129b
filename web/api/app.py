"""The API as an application of its own under /api/v1: without cookies, forms and pages.

Its OpenAPI document is at /api/v1/openapi.json, for everybody; all else needs a token.
"""

import importlib.metadata
from typing import Any

from fastapi import FastAPI

from web.api import appeals, cases, decisions, pictures, queues, reports, statements
from web.api.access import Limits
from web.api.problems import MEDIA_TYPE, ProblemDocument, handle_errors
from web.desk import Desk

PATH = "/api/v1"
DESCRIPTION = """Cases of suspected impersonation, what moderators decide on them, and reports of people whose face was
taken, for a platform's own tools.

Send a token as `Authorization: Bearer lk_...`. Administrators make tokens on the page /tokens, or with
`likeness tokens add`; each has scopes. What is done on a case is done for one of the moderators (`acting_for`), under
the same rules as on the pages.
"""
REFUSED: dict[int, str] = {
    401: "No token, or one that is revoked or expired: `no_token`.",
    403: "The token's scope or the moderator's role is not enough.",
    422: "The request cannot be read, or asks for what is not offered.",
    429: "Too often; `Retry-After` says when to try again: `too_many`.",
    503: "The database is away; try again: `database_away`.",
}


def make_api(desk: Desk) -> FastAPI:
    """The application, to be mounted at PATH."""
    api = _Api(
        title="Likeness",
        version=importlib.metadata.version("likeness"),
        description=DESCRIPTION,
        docs_url=None,  # their scripts would come from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        responses={status: {"model": ProblemDocument, "description": said} for status, said in REFUSED.items()},
        openapi_tags=[
            {"name": "cases", "description": "What is to be decided."},
            {"name": "decisions", "description": "What was decided."},
            {"name": "reports", "description": "People who find their face on a stranger's account."},
        ],
    )
    api.state.desk = desk
    api.state.limits = Limits(lambda: desk.clock().timestamp())
    routers = [part.router for part in (cases, pictures, decisions, statements, appeals, queues, reports)]
    for router in (*routers, reports.sending):
        api.include_router(router)
    handle_errors(api)
    return api


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The document, in which refusals are of their own media type."""
        if self.openapi_schema is None:
            for path in super().openapi()["paths"].values():
                for operation in path.values():
                    for status, answer in operation["responses"].items():
                        if int(status) >= 400 and "content" in answer:
                            answer["content"] = {MEDIA_TYPE: next(iter(answer["content"].values()))}
        document: dict[str, Any] = super().openapi()
        return document
