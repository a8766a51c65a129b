"""Which machine a fetch ends up at: redirects, names and their addresses."""

import socket

import pytest

from tests.support.fetching import PICTURE, fetcher, refusal, resolving
from tests.support.web_site import WebSite, answer, redirect

# Belongs to AS112, whose purpose is to swallow stray traffic: public, and nothing answers there.
PUBLIC_SINK = "192.31.196.1"


@pytest.fixture
def site():
    with WebSite({"/a.jpg": answer(PICTURE)}).running() as running:
        yield running


def test_a_redirect_to_another_allowed_host_is_followed(site):
    with WebSite({"/old": redirect(site.url("/a.jpg"))}).running() as start:
        assert fetcher(site, start).fetch(start.url("/old")) == PICTURE


def test_a_redirect_into_a_private_network_is_refused_and_never_asked(site):
    with WebSite({"/secret": answer(b"secret")}).running() as inner:
        site.answers["/out"] = redirect(inner.url("/secret"))
        assert refusal(fetcher(site), site.url("/out")).reason == "private_address"
        assert not inner.clients


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data/", "private_address"),
        ("http://[::ffff:10.0.0.1]/", "private_address"),
        ("http://2130706433:1/", "private_address"),
        ("http://elsewhere.example/", "host_not_allowed"),
        ("http://me:pass@127.0.0.1/", "url_invalid"),
        ("file:///etc/passwd", "redirect_refused"),
        ("gopher://127.0.0.1/", "redirect_refused"),
        ("http://[", "url_invalid"),
    ],
)
def test_each_hop_is_checked_like_the_first(site, location, reason):
    site.answers["/out"] = redirect(location)
    assert refusal(fetcher(site), site.url("/out")).reason == reason


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("/a%0d%0aX-Evil:%20yes", "/a%0D%0AX-Evil:%20yes"),
        ("/a\rX-Evil: yes", "/a"),
        ("/a\nX-Evil: yes", "/a"),
        ("/a\r\n X-Evil: yes", "/a%20X-Evil:%20yes"),
        ("/a\x00X-Evil: yes", "/a%00X-Evil:%20yes"),
        ("/a HTTP/1.1\x0b\x0cX-Evil: yes", "/a%20HTTP/1.1%0B%0CX-Evil:%20yes"),
        ("/a\xc4\x8d\xc4\x8aX-Evil: yes", "/a%C4%8D%C4%8AX-Evil:%20yes"),
    ],
)
def test_a_redirect_cannot_put_a_line_into_the_next_request(site, location, asked):
    site.answers |= {"/out": redirect(location), asked: answer(PICTURE)}
    assert fetcher(site).fetch(site.url("/out")) == PICTURE
    assert site.asked == ["/out", asked]


def test_an_encoded_line_break_in_a_url_stays_encoded(site):
    site.answers["/a%0D%0AHost:%20evil.example%0D%0A"] = answer(PICTURE)
    assert fetcher(site).fetch(site.url("/a%0D%0AHost:%20evil.example%0d%0a")) == PICTURE


def test_a_loop_of_redirects_ends_at_once(site):
    site.answers |= {"/ping": redirect("/pong"), "/pong": redirect("/ping")}
    assert refusal(fetcher(site, max_redirects=20), site.url("/ping")).reason == "too_many_redirects"
    assert site.asked == ["/ping", "/pong"]


def test_only_as_many_redirects_are_followed_as_allowed(site):
    site.answers |= {"/2": redirect("/1"), "/1": redirect("/0"), "/0": answer(PICTURE)}
    assert fetcher(site, max_redirects=2).fetch(site.url("/2")) == PICTURE
    assert refusal(fetcher(site, max_redirects=1), site.url("/2")).reason == "too_many_redirects"
    assert refusal(fetcher(site, max_redirects=0), site.url("/1")).reason == "too_many_redirects"


def test_a_name_that_turns_private_between_two_look_ups_never_reaches_the_private_server(site):
    host = f"rebind.example:{site.port}"
    fetch = fetcher(
        allowed_hosts=[host],
        private_hosts=[],
        attempts=2,
        connect_seconds=0.2,
        resolve=resolving([[PUBLIC_SINK], ["127.0.0.1"]]),
    )
    assert refusal(fetch, f"http://{host}/a.jpg").reason == "private_address"
    assert not site.clients


def test_one_private_address_among_public_ones_refuses_the_host(site):
    host = f"mixed.example:{site.port}"
    fetch = fetcher(allowed_hosts=[host], private_hosts=[], resolve=resolving([[PUBLIC_SINK, "127.0.0.1"]]))
    assert refusal(fetch, f"http://{host}/a.jpg").reason == "private_address"
    assert not site.clients


def test_the_connection_goes_to_the_address_that_was_vetted_without_a_second_look_up(site):
    looked_up = []
    resolve = resolving([["127.0.0.1"]])

    def counting(host, port, **keywords):
        looked_up.append(host)
        return resolve(host, port, **keywords)

    host = f"img.invalid:{site.port}"
    fetch = fetcher(allowed_hosts=["img.invalid"], private_hosts=[host], resolve=counting)
    assert fetch.fetch(f"http://{host}/a.jpg") == PICTURE
    assert fetch.fetch(f"http://{host}/a.jpg") == PICTURE
    assert looked_up == ["img.invalid"]


def test_the_next_address_is_tried_when_the_first_does_not_answer(site):
    host = f"img.invalid:{site.port}"
    fetch = fetcher(
        allowed_hosts=["img.invalid"], private_hosts=[host], resolve=resolving([["127.0.0.2", "127.0.0.1"]])
    )
    assert fetch.fetch(f"http://{host}/a.jpg") == PICTURE


@pytest.mark.parametrize(("code", "tries"), [(socket.EAI_NONAME, 1), (socket.EAI_AGAIN, 3)])
def test_a_name_that_does_not_exist_is_asked_once_and_a_resolver_that_fails_again(code, tries):
    calls, waits = [], []

    def resolve(host, port, **_):
        calls.append(host)
        raise socket.gaierror(code, "no")

    fetch = fetcher(allowed_hosts=["nowhere.example"], attempts=3, resolve=resolve, sleep=waits.append)
    assert refusal(fetch, "http://nowhere.example/").reason == "unreachable"
    assert len(calls) == tries
    assert len(waits) == tries - 1
