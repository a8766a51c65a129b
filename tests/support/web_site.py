"""A web server on 127.0.0.1 that answers byte for byte as a test says, however wrong that is."""

import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

Pieces = Callable[[], Iterable[bytes]]
Answer = bytes | list[bytes] | Pieces
"""The same bytes each time, one after another (the last one stays), or pieces that are sent as they come."""


def answer(body: bytes = b"", status: str = "200 OK", length: int | None = None, **headers: str) -> bytes:
    """A whole HTTP response; `length` is what Content-Length claims."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def redirect(location: str, body: bytes = b"moved") -> bytes:
    return answer(body, "302 Found", Location=location)


class WebSite:
    """`asked` holds the path of each request, `clients` the port of each connection."""

    def __init__(self, answers: Mapping[str, Answer], tls: ssl.SSLContext | None = None) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []
        self.clients: list[int] = []
        self.port = 0
        self._tls = tls

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    @contextmanager
    def running(self) -> Iterator["WebSite"]:
        site = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                site.clients.append(self.client_address[1])
                try:
                    stream = site._tls.wrap_socket(self.request, server_side=True) if site._tls else self.request
                    with stream:
                        while site._answer_one(stream):
                            pass
                except OSError:
                    pass  # the client left, which is what many of these tests are about

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128  # beyond it a client waits a second before it knocks again
            block_on_close = False

        with Server(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def _answer_one(self, stream) -> bool:  # type: ignore[no-untyped-def]
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := stream.recv(4096)):
                return False
            head += piece
        path = head.split(b" ")[1].decode()
        self.asked.append(path)
        said = self.answers.get(path, answer(status="404 Not Found"))
        if isinstance(said, list):
            said = said.pop(0) if len(said) > 1 else said[0]
        if isinstance(said, bytes):
            stream.sendall(said)
            return True
        for piece in said():
            stream.sendall(piece)
        return False


def drip(first: bytes, piece: bytes, pause: float = 0.05, seconds: float = 20) -> Pieces:
    """`first` at once, then `piece` again and again."""

    def pieces() -> Iterator[bytes]:
        yield first
        for _ in range(int(seconds / pause)):
            yield piece
            time.sleep(pause)

    return pieces
