"""No visitor waits for ever: a database that is frozen holds threads which nothing can end, but not their visitors."""

import asyncio
import logging
from collections.abc import Callable, Collection

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEADLINE_SECONDS = 8.0

log = logging.getLogger(__name__)


class Deadline:
    """ASGI middleware: who has sent a request and hears nothing for DEADLINE_SECONDS is told `late` instead.

    What the page does goes on and stands; what it says then is dropped. `patient`: paths that may take longer; `late`
    must ask no database.
    """

    def __init__(self, app: ASGIApp, patient: Collection[str], late: Callable[[Request], Response]) -> None:
        self._app = app
        self._patient = patient
        self._late = late

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._patient:
            await self._app(scope, receive, send)
            return
        begun, late = asyncio.Event(), False
        since: float | None = asyncio.get_running_loop().time()  # None: we wait for the visitor

        async def listen() -> Message:
            nonlocal since
            since = None
            message = await receive()
            since = asyncio.get_running_loop().time()
            return message

        async def say(message: Message) -> None:
            if late:
                return
            begun.set()
            await send(message)

        page = asyncio.ensure_future(self._app(scope, listen, say))
        answered = asyncio.ensure_future(begun.wait())
        try:
            while not (page.done() or begun.is_set()):  # `answered` is told a moment later
                now = asyncio.get_running_loop().time()
                left = DEADLINE_SECONDS if since is None else since + DEADLINE_SECONDS - now
                if left <= 0:
                    late = True
                    page.add_done_callback(_tell)
                    await self._late(Request(scope))(scope, receive, send)
                    return
                await asyncio.wait({page, answered}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            await page
        finally:
            answered.cancel()


def _tell(page: "asyncio.Future[None]") -> None:
    if not page.cancelled() and (error := page.exception()) is not None:
        log.warning("a page that took too long failed: %s", type(error).__name__)
