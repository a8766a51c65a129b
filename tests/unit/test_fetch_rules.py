"""Which URLs and addresses may be asked, and the reason that a refusal gives."""

import re
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.settings import SettingsError, load_settings
from consumers import fetch, fetch_hosts, fetch_http, fetch_lookup, fetch_object, fetch_queue, fetch_rules
from consumers.fetch import REASONS, FetchRefused, PictureFetcher
from consumers.fetch_rules import HostRules, HttpTarget, is_public


class NetworkAskedError(BaseException):
    pass


def no_network(host, port, **_):
    raise NetworkAskedError(host, port)


def fetcher(**settings):
    values = {"allowed_hosts": [], "private_hosts": [], "allowed_buckets": [], **settings}
    return PictureFetcher(load_settings(fetch=values).fetch, 1000, resolve=no_network)


@pytest.fixture(scope="module")
def strict():
    """Allows HOSTS and one bucket; made once, since it loads the client of object stores."""
    return fetcher(allowed_hosts=HOSTS, allowed_buckets=["mine"])


HOSTS = ["img.example.com", "*.cdn.example.com", "shop.example.com:8443", "bücher.example", "93.184.216.34", "minio"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "url_invalid"),
        ("picture.jpg", "url_invalid"),
        ("//img.example.com/a.jpg", "url_invalid"),
        ("http://", "url_invalid"),
        ("http:///a.jpg", "url_invalid"),
        ("http://img.example.com:99999/a.jpg", "url_invalid"),
        ("http://img.example.com:0/a.jpg", "url_invalid"),
        ("http://img.example.com:http/a.jpg", "url_invalid"),
        ("http://user:secret@img.example.com/a.jpg", "url_invalid"),
        ("http://img.example.com\\@evil.example/a.jpg", "url_invalid"),
        ("http://img.example.com@evil.example/a.jpg", "url_invalid"),
        ("http://img.example.com%2eevil.example/a.jpg", "url_invalid"),
        ("http://img.example.com%00.evil.example/a.jpg", "url_invalid"),
        ("http://img.example.com/a.jpg\r\nHost: evil.example", "url_invalid"),
        ("http://img.example.com/a\tb", "url_invalid"),
        ("http://img.exa\nmple.com/a.jpg", "url_invalid"),
        (" http://img.example.com/a.jpg", "url_invalid"),
        ("http://img example.com/a.jpg", "url_invalid"),
        ("http://img..example.com/a.jpg", "url_invalid"),
        ("http://" + "a" * 64 + ".example.com/", "url_invalid"),
        ("http://[::1/a.jpg", "url_invalid"),
        ("http://img.example.com/" + "a" * 9000, "url_invalid"),
        ("http://img.example.com/\ud800", "url_invalid"),
        ("gs://bucket/a.jpg", "scheme_not_allowed"),
        ("az://bucket/a.jpg", "scheme_not_allowed"),
        ("ftp://img.example.com/a.jpg", "scheme_not_allowed"),
        ("data:image/png;base64,AAAA", "scheme_not_allowed"),
        ("javascript:alert(1)", "scheme_not_allowed"),
        ("simplecache::http://img.example.com/a.jpg", "scheme_not_allowed"),
        ("http://evil.example/a.jpg", "host_not_allowed"),
        ("http://example.com/a.jpg", "host_not_allowed"),
        ("http://www.img.example.com/a.jpg", "host_not_allowed"),
        ("http://cdn.example.com/a.jpg", "host_not_allowed"),
        ("http://evilcdn.example.com/a.jpg", "host_not_allowed"),
        ("http://img.example.com.evil.example/a.jpg", "host_not_allowed"),
        ("http://8.8.8.8/a.jpg", "host_not_allowed"),
        ("http://img.example.com:22/a.jpg", "port_not_allowed"),
        ("http://shop.example.com/a.jpg", "port_not_allowed"),
        ("http://127.0.0.1/a.jpg", "private_address"),
        ("http://127.1/a.jpg", "private_address"),
        ("http://0x7f.1/a.jpg", "private_address"),
        ("http://0177.0.0.1/a.jpg", "private_address"),
        ("http://2130706433/a.jpg", "private_address"),
        ("http://0/a.jpg", "private_address"),
        ("http://１２７.0.0.1/a.jpg", "private_address"),
        ("http://127。0。0。1/a.jpg", "private_address"),
        ("http://127.0.0.1./a.jpg", "private_address"),
        ("http://169.254.169.254/latest/meta-data/", "private_address"),
        ("http://[::1]/a.jpg", "private_address"),
        ("http://[::ffff:127.0.0.1]/a.jpg", "private_address"),
        ("http://[::ffff:7f00:1]/a.jpg", "private_address"),
        ("http://[fe80::1%25eth0]/a.jpg", "private_address"),
        ("http://[64:ff9b::10.0.0.1]/a.jpg", "private_address"),
        ("file:///etc/passwd", "file_root_not_set"),
        ("s3://bucket/a.jpg", "bucket_not_allowed"),
        ("s3://bucket", "url_invalid"),
        ("s3:///a.jpg", "url_invalid"),
        ("s3://mine/../other/a.jpg", "url_invalid"),
    ],
)
def test_a_url_that_may_not_be_fetched_is_refused_before_any_network(strict, url, reason):
    with pytest.raises(FetchRefused) as refused:
        strict.fetch(url)
    assert refused.value.reason == reason
    assert reason in REASONS
    assert refused.value.detail.endswith(".")
    assert not refused.value.retryable


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://img.example.com/a.jpg", "img.example.com", 80),
        ("https://IMG.example.com./a.jpg", "img.example.com", 443),
        ("https://img.example.com:80/a.jpg", "img.example.com", 80),
        ("https://a.b.cdn.example.com/a.jpg", "a.b.cdn.example.com", 443),
        ("https://shop.example.com:8443/a.jpg", "shop.example.com", 8443),
        ("https://BÜCHER.example/a.jpg", "xn--bcher-kva.example", 443),
        ("http://93.184.216.34/a.jpg", "93.184.216.34", 80),
        ("http://0x5db8d822/a.jpg", "93.184.216.34", 80),
        ("http://minio:9000/a.jpg", "minio", 9000),
    ],
)
def test_an_allowed_host_is_asked_for_under_its_plain_name(url, host, port):
    with pytest.raises(NetworkAskedError) as asked:
        fetcher(allowed_hosts=HOSTS, private_hosts=["minio:9000"]).fetch(url)
    assert asked.value.args == (host, port)


def test_a_star_allows_every_public_host_but_no_odd_port_and_no_private_address():
    anywhere = fetcher(allowed_hosts=["*"])
    with pytest.raises(NetworkAskedError):
        anywhere.fetch("https://anything.example/a.jpg")
    for url, reason in [("http://anything.example:25/", "port_not_allowed"), ("http://10.0.0.7/", "private_address")]:
        with pytest.raises(FetchRefused) as refused:
            anywhere.fetch(url)
        assert refused.value.reason == reason


def test_a_wildcard_does_not_take_part_of_an_address_for_a_subdomain():
    with pytest.raises(FetchRefused) as refused:
        HostRules(["*.8.8"], []).check(HttpTarget.parse("http://8.8.8.8/"))
    assert refused.value.reason == "host_not_allowed"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"allowed_hosts": ["https://img.example.com"]}, "https://img.example.com"),
        ({"allowed_hosts": ["img.example.com/pictures"]}, "img.example.com/pictures"),
        ({"allowed_hosts": ["img.example.com:http"]}, "img.example.com:http"),
        ({"allowed_hosts": ["img.*.com"]}, "img.*.com"),
        ({"allowed_hosts": [""]}, "allowed_hosts"),
        ({"private_hosts": ["minio"]}, "host:port"),
        ({"private_hosts": ["*:9000"]}, "host:port"),
    ],
)
def test_an_entry_that_could_never_match_is_an_error_at_start(settings, said):
    with pytest.raises(SettingsError, match=re.escape(said)):
        fetcher(**settings)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1"),
        *("198.18.0.1", "192.0.2.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::1"),
        *("2001:0:7f00:1::", "2001:db8::1", "fc00::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "100::1"),
    ],
)
def test_a_private_local_or_reserved_address_is_not_public(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_an_address_of_the_public_internet_is_public(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b.jpg", "https://img.example.com:443/b.jpg"),
        ("b c.jpg?w=1#part", "https://img.example.com:443/a/b%20c.jpg?w=1"),
        ("//other.example/b", "https://other.example:443/b"),
        ("https://other.example:8443", "https://other.example:8443/"),
        ("/b%2Fc", "https://img.example.com:443/b%2Fc"),
        ("/caf\u00c3\u00a9.jpg", "https://img.example.com:443/caf%C3%A9.jpg"),
    ],
)
def test_a_redirect_is_read_relative_to_the_page_it_came_from(location, url):
    assert HttpTarget.parse("https://img.example.com/a/a.jpg").follow(location) == HttpTarget.parse(url)


@pytest.mark.parametrize("location", ["http://img.example.com/a.jpg", "file:///etc/passwd", "s3://b/k", "ftp://x/y"])
def test_a_redirect_from_https_leads_nowhere_but_to_https(location):
    with pytest.raises(FetchRefused) as refused:
        HttpTarget.parse("https://img.example.com/a.jpg").follow(location)
    assert refused.value.reason == "redirect_refused"


def test_a_refusal_does_not_repeat_the_query_which_may_hold_a_signature():
    with pytest.raises(FetchRefused) as refused:
        fetcher().fetch("https://img.example.com/a.jpg?X-Amz-Signature=c0ffee")
    assert "c0ffee" not in str(refused.value)


@given(st.one_of(st.text(), st.text().map("http://".__add__), st.text().map("https://127.0.0.1".__add__)))
@example("http://[")
@example("http://[v1.x]/")
@example("http://\u2100/")
@example("http://xn--a/")
@example("s3://[")
@example("file://[")
@settings(deadline=None)
def test_whatever_text_comes_as_a_url_ends_as_a_refusal(url):
    with pytest.raises(FetchRefused) as refused:
        fetcher().fetch(url)
    assert refused.value.reason in REASONS


def test_every_reason_that_the_code_gives_is_explained_and_every_explanation_is_needed():
    modules = (fetch, fetch_hosts, fetch_http, fetch_lookup, fetch_object, fetch_queue, fetch_rules)
    sources = "".join(Path(module.__file__).read_text() for module in modules)
    assert set(re.findall(r'FetchRefused\(\s*"(\w+)"', sources)) == set(REASONS)


def test_a_file_root_that_is_no_folder_is_refused_at_once(tmp_path):
    with pytest.raises(SettingsError, match="file_root: there is no folder"):
        fetcher(file_root=tmp_path / "nowhere")
