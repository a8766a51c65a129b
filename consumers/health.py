"""/metrics, /healthz and /readyz over HTTP, for Prometheus and for an orchestrator.

/healthz fails when the consumer no longer polls: restart it. /readyz fails while it waits or loads: it says for what.
"""

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Probe = Callable[[], str | None]
"""None when all is well, else one sentence that says what is not."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: probes come every few seconds."""


class HealthServer:
    """Serves in a thread of its own from construction to `close`."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, healthy: Probe, ready: Probe) -> None:
        """`port` 0 takes a free one. Raises OSError when the address cannot be had."""
        metrics = make_wsgi_app(registry)

        def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            probes = {"/healthz": healthy, "/readyz": ready}
            path = environ.get("PATH_INFO", "/")
            if path == "/metrics":
                body: Iterable[bytes] = metrics(environ, start_response)
                return body
            if path not in probes:
                return _text(start_response, "404 Not Found", "There are /metrics, /healthz and /readyz.")
            trouble = probes[path]()
            return _text(start_response, "503 Service Unavailable" if trouble else "200 OK", trouble or "ok")

        self._server = make_server(host, port, answer, server_class=_Server, handler_class=_Quiet)
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _text(start_response: StartResponse, status: str, body: str) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
    return [body.encode() + b"\n"]
