"""Pictures arrive over HTTP, and answers that are no picture are refused, against servers on 127.0.0.1."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.fetching import MAX_BYTES, PICTURE, fetcher, refusal, resolving
from tests.support.web_site import WebSite, answer, redirect


@pytest.fixture
def site():
    with WebSite({"/a.jpg": answer(PICTURE)}).running() as running:
        yield running


def test_a_picture_arrives_byte_for_byte(site):
    assert fetcher(site).fetch(site.url("/a.jpg")) == PICTURE


def test_a_second_picture_from_the_same_host_uses_the_same_connection(site):
    fetch = fetcher(site)
    site.answers["/moved"] = redirect("/a.jpg")
    for path in ("/a.jpg", "/moved", "/a.jpg"):
        assert fetch.fetch(site.url(path)) == PICTURE
    assert len(site.asked) == 4
    assert len(site.clients) == 1


def test_a_connection_that_the_host_closed_meanwhile_is_opened_anew(site):
    site.answers["/once"] = lambda: [answer(PICTURE)]
    fetch = fetcher(site)
    for _ in range(3):
        assert fetch.fetch(site.url("/once")) == PICTURE
        time.sleep(0.05)
    assert len(site.clients) == 3


def test_many_threads_each_get_their_own_picture(site):
    pictures = {f"/{number}": bytes([number]) * 3000 for number in range(64)}
    site.answers |= {path: answer(body) for path, body in pictures.items()}
    fetch = fetcher(site)
    with ThreadPoolExecutor(16) as pool:
        fetched = dict(zip(pictures, pool.map(lambda path: fetch.fetch(site.url(path)), pictures), strict=True))
    assert fetched == pictures
    assert len(site.clients) <= 16


def test_path_and_query_are_sent_as_given_and_encoded_where_they_must_be(site):
    site.answers["/caf%C3%A9%20a.jpg?w=1&sig=a%2Fb+c"] = answer(PICTURE)
    assert fetcher(site).fetch(site.url("/café a.jpg?w=1&sig=a%2Fb+c#part")) == PICTURE


def test_a_chunked_answer_and_one_without_a_length_arrive_whole(site):
    site.answers["/chunked"] = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    )
    site.answers["/open"] = lambda: [b"HTTP/1.1 200 OK\r\n\r\n", PICTURE, PICTURE]
    fetch = fetcher(site)
    assert fetch.fetch(site.url("/chunked")) == b"abcde"
    assert fetch.fetch(site.url("/open")) == PICTURE * 2


def test_a_picture_of_exactly_the_largest_size_is_taken(site):
    site.answers["/full"] = answer(b"x" * MAX_BYTES)
    assert len(fetcher(site).fetch(site.url("/full"))) == MAX_BYTES


def test_an_ipv6_host_is_asked(site):
    fetch = fetcher(
        site, allowed_hosts=["[::1]"], private_hosts=[f"[::1]:{site.port}"], resolve=resolving([["127.0.0.1"]])
    )
    assert fetch.fetch(site.url("/a.jpg", host="[::1]")) == PICTURE


def test_proxies_of_the_environment_are_not_used(site, monkeypatch):
    with WebSite({}).running() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        monkeypatch.setenv("http_proxy", proxy.url())
        assert fetcher(site).fetch(site.url("/a.jpg")) == PICTURE
        assert not proxy.clients


@pytest.mark.parametrize("first", ["500 Oops", "503 Busy", "429 Slow down"])
def test_a_passing_failure_is_tried_again(site, first):
    site.answers["/flaky"] = [answer(status=first), answer(PICTURE)]
    assert fetcher(site, attempts=2).fetch(site.url("/flaky")) == PICTURE


def test_attempts_are_limited_and_the_last_reason_is_told(site):
    site.answers["/down"] = answer(status="503 Busy")
    waits = []
    refused = refusal(fetcher(site, attempts=3, sleep=waits.append), site.url("/down"))
    assert (refused.reason, refused.retryable) == ("http_status", True)
    assert "503" in refused.detail
    assert site.asked == ["/down"] * 3
    assert len(waits) == 2
    assert all(0 <= wait <= 2 for wait in waits)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("404 Not Found", "not_found"),
        ("410 Gone", "not_found"),
        ("403 Forbidden", "http_status"),
        ("204 No Content", "http_status"),
        ("206 Partial Content", "http_status"),
        ("302 Found", "http_status"),
        ("304 Not Modified", "http_status"),
    ],
)
def test_a_lasting_failure_is_asked_once(site, status, reason):
    site.answers["/no"] = answer(status=status)
    refused = refusal(fetcher(site, attempts=3), site.url("/no"))
    assert (refused.reason, refused.retryable) == (reason, False)
    assert site.asked == ["/no"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_an_answer_that_is_not_http_is_refused(site, garbage):
    site.answers["/garbage"] = lambda: [garbage]
    assert refusal(fetcher(site), site.url("/garbage")).reason == "unreachable"


def test_a_closed_port_is_unreachable():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    refused = refusal(fetcher(private_hosts=[f"127.0.0.1:{port}"]), f"http://127.0.0.1:{port}/")
    assert (refused.reason, refused.retryable) == ("unreachable", True)
    assert f"127.0.0.1:{port}" in refused.detail
