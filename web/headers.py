"""The outermost layer: how much may come in, and the headers of all that goes out."""

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FORM_BYTES = 200_000
"""No form of ours is longer; more is not read, unless whoever sends it may: see `allow_bytes`."""
DISCARDED_BYTES = 500_000_000
"""Of a body that is too long, what is thrown away before the answer: browsers show none until they have sent all."""
MOST_BYTES = "most_bytes"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}
UNLESS_SAID = {
    "Cache-Control": "no-store",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def dress(headers: MutableHeaders) -> None:
    """Adds the headers that every answer has; what a page says about caching and cameras stays."""
    headers.update(HEADERS)
    for name, value in UNLESS_SAID.items():
        headers.setdefault(name, value)


def allow_bytes(request: Request, most: int) -> None:
    """Lets this request's body have up to `most` bytes."""
    setattr(request.state, MOST_BYTES, most)


class OuterLayer:
    """ASGI middleware: dresses every answer, refuses a request whose body is too long with 413, and one that chooses
    how its form is decoded, as no browser does, with 415."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken = 0
        state = scope.setdefault("state", {})
        kind = b" ".join(value for name, value in scope["headers"] if name == b"content-type").lower()

        async def receive_part() -> Message:
            nonlocal taken
            if b"multipart" in kind and b"charset" in kind:  # punycode, say, is decoded in quadratic time
                raise HTTPException(415)
            message = await receive()
            taken += len(message.get("body", b""))
            if taken <= state.get(MOST_BYTES, FORM_BYTES):
                return message
            while message.get("more_body") and taken < DISCARDED_BYTES:
                message = await receive()
                taken += len(message.get("body", b""))
            raise HTTPException(413)

        async def send_dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                dress(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive_part, send_dressed)
