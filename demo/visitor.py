"""A browser without a screen, for the demo: keeps cookies, sends forms as pages do, follows nothing by itself."""

import html
import re
from collections.abc import Mapping, Sequence
from http.cookies import SimpleCookie

import urllib3

HIDDEN = re.compile(r'<input type="hidden" name="(csrf_token|place)" value="([^"]*)">')


class PageRefused(RuntimeError):
    """A page did not do what it was asked to; the message says which and how it answered."""


class Visitor:
    """`site`: such as http://127.0.0.1:8080. Every method raises PageRefused."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._cookies: dict[str, str] = {}
        self._pool = urllib3.PoolManager(retries=False, timeout=30)

    def read(self, path: str) -> str:
        """The page."""
        answer = self._ask("GET", path, None, {})
        if answer.status != 200:
            raise PageRefused(f"GET {path} answered {answer.status}.")
        return answer.data.decode()

    def send(
        self, path: str, fields: Sequence[tuple[str, str]] = (), *, form_of: str, file: tuple[str, bytes] | None = None
    ) -> str:
        """Sends a form of the page `form_of`, with the bytes of a file in a field if need be; where it leads."""
        parts: list[tuple[str, str | tuple[str, bytes]]] = [*HIDDEN.findall(self.read(form_of))]
        parts = [(name, html.unescape(value)) for name, value in dict(parts).items() if isinstance(value, str)]
        parts += fields
        if file is not None:
            parts.append((file[0], ("photo.jpg", file[1])))
        body, kind = urllib3.encode_multipart_formdata(parts)
        answer = self._ask("POST", path, body, {"Content-Type": kind})
        if answer.status != 303:
            raise PageRefused(f"POST {path} answered {answer.status}.")
        return answer.headers["Location"]

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        sent = {**headers, "Cookie": cookies} if cookies else dict(headers)
        answer = self._pool.request(method, self._site + path, body=body, headers=sent, redirect=False)
        for line in answer.headers.getlist("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                self._cookies[name] = morsel.value
        return answer
