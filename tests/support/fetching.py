"""A fetcher with limits that suit tests, and what it says when it refuses."""

import socket

import pytest

from config.settings import load_settings
from consumers.fetch import FetchRefused, PictureFetcher

PICTURE = bytes(range(256)) * 20
MAX_BYTES = 100_000


def fetcher(*sites, **settings):
    hosts = [f"127.0.0.1:{site.port}" for site in sites]
    keywords = {name: settings.pop(name) for name in ("resolve", "sleep") if name in settings}
    values = {"allowed_hosts": ["127.0.0.1"], "private_hosts": hosts, "total_seconds": 5, "attempts": 1, **settings}
    return PictureFetcher(load_settings(fetch=values).fetch, MAX_BYTES, **keywords)


def refusal(fetch, url):
    with pytest.raises(FetchRefused) as refused:
        fetch.fetch(url)
    return refused.value


def resolving(addresses):
    """A resolver that answers with the next list of addresses, and with the last one from then on."""
    answers = list(addresses)

    def resolve(host, port, **_):
        now = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)) for address in now]

    return resolve
