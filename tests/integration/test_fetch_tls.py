"""https: the certificate must be trusted and be for the host that was asked."""

import socket
import threading
import time

import pytest

from tests.support.certificates import self_signed
from tests.support.fetching import PICTURE, fetcher, refusal, resolving
from tests.support.web_site import WebSite, answer, drip


@pytest.fixture
def secure(tmp_path):
    """A site whose certificate is signed by itself, for 127.0.0.1 only, and the certificate's path."""
    context, file = self_signed(tmp_path)
    with WebSite({"/a.jpg": answer(PICTURE)}, tls=context).running() as running:
        yield running, file


def test_a_certificate_of_an_unknown_issuer_is_refused_in_one_sentence(secure):
    site, _ = secure
    refused = refusal(fetcher(site, attempts=3), site.url("/a.jpg"))
    assert (refused.reason, refused.retryable) == ("unreachable", False)
    assert "certificate" in refused.detail
    assert "\n" not in refused.detail
    assert not site.asked


def test_a_trusted_certificate_is_accepted_and_its_connection_kept(secure, monkeypatch):
    site, certificate = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    fetch = fetcher(site)
    assert fetch.fetch(site.url("/a.jpg")) == PICTURE
    assert fetch.fetch(site.url("/a.jpg")) == PICTURE
    assert len(site.clients) == 1


def test_a_trusted_certificate_for_another_name_is_refused(secure, monkeypatch):
    site, certificate = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    host = f"img.invalid:{site.port}"
    fetch = fetcher(allowed_hosts=["img.invalid"], private_hosts=[host], resolve=resolving([["127.0.0.1"]]))
    refused = refusal(fetch, f"https://{host}/a.jpg")
    assert refused.reason == "unreachable"
    assert "img.invalid" in refused.detail
    assert not site.asked


def test_a_dripping_body_over_tls_ends_in_time(secure, monkeypatch):
    site, certificate = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    site.answers["/drip"] = drip(answer(b"", length=9000), b"x")
    started = time.monotonic()
    assert refusal(fetcher(site, total_seconds=0.6), site.url("/drip")).reason == "fetch_timeout"
    assert time.monotonic() - started < 1.2


def test_a_server_that_never_finishes_the_tls_handshake_ends_in_time():
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        fetch = fetcher(private_hosts=[f"127.0.0.1:{port}"], total_seconds=0.5)
        assert refusal(fetch, f"https://127.0.0.1:{port}/").reason == "fetch_timeout"
    assert time.monotonic() - started < 1.2


def test_a_server_that_speaks_no_tls_is_unreachable_behind_https():
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]

        def greet():
            connection, _ = plain.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(4096)

        greeting = threading.Thread(target=greet)
        greeting.start()
        refused = refusal(fetcher(private_hosts=[f"127.0.0.1:{port}"]), f"https://127.0.0.1:{port}/")
        greeting.join()
    assert refused.reason == "unreachable"
    assert "TLS" in refused.detail
