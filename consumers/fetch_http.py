"""Pictures over http and https: vetted addresses, redirects by hand, no wait longer than the fetch has left."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, SSLError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError

from config.settings import Fetch
from consumers.fetch_lookup import Lookups, Resolve
from consumers.fetch_rules import Deadline, FetchRefused, HostRules, HttpTarget

PIECE = 64 * 1024
HEADERS = {"Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity", "User-Agent": "likeness"}
GONE = {404, 410}
PASSING = {408, 425, 429, 500, 502, 503, 504}
KEPT_POOLS = 64


@dataclass(frozen=True, slots=True)
class _Visit:
    """The request that this thread is in; pooled connections outlive it and look it up anew."""

    connect: Callable[[], socket.socket]
    deadline: Deadline


_visit: ContextVar[_Visit] = ContextVar("visit")


class _PlainSocket(socket.socket):
    """Each read waits for what the fetch has left, so a server that drips bytes, even of its headers, gains no time."""

    def recv_into(self, *args: Any) -> int:
        self.settimeout(_visit.get().deadline.left())
        return super().recv_into(*args)


class _TlsSocket(ssl.SSLSocket):
    def recv_into(self, *args: Any) -> int:
        self.settimeout(_visit.get().deadline.left())
        return super().recv_into(*args)


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _visit.get().connect()


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _visit.get().connect()


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class HttpSource:
    """Reads pictures from web servers. Thread-safe; idle connections are kept and used again."""

    def __init__(self, fetch: Fetch, max_bytes: int, resolve: Resolve) -> None:
        self._hosts = HostRules(fetch.allowed_hosts, fetch.private_hosts)
        self._connect_seconds = fetch.connect_seconds
        self._max_redirects = fetch.max_redirects
        self._max_bytes = max_bytes
        self._lookups = Lookups(resolve)
        context = ssl.create_default_context()
        context.sslsocket_class = _TlsSocket
        # A PoolManager never asks the environment for proxies: one would connect past the vetted addresses.
        self._pools = urllib3.PoolManager(KEPT_POOLS, maxsize=fetch.concurrency, ssl_context=context)
        self._pools.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

    def read(self, url: str, deadline: Deadline) -> bytes:
        """The body behind a URL, redirects followed, each hop checked anew. Raises FetchRefused."""
        target = HttpTarget.parse(url)
        seen = {target}
        while True:
            self._hosts.check(target)
            with self._asked(target, deadline) as response:
                location = response.get_redirect_location()
                if not location:
                    return self._body(response, target)
                if response.length_remaining is not None and response.length_remaining <= PIECE:
                    response.drain_conn()
            target = target.follow(location)
            if target in seen or len(seen) > self._max_redirects:
                kind = "in a loop" if target in seen else f"more than {self._max_redirects} times"
                raise FetchRefused("too_many_redirects", f"{target.host} redirects {kind}: publish the final URL.")
            seen.add(target)

    def close(self) -> None:
        self._pools.clear()

    @contextmanager
    def _asked(self, target: HttpTarget, deadline: Deadline) -> Iterator[urllib3.BaseHTTPResponse]:
        token = _visit.set(_Visit(lambda: self._connect(target, deadline), deadline))
        try:
            pool = self._pools.connection_from_host(target.host, target.port, target.scheme)
            timeout = urllib3.Timeout(total=deadline.left())
            response = pool.urlopen(
                "GET",
                target.path,
                headers=HEADERS,
                retries=False,
                redirect=False,
                timeout=timeout,
                preload_content=False,
                decode_content=False,
            )
            try:
                yield response
            finally:
                # Read to its end, the connection is back in its pool by now; otherwise this closes it.
                response.close()
        except HTTPTimeoutError as error:
            raise deadline.passed() from error
        except SSLError as error:
            cause = error.args[0] if error.args else error
            verdict = getattr(cause, "verify_message", "") or str(cause)
            detail = f"TLS with {target.authority} failed ({verdict}): mend its certificate or trust its issuer."
            raise FetchRefused(
                "unreachable", detail, retryable=not isinstance(cause, ssl.SSLCertVerificationError)
            ) from error
        except HTTPError as error:
            detail = f"The connection to {target.authority} broke ({type(error).__name__}): look at that server."
            raise FetchRefused("unreachable", detail, retryable=True) from error
        finally:
            _visit.reset(token)

    def _body(self, response: urllib3.BaseHTTPResponse, target: HttpTarget) -> bytes:
        status = response.status
        if status in GONE:
            raise FetchRefused("not_found", f"{target.host} has no such picture (HTTP {status}).")
        if status != 200:
            detail = f"{target.host} answered HTTP {status} instead of the picture."
            raise FetchRefused("http_status", detail, retryable=status in PASSING)
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            detail = f"{target.host} sent the picture {encoding[:20]}-compressed unasked: switch that off for images."
            raise FetchRefused("encoding_not_allowed", detail)
        if isinstance(response, urllib3.HTTPResponse) and (response.length_remaining or 0) > self._max_bytes:
            raise self._too_large(target)
        body = bytearray()
        while piece := response.read1(PIECE, decode_content=False):
            body += piece
            if len(body) > self._max_bytes:
                raise self._too_large(target)
        return bytes(body)

    def _too_large(self, target: HttpTarget) -> FetchRefused:
        return FetchRefused("too_many_bytes", f"The picture from {target.host} is larger than {self._max_bytes} bytes.")

    def _connect(self, target: HttpTarget, deadline: Deadline) -> socket.socket:
        """A connection to one of the addresses that were vetted here, so that no second look-up can differ."""
        failure: OSError | None = None
        for family, kind, protocol, _, address in self._addresses(target, deadline):
            seconds = min(self._connect_seconds, deadline.left())
            try:
                sock = _PlainSocket(family, kind, protocol)
            except OSError as error:
                failure = error
                continue
            try:
                sock.settimeout(seconds)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.connect(address)
                sock.settimeout(deadline.left())
            except OSError as error:
                sock.close()
                failure = error
            except FetchRefused:
                sock.close()
                raise
            else:
                return sock
        detail = f"{target.authority} does not accept connections ({failure or 'no address'}): look at that server."
        raise FetchRefused("unreachable", detail, retryable=True) from failure

    def _addresses(self, target: HttpTarget, deadline: Deadline) -> list[Any]:
        found = self._lookups.find(target.host, target.port, deadline)
        self._hosts.vet(target, [ip_address(entry[4][0]) for entry in found])
        return found
