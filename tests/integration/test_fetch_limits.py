"""No server takes more of a fetch than its bytes and its seconds."""

import gc
import gzip
import socket
import threading
import time
import tracemalloc
from contextlib import ExitStack

import pytest

from tests.support.fetching import MAX_BYTES, PICTURE, fetcher, refusal, resolving
from tests.support.web_site import WebSite, answer, drip, redirect


@pytest.fixture
def site():
    with WebSite({"/a.jpg": answer(PICTURE)}).running() as running:
        yield running


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 1 << 30, 10**30])
def test_a_declared_size_above_the_limit_is_refused_before_the_body(site, size):
    site.answers["/big"] = drip(answer(b"", length=size), b"x")
    started = time.monotonic()
    assert refusal(fetcher(site), site.url("/big")).reason == "too_many_bytes"
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        ("HTTP/1.1 200 OK\r\n\r\n", b"x" * 50_000),
        ("HTTP/1.1 200 OK\r\nContent-Length: lots\r\n\r\n", b"x" * 50_000),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"x" * 50_000),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"8000\r\n" + b"x" * 0x8000 + b"\r\n"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"8000\r\n" + b"x" * 0x8000 + b"\r\n",
        ),
    ],
)
def test_an_endless_body_is_given_up_at_the_limit(site, head, piece):
    site.answers["/endless"] = drip(head.encode(), piece, pause=0.001)
    started = time.monotonic()
    assert refusal(fetcher(site), site.url("/endless")).reason == "too_many_bytes"
    assert time.monotonic() - started < 2


def test_bytes_beyond_the_declared_length_reach_neither_this_picture_nor_the_next(site):
    site.answers["/short"] = answer(b"abcd" + answer(b"smuggled"), length=4)
    fetch = fetcher(site)
    assert fetch.fetch(site.url("/short")) == b"abcd"
    assert fetch.fetch(site.url("/a.jpg")) == PICTURE


def test_a_body_that_breaks_off_is_no_picture(site):
    site.answers["/cut"] = lambda: [answer(PICTURE, length=len(PICTURE) + 1)]
    site.answers["/cut-chunk"] = lambda: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"]
    for path in ("/cut", "/cut-chunk"):
        refused = refusal(fetcher(site), site.url(path))
        assert (refused.reason, refused.retryable) == ("unreachable", True)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Header: yes\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 50_000),
        (b"HTTP/1.1 200 O", b"K" * 50_000),
        (b"HTTP/1.1 100 Continue\r\n", b"X-Header: yes\r\n" * 1000),
        (CHUNKED, b"0" * 50_000),
        (CHUNKED + b"1;name=", b"x" * 50_000),
        (CHUNKED + b"0\r\nX: ", b"x" * 50_000),
    ],
    ids=["headers", "header", "status", "continue", "chunk size", "chunk extension", "trailer"],
)
def test_an_endless_head_is_given_up_before_it_fills_the_memory(site, first, piece):
    site.answers["/endless"] = drip(first, piece, pause=0.001)
    started = time.monotonic()
    assert refusal(fetcher(site), site.url("/endless")).reason == "unreachable"
    assert time.monotonic() - started < 2


BOMB = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "br", "zstd", "GZIP, identity", "gzip, gzip"])
def test_a_compressed_answer_is_refused_instead_of_unpacked(site, encoding):
    site.answers["/bomb"] = answer(BOMB, Content_Encoding=encoding)
    assert refusal(fetcher(site), site.url("/bomb")).reason == "encoding_not_allowed"


@pytest.mark.parametrize("header", ["Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked\r\nTE: gzip"])
def test_an_answer_that_is_compressed_on_its_way_is_not_unpacked(site, header):
    chunk = f"{len(BOMB):x}\r\n".encode() + BOMB + b"\r\n0\r\n\r\n"
    site.answers["/bomb"] = lambda: [f"HTTP/1.1 200 OK\r\n{header}\r\n\r\n".encode() + chunk]
    fetched = fetcher(site).fetch(site.url("/bomb"))
    assert BOMB in fetched
    assert len(fetched) < MAX_BYTES


def test_what_came_in_of_a_refused_picture_is_freed_at_once(site):
    site.answers["/endless"] = drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 50_000, pause=0.001)
    fetch = fetcher(site)
    refusal(fetch, site.url("/endless"))
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(30):
            refusal(fetch, site.url("/endless"))
        assert tracemalloc.get_traced_memory()[0] < 10 * MAX_BYTES
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (answer(b"", length=9000), b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (CHUNKED + b"0\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 ", b"2"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (answer(b"", "302 Found", length=900, Location="/a.jpg"), b"x"),
        (b"", b""),
    ],
    ids=["body", "chunks", "chunk size", "trailers", "header", "status", "continue", "redirect", "silence"],
)
def test_a_server_that_drips_its_answer_is_given_up_when_the_time_is_over(site, first, piece):
    site.answers["/drip"] = drip(first, piece)
    started = time.monotonic()
    refused = refusal(fetcher(site, total_seconds=0.6, attempts=3), site.url("/drip"))
    assert (refused.reason, refused.retryable) == ("fetch_timeout", True)
    assert 0.5 < time.monotonic() - started < 1.2


def test_endless_interim_answers_are_given_up_when_the_time_is_over(site):
    site.answers["/endless"] = drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, pause=0.001)
    started = time.monotonic()
    assert refusal(fetcher(site, total_seconds=0.6), site.url("/endless")).reason == "fetch_timeout"
    assert time.monotonic() - started < 1.2


def test_redirects_and_retries_share_one_time_limit(site):
    def slowly():
        time.sleep(0.25)
        yield answer(status="503 Busy")

    site.answers |= {"/one": redirect("/two"), "/two": slowly}
    started = time.monotonic()
    refused = refusal(fetcher(site, total_seconds=0.8, attempts=50), site.url("/one"))
    assert refused.reason in ("http_status", "fetch_timeout")
    assert time.monotonic() - started < 1.3
    assert site.asked.count("/two") > 1


def test_a_resolver_that_hangs_does_not_hold_the_fetch():
    answered = threading.Event()

    def resolve(*_, **__):
        answered.wait(20)
        return []

    fetch = fetcher(allowed_hosts=["slow.example"], total_seconds=0.4, resolve=resolve)
    started = time.monotonic()
    assert refusal(fetch, "http://slow.example/").reason == "fetch_timeout"
    assert time.monotonic() - started < 1
    answered.set()


def test_names_that_hang_do_not_keep_others_from_being_looked_up(site):
    answered, known = threading.Event(), resolving([["127.0.0.1"]])

    def resolve(host, port, **keywords):
        if host != "img.example":
            answered.wait(20)
        return known(host, port, **keywords)

    host = f"img.example:{site.port}"
    fetch = fetcher(
        allowed_hosts=["*.example"], private_hosts=[host], total_seconds=0.05, concurrency=1, resolve=resolve
    )
    for number in range(10):
        assert refusal(fetch, f"http://slow-{number}.example/").reason == "fetch_timeout"
    answering = fetcher(allowed_hosts=["*.example"], private_hosts=[host], resolve=resolve)
    assert answering.fetch(f"http://{host}/a.jpg") == PICTURE
    answered.set()


def test_a_host_that_takes_no_connection_is_given_up_after_the_connect_limit():
    # A listener whose queue is full leaves further connections unanswered.
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = waiting.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        fetch = fetcher(private_hosts=[f"127.0.0.1:{port}"], connect_seconds=0.3)
        started = time.monotonic()
        refused = refusal(fetch, f"http://127.0.0.1:{port}/")
        assert (refused.reason, refused.retryable) == ("unreachable", True)
        assert 0.2 < time.monotonic() - started < 1
