"""Login by OpenID Connect against a provider of the tests' own, over HTTP, as a browser does it."""

import json
import socket
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
import urllib3

from records.database import open_database
from tests.support.console_site import PASSWORD, Visitor, make_desk, place_of, running_site, text_of
from tests.support.oidc_provider import CLIENT, SECRET, OidcProvider, new_key
from tests.support.tls import Authority
from tests.support.web_site import WebSite, answer

SESSION, ATTEMPT = "__Host-likeness", "__Host-likeness-oidc"
ROLES = {"likeness-admins": "administrator", "likeness-leads": "lead", "likeness-people": "moderator"}


class Clock:
    """The time of day, as the provider has it, moved on by a test."""

    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.ahead

    def pass_by(self, **time):
        self.ahead += timedelta(**time)


class House:
    """A console, its provider, and who comes."""

    def __init__(self, desk, clock, site, provider):
        self.desk, self.clock, self.site, self.provider = desk, clock, site, provider

    def visitor(self, **headers):
        return Visitor(self.site, **headers)

    def leave(self, visitor, place="/account"):
        """The provider's address, where the browser is sent."""
        sent = visitor.get(f"/login/oidc?{urlencode({'next': place})}")
        assert sent.status == 303, text_of(sent)
        return sent.headers["Location"]

    def there(self, url, name):
        """The callback, as a path, after somebody logged in at the provider."""
        answered = urllib3.request("GET", f"{url}&as={name}", redirect=False)
        parts = urlsplit(answered.headers["Location"])
        return f"{parts.path}?{parts.query}"

    def log_in(self, name, visitor=None, place="/account"):
        visitor = visitor or self.visitor()
        return visitor, visitor.get(self.there(self.leave(visitor, place), name))

    def moderator(self, login):
        return self.desk.moderators.by_login(login)

    def last(self, action):
        """The newest audit entry of this kind."""
        return next(entry for entry in self.desk.audit.read() if entry.action == action)


@contextmanager
def house(database_url, provider, issuer=None, **oidc):
    database = open_database(database_url)
    database.migrate()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    provider.site = f"http://127.0.0.1:{port}"
    clock = Clock()
    about = {"issuer": issuer or provider.issuer, "client_id": CLIENT, "client_secret": SECRET, "roles": ROLES}
    desk = make_desk(database, clock, web={"public_address": provider.site, "oidc": about | oidc})
    with running_site(desk, port=port) as site:
        yield House(desk, clock, site, provider)
    database.close()


@pytest.fixture
def provider():
    with OidcProvider().running() as running:
        running.person("ada", "staff", "likeness-leads")
        running.person("bob", "staff")
        yield running


@pytest.fixture
def settings():
    """What differs under [web.oidc]; tests put their own in by parametrize."""
    return {}


@pytest.fixture
def home(database_url, provider, settings):
    with house(database_url, provider, **settings) as made:
        yield made


def is_in(visitor):
    return visitor.get("/account").status == 200


class TestLogin:
    def test_makes_the_moderator_with_the_claims_role_and_leads_where_one_wanted_to_be(self, home):
        visitor, arrived = home.log_in("ada", place="/account?done=settings")
        assert arrived.status == 200, text_of(arrived)
        assert '<meta http-equiv="refresh" content="0;url=/account?done=settings">' in arrived.data.decode()
        assert is_in(visitor)
        ada = home.moderator("ada")
        assert (ada.name, ada.role, ada.has_password) == ("Ada Holm", "lead", False)
        entry = home.last("login")
        assert (entry.actor, entry.details) == (ada.id, {"address": "127.0.0.1", "by": "openid_connect"})
        added = home.last("moderator_added")
        assert (added.actor, added.subject) == ("system", ada.id)
        assert home.desk.audit.verify() is None

    def test_gives_cookies_that_hold_no_more_than_they_must(self, home):
        visitor = home.visitor()
        sent = visitor.get("/login/oidc")
        cookie = sent.headers.getlist("Set-Cookie")[0]
        attributes = set(cookie.split("; ")[1:])
        assert cookie.startswith(f"{ATTEMPT}=")
        assert attributes == {"Secure", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age=600"}
        arrived = visitor.get(home.there(sent.headers["Location"], "ada"))
        session = next(one for one in arrived.headers.getlist("Set-Cookie") if one.startswith(f"{SESSION}="))
        assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} == set(session.split("; ")[1:])
        assert ATTEMPT not in visitor.cookies

    def test_asks_with_pkce_state_and_nonce_that_are_new_each_time(self, home):
        asked = [dict(parse_qsl(urlsplit(home.leave(home.visitor())).query)) for _ in range(2)]
        assert asked[0]["code_challenge_method"] == "S256" and asked[0]["response_type"] == "code"
        assert asked[0]["redirect_uri"] == f"{home.site}/login/oidc/callback"
        for one in ("state", "nonce", "code_challenge"):
            assert len(asked[0][one]) >= 32 and asked[0][one] != asked[1][one]

    def test_the_same_person_comes_back_under_a_new_name_there(self, home):
        home.log_in("ada")
        first = home.moderator("ada")
        home.provider.person("ada", "likeness-leads", preferred_username="ada.married")
        home.log_in("ada")
        assert home.last("login").actor == first.id

    def test_the_role_follows_the_claim_at_each_login(self, home):
        home.log_in("ada")
        home.provider.person("ada", "likeness-people", "likeness-admins")
        visitor, _ = home.log_in("ada")
        assert home.moderator("ada").role == "administrator", "the first of the settings that fits"
        assert visitor.get("/people").status == 200
        assert home.last("moderator_changed").details == {"role": "administrator"}

    @pytest.mark.parametrize("settings", [{"role_claim": "realm_access.roles"}], ids=["nested"])
    def test_the_role_claim_may_lie_within_another(self, home):
        home.provider.person("eve", realm_access={"roles": ["likeness-people"]})
        home.log_in("eve")
        assert home.moderator("eve").role == "moderator"

    @pytest.mark.parametrize(
        "settings", [{"role_claim": "https://example.com/role", "roles": {"L": "lead"}}], ids=["dots"]
    )
    def test_the_role_claim_may_have_dots_of_its_own_and_hold_one_text(self, home):
        home.provider.person("eve", **{"https://example.com/role": "L"})
        home.log_in("eve")
        assert home.moderator("eve").role == "lead"

    def test_needs_no_second_factor_here_and_offers_none(self, home):
        visitor, _ = home.log_in("ada")
        page = text_of(visitor.get("/account"))
        assert "second factor are kept there" in page
        assert "Current password" not in page and "protect your login" not in page

    def test_who_is_logged_in_already_goes_straight_on(self, home):
        visitor, _ = home.log_in("ada")
        assert place_of(visitor.get("/login/oidc?next=/queue")) == "/queue"

    @pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/" + "x" * 2000])
    def test_never_leads_to_another_site(self, home, elsewhere):
        _, arrived = home.log_in("ada", place=elsewhere)
        assert 'content="0;url=/"' in arrived.data.decode()


class TestWhoComesIn:
    def test_nobody_without_a_role(self, home):
        visitor, refused = home.log_in("bob")
        assert refused.status == 403
        assert "nobody has given you work here" in text_of(refused)
        assert not is_in(visitor)
        assert [one.login for one in home.desk.moderators.list()] == []
        entry = home.last("login_failed")
        assert (entry.actor, entry.subject, entry.details["reason"]) == ("anonymous", "login", "no_role")

    def test_nobody_whose_claim_gives_no_role_any_more(self, home):
        home.log_in("ada")
        home.provider.person("ada", "staff")
        _, refused = home.log_in("ada")
        assert refused.status == 403
        assert home.last("login_failed").subject == home.moderator("ada").id

    def test_who_was_added_before_without_a_password_with_the_role_they_were_given(self, home):
        added = home.desk.moderators.add("bob", "Bob", "curator", None)
        visitor, arrived = home.log_in("bob")
        assert arrived.status == 200 and is_in(visitor)
        assert home.moderator("bob") == added
        assert home.last("moderator_changed").details == {"openid_connect": "first login"}
        home.provider.person("bob", preferred_username="robert")
        home.log_in("bob")
        assert home.last("login").actor == added.id, "known by the subject from the first login on"

    @pytest.mark.parametrize("named", ["administrator", "moderator"], ids=["another_role", "the_same_role"])
    def test_nobody_who_had_a_given_role_once_the_claim_that_named_one_is_lost(self, home, named):
        bob = home.desk.moderators.add("bob", "Bob", "moderator", None)
        home.log_in("bob")
        home.provider.person("bob", *(group for group, role in ROLES.items() if role == named))
        visitor, arrived = home.log_in("bob")
        assert arrived.status == 200 and is_in(visitor)
        assert (home.moderator("bob").role, home.desk.people.get(bob.id).role_by_claim) == (named, True)
        assert home.last("moderator_changed").details == {"role": named}, "also that the claim counts now is noted"
        home.provider.person("bob", "staff")
        visitor, refused = home.log_in("bob")
        assert refused.status == 403 and not is_in(visitor)
        entry = home.last("login_failed")
        assert (entry.subject, entry.details["reason"]) == (bob.id, "no_role")

    def test_who_was_given_a_role_that_no_claim_ever_named_at_each_login(self, home):
        bob = home.desk.moderators.add("bob", "Bob", "auditor", None)
        for _ in range(2):
            visitor, arrived = home.log_in("bob")
            assert arrived.status == 200 and is_in(visitor)
        assert (home.moderator("bob").role, home.desk.people.get(bob.id).role_by_claim) == ("auditor", False)

    def test_nobody_as_somebody_who_has_a_password_here(self, home):
        ada = home.desk.moderators.add("ada", "Ada", "administrator", PASSWORD)
        visitor, refused = home.log_in("ada")
        assert refused.status == 403
        assert "Somebody else has this login here" in text_of(refused)
        assert not is_in(visitor)
        assert home.moderator("ada") == ada

    def test_nobody_who_takes_the_login_of_somebody_that_came_before(self, home):
        home.log_in("ada")
        home.provider.person("thief", "likeness-admins", preferred_username="ADA ")
        visitor, refused = home.log_in("thief")
        assert refused.status == 403 and not is_in(visitor)
        assert home.moderator("ada").role == "lead"

    def test_nobody_who_is_disabled_and_a_disabled_one_is_out_at_once(self, home):
        visitor, _ = home.log_in("ada")
        home.desk.moderators.disable(home.moderator("ada").id)
        assert not is_in(visitor)
        visitor, refused = home.log_in("ada")
        assert refused.status == 403 and "Your login is closed here" in text_of(refused)
        assert not is_in(visitor)
        entry = home.last("login_failed")
        assert (entry.subject, entry.details["reason"]) == (home.moderator("ada").id, "login_disabled")

    def test_nobody_whom_the_provider_did_not_let_in(self, home):
        _, refused = home.log_in("stranger")
        assert refused.status == 403 and "did not let you in" in text_of(refused)

    @pytest.mark.parametrize("settings", [{"login_claim": "email"}], ids=["email"])
    @pytest.mark.parametrize(("verified", "status"), [(True, 200), (False, 502), (None, 502)])
    def test_an_email_must_be_verified(self, home, verified, status):
        home.provider.person("eve", "likeness-people", email="eve@example.com", email_verified=verified)
        _, arrived = home.log_in("eve")
        assert arrived.status == status
        assert [one.login for one in home.desk.moderators.list()] == ["eve@example.com"] * (status == 200)

    def test_nobody_whose_login_cannot_be_shown(self, home):
        home.provider.person("odd", "likeness-people", preferred_username="o\u202edd")
        _, refused = home.log_in("odd")
        assert refused.status == 403 and "cannot be used here" in text_of(refused)

    @pytest.mark.parametrize("settings", [{"allow_passwords": False}], ids=["no_passwords"])
    def test_nobody_with_a_password_where_that_is_off(self, home):
        home.desk.moderators.add("mia", "Mia", "moderator", PASSWORD)
        visitor = home.visitor()
        page = visitor.get("/login").data.decode()
        assert "/login/oidc" in page and 'type="password"' not in page
        fields = {"login": "mia", "password": PASSWORD}
        assert visitor.post("/login", fields, form_of="/login").status == 403
        assert not is_in(visitor)


class TestWhatCannotBeTrusted:
    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            ({"nonce": "another"}, "nonce"),
            ({"nonce": None}, "nonce"),
            ({"aud": "another-client"}, "aud"),
            ({"aud": [CLIENT, "another-client"]}, "azp"),
            ({"azp": "another-client"}, "azp"),
            ({"iss": "http://localhost/another"}, "iss"),
            ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"),
            ({"sub": None}, "sub"),
            ({"exp": 1_000_000_000}, "expired"),
            ({"iat": 4_000_000_000}, "issued in the future"),
            ({"preferred_username": ["ada"]}, "preferred_username"),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else value,
    )
    def test_an_id_token_that_says_something_wrong_logs_nobody_in(self, home, caplog, wrong, why):
        home.provider.wrong_claims = wrong
        visitor, refused = home.log_in("ada")
        assert refused.status == 502, text_of(refused)
        assert "cannot be trusted" in text_of(refused)
        assert not is_in(visitor) and home.desk.moderators.list() == ()
        assert why in caplog.text, "the log tells the operator"
        assert home.last("login_failed").details["reason"] == "provider_wrong"

    def test_a_token_that_another_key_signed_under_a_known_name(self, home):
        home.provider.signs_with = new_key("first")
        visitor, refused = home.log_in("ada")
        assert refused.status == 502 and not is_in(visitor)

    def test_a_token_that_an_unknown_key_signed(self, home):
        home.log_in("ada")
        home.provider.signs_with = new_key("unheard-of")
        visitor, refused = home.log_in("ada")
        assert refused.status == 502 and not is_in(visitor)

    @pytest.mark.parametrize("settings", [{"issuer": "http://localhost:1/realms/test"}], ids=["nobody"])
    def test_a_provider_that_is_away_is_said_and_not_asked_again_at_once(self, home):
        visitor = home.visitor()
        for _ in range(3):
            away = visitor.get("/login/oidc")
            assert away.status == 503 and away.headers["Retry-After"] == "5"
            assert "does not answer" in text_of(away)

    def test_a_provider_that_calls_itself_otherwise(self, home):
        home.provider.calls_itself = "http://localhost/another"
        assert home.visitor().get("/login/oidc").status == 502

    def test_one_whose_clock_is_a_little_off_is_believed_and_one_far_off_is_not(self, home):
        home.clock.pass_by(hours=1, seconds=30)
        assert home.log_in("ada")[1].status == 200
        home.clock.pass_by(seconds=60)
        assert home.log_in("ada")[1].status == 502


class TestKeys:
    def test_that_are_new_are_fetched_at_the_next_login(self, home):
        home.log_in("ada")
        home.log_in("ada")
        assert home.provider.asked.count("/keys") == 1
        home.provider.rotate()
        visitor, arrived = home.log_in("ada")
        assert arrived.status == 200 and is_in(visitor)
        assert home.provider.asked.count("/keys") == 2

    def test_and_discovery_are_asked_for_once_an_hour(self, home):
        for _ in range(3):
            home.log_in("ada")
        assert home.provider.asked.count("/.well-known/openid-configuration") == 1
        home.clock.pass_by(minutes=59)
        home.leave(home.visitor())
        home.clock.pass_by(minutes=1)
        home.leave(home.visitor())
        assert home.provider.asked.count("/.well-known/openid-configuration") == 2


class TestTheWayBack:
    def test_with_a_wrong_state_leads_nowhere(self, home):
        visitor = home.visitor()
        path = home.there(home.leave(visitor), "ada")
        parts = urlsplit(path)
        forged = dict(parse_qsl(parts.query)) | {"state": "another"}
        refused = visitor.get(urlunsplit(parts._replace(query=urlencode(forged))))
        assert refused.status == 403 and "did not begin here" in text_of(refused)
        assert "/token" not in home.provider.asked
        assert not is_in(visitor)

    def test_in_another_browser_leads_nowhere(self, home):
        path = home.there(home.leave(home.visitor()), "ada")
        victim = home.visitor()
        assert victim.get(path).status == 403
        home.leave(victim)
        assert victim.get(path).status == 403
        assert not is_in(victim)

    def test_with_a_code_that_was_used_already_leads_nowhere(self, home):
        visitor = home.visitor()
        path = home.there(home.leave(visitor), "ada")
        kept = visitor.cookies[ATTEMPT]
        visitor.get(path)
        thief = home.visitor()
        thief.cookies[ATTEMPT] = kept
        again = thief.get(path)
        assert again.status == 403 and "used already" in text_of(again)
        assert not is_in(thief)

    def test_with_somebody_elses_code_leads_nowhere(self, home):
        """Without the verifier that it was asked for with, a stolen code is worth nothing."""
        stolen = dict(parse_qsl(urlsplit(home.there(home.leave(home.visitor()), "ada")).query))["code"]
        thief = home.visitor()
        own = dict(parse_qsl(urlsplit(home.leave(thief)).query))["state"]
        refused = thief.get(f"/login/oidc/callback?{urlencode({'code': stolen, 'state': own})}")
        assert refused.status == 403 and not is_in(thief)

    @pytest.mark.parametrize("cookie", ["", "e30", "%%%", "bnVsbA", "gA"])
    def test_with_a_cookie_that_is_none_leads_nowhere(self, home, cookie):
        visitor = home.visitor()
        visitor.cookies[ATTEMPT] = cookie
        assert visitor.get("/login/oidc/callback?code=x&state=").status == 403

    def test_is_slowed_down_per_address(self, home):
        visitor = home.visitor()
        url = home.leave(visitor)
        state = dict(parse_qsl(urlsplit(url).query))["state"]
        forged = f"/login/oidc/callback?{urlencode({'code': 'guess', 'state': state})}"
        assert [visitor.get(forged).status for _ in range(11)] == [403] * 10 + [429]
        assert home.provider.asked.count("/token") == 10


class TestLeaving:
    def test_ends_the_session_here_and_then_the_providers(self, home):
        visitor, _ = home.log_in("ada")
        left = visitor.post("/logout", form_of="/account")
        query = {"client_id": CLIENT, "post_logout_redirect_uri": f"{home.site}/login?why=out"}
        assert f"{home.provider.issuer}/logout?{urlencode(query)}".replace("&", "&amp;") in left.data.decode()
        assert not is_in(visitor) and SESSION not in visitor.cookies

    def test_ends_the_session_here_where_the_provider_announces_no_such_place(self, home):
        home.provider.ends_sessions = False
        visitor, _ = home.log_in("ada")
        assert place_of(visitor.post("/logout", form_of="/account")) == "/login?why=out"

    def test_of_who_has_a_password_here_is_not_the_providers_matter(self, home):
        home.desk.moderators.add("mia", "Mia", "moderator", PASSWORD)
        visitor = home.visitor()
        visitor.log_in("mia")
        assert place_of(visitor.post("/logout", form_of="/account")) == "/login?why=out"


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "stranger"])
def test_an_issuer_is_believed_by_its_certificate_only(tmp_path, database_url, monkeypatch, trusted):
    authority, stranger = Authority(tmp_path / "known"), Authority(tmp_path / "stranger")
    certificate = authority.sign("provider", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str((authority if trusted else stranger).file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.file, certificate.key_file)
    with WebSite({}, tls).running() as site:
        issuer = f"https://localhost:{site.port}"
        named = dict.fromkeys(("authorization_endpoint", "token_endpoint", "jwks_uri"), f"{issuer}/x")
        site.answers["/.well-known/openid-configuration"] = answer(json.dumps({"issuer": issuer} | named).encode())
        with house(database_url, OidcProvider(), issuer=issuer) as home:
            sent = home.visitor().get("/login/oidc")
    assert sent.status == (303 if trusted else 503)


def test_without_a_provider_there_is_nothing_at_its_addresses(database):
    with running_site(make_desk(database)) as site:
        visitor = Visitor(site)
        assert "/login/oidc" not in visitor.get("/login").data.decode()
        assert visitor.get("/login/oidc").status == visitor.get("/login/oidc/callback").status == 404
