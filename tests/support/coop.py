"""A ROOST Coop for tests: a real HTTP server that takes reports as Coop documents them, and misbehaves when told to.

Coop itself is a set of services that cannot be had here; its contract is tests/support/coop-report.schema.json.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from jsonschema import Draft202012Validator

KEY = "coop-key"
REPORT = Draft202012Validator(
    json.loads((Path(__file__).parent / "coop-report.schema.json").read_text()),
    format_checker=Draft202012Validator.FORMAT_CHECKER,
)
Misdeed = int | Callable[[BaseHTTPRequestHandler], None]
"""A status to answer with, or what to do instead of answering."""


@dataclass
class Coop:
    """`misdeeds`: what it does to the next requests instead of taking them; `of_item`: the same to all about a case.
    `reports`: the bodies that it took; `wrong`: what was wrong with requests."""

    address: str = ""
    misdeeds: list[Misdeed] = field(default_factory=list)
    of_item: dict[str, Misdeed] = field(default_factory=dict)
    reports: list[dict] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    asked: int = 0

    @property
    def cases(self) -> list[str]:
        return [report["reportedItem"]["id"] for report in self.reports]

    def settings(self, **more: object) -> dict[str, object]:
        plain = {"url": self.address, "api_key": KEY, "item_type_id": "type-avatar", "reporter_type_id": "type-user"}
        return plain | more


def error_body(title: str, **more: str) -> bytes:
    return json.dumps(
        {"errors": [{"status": 400, "type": ["/errors/invalid-user-input"], "title": title, **more}]}
    ).encode()


def respond(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def running_coop() -> Iterator[Coop]:
    coop = Coop()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            coop.asked += 1
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/api/v1/report" or self.headers["Content-Type"] != "application/json":
                coop.wrong.append(f"{self.path} {self.headers['Content-Type']}")
            coop.wrong += [error.message for error in REPORT.iter_errors(body)]
            if self.headers["X-API-KEY"] != KEY:
                respond(self, 401, error_body("Invalid API Key"))
                return
            misdeed = coop.misdeeds.pop(0) if coop.misdeeds else coop.of_item.get(body["reportedItem"]["id"])
            if callable(misdeed):
                misdeed(self)
            elif misdeed is not None:
                respond(self, misdeed, error_body("Out of order") if misdeed < 500 else b"<html>oh no</html>")
            else:
                coop.reports.append(body)
                respond(self, 201, b'{"reportId": "1"}', Content_Type="application/json")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # who was cut off on purpose
    coop.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield coop
    server.shutdown()
    server.server_close()
