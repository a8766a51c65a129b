"""What keeps strangers, other sites and other roles out of the console's pages, and what people read when it does."""

import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi import APIRouter, Depends

import web
from records.database import open_database
from records.people.web_sessions import Session
from tests.support.chromium import launched
from tests.support.console_site import PASSWORD, Visitor, hidden_fields, make_desk, place_of, running_site, text_of
from tests.support.legs import running_leg
from web.app import make_app
from web.headers import FORM_BYTES
from web.rate_limit import RateLimit
from web.security import signed_in

WEB = Path(web.__file__).parent
PROMISED = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}

more = APIRouter()


@more.get("/for-auditors")
def for_auditors(_session: Annotated[Session, Depends(signed_in("auditor", "administrator"))]) -> str:
    return "audited"


@more.get("/fails")
def fails() -> str:
    raise RuntimeError("a picture of Mia")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("console") / "likeness.db"


@pytest.fixture(scope="module")
def desk(file):
    database = open_database(f"sqlite:///{file}")
    database.migrate()
    desk = make_desk(database)
    for role in ("moderator", "lead", "auditor"):
        desk.moderators.add(role, role.title(), role, PASSWORD)
    yield desk
    database.close()


@pytest.fixture(scope="module")
def site(desk):
    with running_site(desk, more) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    for running in running_leg("browser", launched):
        yield running.browser


def session_of(desk, site, role="moderator"):
    """A visitor whose session has begun, without the seconds that a password takes."""
    visitor = Visitor(site)
    visitor.cookies["__Host-likeness"], _ = desk.sessions.begin(desk.moderators.by_login(role).id)
    return visitor


@pytest.fixture
def moderator(desk, site):
    return session_of(desk, site)


def theme_of(desk):
    return desk.moderators.by_login("moderator").settings.get("theme")


class TestHeaders:
    @pytest.mark.parametrize("path", ["/login", "/", "/account", "/nothing", "/login/../..", "/logout", "/fails"])
    def test_every_answer_has_them_and_is_kept_nowhere(self, moderator, path):
        answer = moderator.get(path)
        assert {name: answer.headers.get(name) for name in PROMISED} == PROMISED
        assert answer.headers["Cache-Control"] == "no-store"

    def test_files_have_them_too_and_may_be_kept_since_their_path_changes_with_them(self, moderator):
        css = re.search(r'href="(/static/[^"]+\.css)"', moderator.get("/account").data.decode()).group(1)
        answer = moderator.get(css)
        assert {name: answer.headers.get(name) for name in PROMISED} == PROMISED
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert moderator.get(css.replace("base.css", "../templates/base.html")).status == 404

    def test_no_template_needs_more_than_the_policy_allows(self):
        for template in (WEB / "templates").rglob("*.html"):
            source = template.read_text(encoding="utf-8")
            loaded = source.replace('<a href="https://', "")  # where a person may go is no part of the page
            assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://|<script(?![^>]*\ssrc=)", loaded), (
                template
            )
            assert "|safe" not in re.sub(r"'[^']*'\|safe", "", source), template

    def test_every_form_that_changes_something_carries_the_token(self):
        for template in (WEB / "templates").rglob("*.html"):
            source = template.read_text(encoding="utf-8")
            forms = re.findall(r'<form[^>]*method="post"[^>]*>\s*(.{0,20})', source)
            assert all(form.startswith("{{ form_token }}") for form in forms), template


class TestForms:
    SETTINGS = {"language": "", "theme": "dark"}

    @pytest.fixture(autouse=True)
    def nothing_chosen(self, desk):
        desk.moderators.save_settings(desk.moderators.by_login("moderator").id, {})

    def test_with_the_pages_token_is_taken(self, desk, moderator):
        assert moderator.post("/account/settings", self.SETTINGS, form_of="/account").status == 303
        assert theme_of(desk) == "dark"

    def test_with_the_token_in_a_header_is_taken(self, desk, moderator):
        token = hidden_fields(moderator.get("/account"))["csrf_token"]
        assert moderator.post("/account/settings", self.SETTINGS, X_CSRF_Token=token).status == 303
        assert theme_of(desk) == "dark"

    @pytest.mark.parametrize("token", [{}, {"csrf_token": ""}, {"csrf_token": "guessed"}, {"csrf_token": "é"}])
    def test_without_it_changes_nothing_and_says_what_to_do(self, desk, moderator, token):
        answer = moderator.post("/account/settings", self.SETTINGS | token | {"place": "/account"})
        assert answer.status == 403
        assert "Nothing was changed. Load the page again." in text_of(answer)
        assert '<a class="button" href="/account">' in answer.data.decode()
        assert theme_of(desk) is None

    def test_with_another_sessions_token_changes_nothing(self, desk, site, moderator):
        stolen = hidden_fields(session_of(desk, site, "lead").get("/account"))
        assert moderator.post("/account/settings", self.SETTINGS | stolen).status == 403
        assert theme_of(desk) is None

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Sec_Fetch_Site": "none"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
        ],
    )
    def test_from_another_site_changes_nothing_even_with_the_token(self, desk, moderator, headers):
        assert moderator.post("/account/settings", self.SETTINGS, form_of="/account", **headers).status == 403
        assert theme_of(desk) is None

    def test_from_our_own_site_is_taken_whatever_the_origin_is_called(self, site, moderator):
        for headers in ({"Sec_Fetch_Site": "same-origin", "Origin": "null"}, {"Origin": site}):
            assert moderator.post("/account/settings", self.SETTINGS, form_of="/account", **headers).status == 303

    def test_a_login_needs_a_token_too(self, site):
        fields = {"login": "moderator", "password": PASSWORD}
        assert Visitor(site).post("/login", fields).status == 403
        planted = hidden_fields(Visitor(site).get("/login"))
        assert Visitor(site).post("/login", fields | planted).status == 403

    def test_no_route_that_changes_something_is_without_the_check(self, desk, site):
        lead = session_of(desk, site, "lead")
        paths = routes(desk, "POST")
        assert {"/login", "/logout", "/language", "/account/settings", "/account/password"} <= paths
        for path in paths:
            answer = lead.post(filled(path))
            assert (answer.status, "This form is out of date" in text_of(answer)) == (403, True), path
        assert lead.get("/account").status == 200, "logout was refused, too"

    def test_one_from_an_older_page_says_so(self, moderator):
        answer = moderator.post("/account/settings", {"theme": "purple"}, form_of="/account")
        assert answer.status == 422
        assert "This form could not be read" in text_of(answer)

    def test_one_that_is_too_large_is_not_read(self, moderator):
        answer = moderator.post("/account/settings", {"language": "x" * (FORM_BYTES + 1)})
        assert answer.status == 413
        assert "That is too large" in text_of(answer)

    @pytest.mark.parametrize("charset", ["punycode", "UTF-8"])
    def test_one_that_chooses_how_it_is_decoded_is_not_read(self, site, charset):
        """Punycode of 180 kB takes half a minute, in which nobody else is answered."""
        kind = f"multipart/form-data; boundary=b; charset={charset}"
        part = '--b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n%s\r\n--b--\r\n'
        slow = part % ("-" + "b" * (FORM_BYTES - 20_000))
        began = time.monotonic()
        answer = Visitor(site)._ask("POST", "/login", slow.encode(), {"Content-Type": kind})
        assert (answer.status, time.monotonic() - began < 5) == (415, True)


class TestDoors:
    def test_no_page_but_the_login_opens_for_strangers(self, desk, site):
        public = ("/login", "/report/", "/.well-known/")
        paths = {path for path in routes(desk, "GET") if not f"{path}/".startswith(public)}
        assert {"/", "/account", "/reports"} <= paths
        for path in paths:
            assert place_of(Visitor(site).get(filled(path))).startswith("/login"), path

    def test_at_the_report_door_strangers_see_no_page_of_somebody_elses_report(self, desk, site):
        paths = {path for path in routes(desk, "GET") if path.startswith("/report/")}
        assert {"/report/check", "/report/challenge.jpg", "/report/sent"} <= paths
        for path in paths - {"/report/status"}:
            answer = Visitor(site).get(filled(path))
            assert answer.status in (303, 410), path

    def test_the_wrong_role_is_told_so_and_noted(self, desk, moderator):
        answer = moderator.get("/for-auditors?of=mia")
        assert answer.status == 403
        assert "This page is not for your role" in text_of(answer)
        newest = desk.audit.read()[0]
        assert (newest.action, newest.subject) == ("forbidden", "/for-auditors")
        assert newest.actor == desk.moderators.by_login("moderator").id
        assert newest.details == {"method": "GET", "role": "moderator"}

    def test_the_right_role_comes_in(self, desk, site):
        assert session_of(desk, site, "auditor").get("/for-auditors").json() == "audited"

    def test_a_role_that_was_taken_away_opens_nothing_from_then_on(self, desk, site):
        someone = desk.moderators.add("someone", "Someone", "auditor", PASSWORD)
        visitor = session_of(desk, site, "someone")
        assert visitor.get("/for-auditors").status == 200
        desk.moderators.set_role(someone.id, "moderator")
        assert visitor.get("/for-auditors").status == 403

    def test_one_sees_only_the_rooms_that_one_may_enter(self, desk, site, moderator):
        rooms = re.compile(r"<nav.*</nav>", re.DOTALL)
        assert 'href="/queue"' in rooms.search(moderator.get("/account").data.decode()).group()
        auditor = session_of(desk, site, "auditor").get("/account").data.decode()
        assert 'href="/queue"' not in rooms.search(auditor).group()

    def test_the_application_describes_itself_to_nobody(self, moderator):
        assert {moderator.get(path).status for path in ("/docs", "/redoc", "/openapi.json")} == {404}


class TestTrouble:
    def test_an_unknown_address_leads_back(self, moderator):
        answer = moderator.get("/nothing")
        assert answer.status == 404
        assert "There is nothing here" in text_of(answer)
        assert '<a class="button" href="/">' in answer.data.decode()

    def test_a_form_address_that_is_opened_as_a_page_leads_back(self, moderator):
        answer = moderator.get("/logout")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert "start page" in text_of(answer)

    def test_a_fault_of_ours_shows_a_sentence_and_nothing_inside(self, moderator):
        answer = moderator.get("/fails")
        assert answer.status == 500
        assert "Something went wrong on our side" in text_of(answer)
        assert "Mia" not in text_of(answer)

    def test_a_database_that_is_away_says_to_try_again(self, tmp_path):
        file = tmp_path / "likeness.db"
        database = open_database(f"sqlite:///{file}")
        database.migrate()
        desk = make_desk(database)
        desk.moderators.add("moderator", "Mia", "moderator", PASSWORD)
        with running_site(desk) as site:
            visitor = session_of(desk, site)
            database.close()
            for part in tmp_path.glob("likeness.db*"):
                part.write_bytes(b"no database" * 1000)
            answer = visitor.get("/account?done=settings")
            assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
            assert "The records do not answer" in text_of(answer)
            assert '<a class="button" href="/account?done=settings">' in answer.data.decode()
            told = visitor.get("/account", Accept="application/json")
            assert (told.status, told.json()["error"]) == (503, "database_away")
            assert visitor.get("/login").status == 503


class TestRateLimit:
    def test_lets_a_burst_through_then_one_at_a_time(self):
        now = [0.0]
        limit = RateLimit(burst=3, seconds=6, clock=lambda: now[0])
        assert [limit.wait("10.0.0.1") for _ in range(4)] == [0, 0, 0, 6]
        now[0] = 4
        assert limit.wait("10.0.0.1") == 2, "who asks too early waits no longer for it"
        now[0] = 6
        assert [limit.wait("10.0.0.1") for _ in range(2)] == [0, 6]
        now[0] = 1000
        assert [limit.wait("10.0.0.1") for _ in range(4)] == [0, 0, 0, 6]

    def test_counts_a_customers_whole_ipv6_network_as_one(self):
        limit = RateLimit(burst=1, seconds=6, clock=lambda: 0.0)
        assert limit.wait("2001:db8::1") == 0
        assert limit.wait("2001:db8::2") == 6
        assert limit.wait("2001:db8:0:1::1") == 0

    def test_counts_ipv4_addresses_one_by_one_however_a_proxy_writes_them(self):
        limit = RateLimit(burst=1, seconds=6, clock=lambda: 0.0)
        assert [limit.wait(one) for one in ("::ffff:192.0.2.1", "::ffff:192.0.2.2", "192.0.2.1")] == [0, 0, 6]

    def test_remembers_no_more_addresses_than_it_may_and_those_that_tried_last(self):
        limit = RateLimit(burst=1, seconds=6, clock=lambda: 0.0, most=3)
        for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"):
            limit.wait(address)
        assert limit.wait("10.0.0.4") == 6
        assert limit.wait("10.0.0.1") == 0


class TestInChromium:
    @pytest.mark.parametrize("theme", ["light", "dark"])
    @pytest.mark.parametrize("width", [360, 1440])
    def test_the_pages_work_under_the_policy_fit_the_screen_and_axe_finds_nothing(self, chromium, site, theme, width):
        context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
        page = context.new_page()
        complaints = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))

        def sound(path):
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
            assert found.violations_count == 0, found.generate_report()

        page.goto(f"{site}/login?next=/account")
        sound("/login")
        page.keyboard.type("moderator")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        with page.expect_navigation(url="**/account"):
            page.keyboard.press("Enter")
        sound("/account")
        with page.expect_navigation():
            page.click("#second-factor button")
        sound("/account/second-factor")
        page.goto(f"{site}/account")
        page.keyboard.press("?")
        assert page.locator("dialog#keys").is_visible()
        sound("the keys")
        page.keyboard.press("Escape")
        assert not complaints

    def test_single_keys_go_to_their_rooms_but_not_while_one_types_nor_when_turned_off(self, desk, chromium, site):
        context = logged_in(chromium, site)
        page = context.new_page()
        page.goto(f"{site}/account")
        page.focus("#current")
        page.keyboard.type("q/?")
        assert page.input_value("#current") == "q/?"
        assert page.url == f"{site}/account"
        page.focus("main")
        with page.expect_navigation(url="**/queue"):
            page.keyboard.press("q")
        desk.moderators.save_settings(desk.moderators.by_login("moderator").id, {"keys": False})
        page.goto(f"{site}/account")
        page.keyboard.press("?")
        page.keyboard.press("q")
        assert not page.locator("dialog#keys").is_visible()
        assert page.url == f"{site}/account"

    def test_another_site_can_neither_send_our_forms_nor_frame_our_pages(self, desk, chromium, site):
        desk.moderators.save_settings(desk.moderators.by_login("moderator").id, {})
        forged = (
            f'<iframe src="{site}/account"></iframe><form method="post" action="{site}/account/settings">'
            '<input name="theme" value="dark"><input name="language" value=""></form>'
        )
        context = logged_in(chromium, site)
        with other_site(forged) as evil:
            page = context.new_page()
            page.goto(evil)
            page.wait_for_timeout(300)
            assert not any(frame.url.startswith(site) for frame in page.frames[1:])
            with page.expect_navigation():
                page.evaluate("document.forms[0].submit()")
            assert "out of date" in page.inner_text("h1")
        assert theme_of(desk) is None

    def test_a_link_on_another_site_opens_the_page_for_who_is_logged_in(self, desk, chromium, site):
        context = logged_in(chromium, site)
        with other_site(f'<a href="{site}/account?done=settings">account</a>') as elsewhere:
            page = context.new_page()
            page.goto(elsewhere)
            page.click("a")
            page.wait_for_selector("#settings-title")
            assert page.url == f"{site}/account?done=settings"


def logged_in(chromium, site):
    """A context of the browser in which the moderator has logged in."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site}/login?next=/account")
    page.fill("#login", "moderator")
    page.fill("#password", PASSWORD)
    with page.expect_navigation(url="**/account"):
        page.keyboard.press("Enter")
    return context


@contextmanager
def other_site(html):
    """Another site: it is on `localhost`, where the console's cookies for 127.0.0.1 are a third party's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()


def routes(desk, method):
    """The paths of all pages that take the method."""
    return {path for path, methods in listed(make_app(desk).routes) if method in methods}


def listed(found):
    for route in found:
        if hasattr(route, "methods"):
            yield route.path, route.methods
        elif router := getattr(route, "original_router", None):
            yield from listed(router.routes)


def filled(path):
    return re.sub(r"\{[^}]+\}", "11111111-1111-1111-1111-111111111111", path)
