"""What may be fetched: the rules for a picture's URL and the addresses behind it, and why a fetch is refused."""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from config.settings import SettingsError

REASONS = MappingProxyType(
    {
        "url_invalid": "The URL cannot be read, or holds a user name, control characters or an impossible host.",
        "scheme_not_allowed": "The URL's scheme is none of http, https, s3 and file.",
        "host_not_allowed": "The host is not in allowed_hosts.",
        "port_not_allowed": "The port is neither 80 nor 443 nor listed with its host.",
        "private_address": "The host lies in a private, local or reserved network and is not in private_hosts.",
        "redirect_refused": "A redirect leaves http and https, or leads from https back to http.",
        "too_many_redirects": "More redirects than max_redirects, or a loop of them.",
        "too_many_bytes": "The picture is larger than max_bytes.",
        "encoding_not_allowed": "The server compressed its answer although it was asked not to.",
        "fetch_timeout": "The picture was not there within total_seconds, waiting, redirects and retries included.",
        "host_down": "The host failed breaker_failures times in a row and is left alone for breaker_seconds.",
        "unreachable": "The host does not resolve, does not connect, fails TLS or breaks the connection.",
        "http_status": "The server answered with a status other than 200, 404 and 410.",
        "not_found": "There is no such picture: 404, 410, no such object or no such file.",
        "file_root_not_set": "A file:// URL came although file_root is empty.",
        "file_outside_root": "The file, symbolic links followed, lies outside file_root.",
        "not_a_file": "The path names a folder, a pipe, a socket or a device.",
        "file_unreadable": "The operating system would not open or read the file.",
        "bucket_not_allowed": "The bucket is not in allowed_buckets.",
        "object_store_unavailable": "The package that reads s3:// is not installed.",
        "object_error": "The object store answered with an error.",
        "fetch_failed": "The client failed in a way that is none of the above.",
    }
)
"""Every reason code of FetchRefused and what it means."""

MAX_URL = 8192
DEFAULT_PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class FetchRefused(Exception):
    """A picture's bytes could not be had.

    `reason` is a key of REASONS; `detail` is one sentence for the operator, without the URL's query, which may hold
    a signature; `retryable` tells whether the same fetch may succeed later.
    """

    def __init__(self, reason: str, detail: str, *, retryable: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of one fetch, in seconds of `clock`; `total` is what it was given."""

    at: float
    total: float
    clock: Callable[[], float]

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float]) -> Self:
        return cls(clock() + seconds, seconds, clock)

    @property
    def remaining(self) -> float:
        return self.at - self.clock()

    def left(self) -> float:
        """The seconds that are left, above 0. Raises FetchRefused when there are none."""
        if (seconds := self.remaining) > 0:
            return seconds
        raise self.passed()

    def passed(self) -> FetchRefused:
        detail = f"The picture did not arrive within {self.total:g} s: look at its server, or raise total_seconds."
        return FetchRefused("fetch_timeout", detail, retryable=True)


def split_url(url: str) -> SplitResult:
    """The parts of a URL of any scheme. Raises FetchRefused (`url_invalid`) for what no client should be given."""
    if len(url) > MAX_URL:
        raise FetchRefused("url_invalid", f"The URL is longer than {MAX_URL} characters.")
    # urlsplit would drop some of these silently, and what is checked must be what is asked for.
    if url != url.strip() or any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in url):
        raise FetchRefused("url_invalid", "The URL holds control characters or outer spaces: leave them out.")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise FetchRefused("url_invalid", f"The URL cannot be read: {error}.") from error
    if not parts.scheme:
        raise FetchRefused("url_invalid", "The URL has no scheme, such as https://.")
    return parts


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """One request: `host` is an ASCII name or a plainly written address, `path` holds path and query, encoded."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises FetchRefused with `url_invalid` when the URL names no host that could be asked."""
        parts = split_url(url)
        if "@" in parts.netloc:
            raise FetchRefused("url_invalid", "The URL carries a user name or password: use a signed or a plain URL.")
        try:
            host, port = ascii_host(parts.hostname or ""), parts.port
        except ValueError as error:
            raise FetchRefused("url_invalid", f"The URL's host or port is impossible: {error}.") from error
        if port == 0:
            raise FetchRefused("url_invalid", "Port 0 cannot be asked.")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], quote(path, safe="%/?:@!$&'()*+,;=~[]|"))

    def follow(self, location: str) -> Self:
        """Where a Location header leads from here. Raises FetchRefused when it leaves http(s) or falls back to http."""
        # http.client reads headers as Latin-1, so this gives back the bytes that the server sent.
        raw = quote(location.encode("latin-1", "replace"), safe="%/?#:@!$&'()*+,;=~[]|")
        try:
            url = urljoin(f"{self.scheme}://{self.authority}{self.path}", raw)
        except ValueError as error:
            raise FetchRefused(
                "url_invalid", f"{self.host} redirects to a URL that cannot be read: {error}."
            ) from error
        scheme = split_url(url).scheme
        if scheme not in DEFAULT_PORTS or (self.scheme, scheme) == ("https", "http"):
            detail = f"{self.host} redirects from {self.scheme} to {scheme}: publish the final URL of the picture."
            raise FetchRefused("redirect_refused", detail)
        return self.parse(url)

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class HostRules:
    """`allowed_hosts` and `private_hosts`, read once. A bare host stands for ports 80 and 443."""

    def __init__(self, allowed_hosts: Iterable[str], private_hosts: Iterable[str]) -> None:
        """Raises SettingsError for an entry that could never match."""
        self._allowed = frozenset(_entry("allowed_hosts", text) for text in allowed_hosts)
        private = [(text, *_entry("private_hosts", text)) for text in private_hosts]
        for text, host, port in private:
            if port is None or host.startswith("*"):
                raise SettingsError(f"fetch.private_hosts: {text} is no host:port pair, such as minio:9000.")
        self._private = frozenset((host, port) for _, host, port in private)

    def check(self, target: HttpTarget) -> None:
        """Raises FetchRefused unless host and port may be asked. Names are not resolved here: see `vet`."""
        if (address := literal_address(target.host)) is not None:
            self.vet(target, [address])
        ports = {port for host, port in self._allowed if _matches(host, target.host)}
        if not ports:
            raise FetchRefused(
                "host_not_allowed", f"{target.host} is not in allowed_hosts: add it if pictures lie there."
            )
        listed = target.port in ports or (target.host, target.port) in self._private
        if not listed and not (None in ports and target.port in DEFAULT_PORTS.values()):
            raise FetchRefused("port_not_allowed", f"Port {target.port} needs {target.authority} in allowed_hosts.")

    def vet(self, target: HttpTarget, addresses: Iterable[Address]) -> None:
        """Raises FetchRefused when one address is not public, unless the target may be private."""
        if (target.host, target.port) in self._private:
            return
        if any(not is_public(address) for address in addresses):
            raise FetchRefused(
                "private_address",
                f"{target.authority} lies in a private network: "
                "only if it is your own store, list it in private_hosts and allowed_hosts.",
            )


def is_public(address: Address) -> bool:
    """Whether an address is of the public Internet; an IPv4 address wrapped in IPv6 is judged by what it wraps."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if (wrapped := address.ipv4_mapped or address.sixtofour) is not None:
            return is_public(wrapped)
        if address not in GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast


def literal_address(host: str) -> Address | None:
    """The address that a host spells out, in any notation a resolver takes (127.1, 0x7f000001), or None."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def ascii_host(host: str) -> str:
    """A host in the one form that rules compare: lower case, ASCII, no closing dot. Raises ValueError."""
    if not host.isascii():
        # The codec takes quadratic time on long labels.
        host = host[:254].encode("idna").decode("ascii")
    host = host.lower().removesuffix(".")
    if (address := literal_address(host)) is not None:
        return str(address)
    labels = host.split(".")
    if len(host) > 253 or not all(re.fullmatch(r"[a-z0-9_-]{1,63}", label) for label in labels):
        raise ValueError(f"{host[:80]!r} is no host name")
    return host


def _matches(entry: str, host: str) -> bool:
    return entry in ("*", host) or (
        entry.startswith("*.") and host.endswith(entry[1:]) and literal_address(host) is None
    )


def _entry(setting: str, text: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{text}")
        if parts.netloc != text or "@" in text or parts.hostname is None:
            raise ValueError("a host or host:port is expected")
        host, port = parts.hostname, parts.port
        if host == "*":
            return host, port
        return ("*." + ascii_host(host[2:]) if host.startswith("*.") else ascii_host(host)), port
    except ValueError as error:
        raise SettingsError(f"fetch.{setting}: {text!r} cannot be read: {error}.") from None
