"""Login through an OpenID Connect provider on another site, in a real browser with its rules for cookies."""

import socket

import pytest

from records.database import open_database
from tests.support.console_site import make_desk, running_site
from tests.support.oidc_provider import CLIENT, SECRET, OidcProvider


@pytest.fixture
def provider():
    with OidcProvider().running() as running:
        running.person("mia", "people")
        yield running


@pytest.fixture
def desk(tmp_path, provider):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        provider.site = f"http://127.0.0.1:{taken.getsockname()[1]}"
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    oidc = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret": SECRET, "label": "Acme ID"}
    oidc |= {"roles": {"people": "moderator"}, "allow_passwords": False}
    yield make_desk(database, web={"public_address": provider.site, "oidc": oidc})
    database.close()


@pytest.fixture
def page(chromium, desk, provider):
    with running_site(desk, port=int(provider.site.rpartition(":")[2])):
        context = chromium.browser.new_context(locale="en-GB")
        context.set_default_timeout(15_000)
        yield context.new_page()
        context.close()


def log_in(page, name):
    page.click("text=Log in with Acme ID")
    page.wait_for_url("http://localhost:*/**")
    page.fill("[name=who]", name)
    page.click("button")


def test_one_comes_back_from_the_provider_logged_in_at_the_page_one_wanted(page, desk, provider):
    page.goto(f"{provider.site}/account")
    log_in(page, "mia")
    page.wait_for_url(f"{provider.site}/account")
    assert page.text_content("h1") == "Account"
    assert "Mia Holm" in page.text_content("main")
    cookies = {one["name"]: one["sameSite"] for one in page.context.cookies(provider.site)}
    assert cookies == {"__Host-likeness": "Strict"}


def test_one_leaves_the_console_and_the_provider(page, provider):
    page.goto(f"{provider.site}/queue")
    log_in(page, "mia")
    page.wait_for_url(f"{provider.site}/queue")
    page.click("text=Log out")
    page.wait_for_url(f"{provider.site}/login?why=out")
    assert "You are logged out." in page.text_content("main")
    assert "/logout" in provider.asked
    page.goto(f"{provider.site}/queue")
    assert "/login" in page.url


def test_whom_the_provider_turns_away_is_told_so_and_can_begin_again(page, provider):
    page.goto(f"{provider.site}/queue")
    log_in(page, "stranger")
    page.wait_for_url(f"{provider.site}/login/oidc/callback?**")
    assert page.text_content("h1") == "The login service did not let you in"
    page.click("main >> text=Log in")
    log_in(page, "mia")
    page.wait_for_url(f"{provider.site}/queue")
