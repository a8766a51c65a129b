"""Coming and going: logging in and out, what a login lasts, and one's own account. Over HTTP, as a browser does it."""

import re

import pyotp
import pytest

from records.database import open_database
from tests.support.console_site import PASSWORD, Visitor, hidden_fields, make_desk, place_of, text_of

SESSION = "__Host-likeness"


@pytest.fixture
def desk(tmp_path, clock):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    yield make_desk(database, clock)
    database.close()


@pytest.fixture
def mia(desk):
    return desk.moderators.add("mia", "Mia Chen", "moderator", PASSWORD)


@pytest.fixture
def visitor(site, mia):
    return Visitor(site)


def with_second_factor(desk, clock, moderator):
    """Sets it up and gives what makes its codes."""
    secret = desk.moderators.enrol_totp(moderator.id)
    app = pyotp.TOTP(secret)
    desk.moderators.confirm_totp(moderator.id, secret, app.at(clock()))
    clock.pass_by(minutes=1)
    return app


def is_in(visitor):
    return visitor.get("/account").status == 200


def actions(desk):
    return [entry.action for entry in reversed(desk.audit.read())]


class TestLogin:
    def test_leads_to_where_one_wanted_to_be(self, visitor):
        asked = place_of(visitor.get("/account?done=settings"))
        assert asked == "/login?next=%2Faccount%3Fdone%3Dsettings"
        hidden = re.search(r'name="next" value="([^"]*)"', visitor.get(asked).data.decode()).group(1)
        assert place_of(visitor.log_in("mia", next=hidden)) == "/account?done=settings"
        assert is_in(visitor)

    def test_begins_at_the_page_that_the_role_works_on(self, desk, site, visitor):
        visitor.log_in("mia")
        assert place_of(visitor.get("/")) == "/queue"
        desk.moderators.add("ada", "Ada", "auditor", PASSWORD)
        auditor = Visitor(site)
        auditor.log_in("ada")
        assert place_of(auditor.get("/")) == "/audit"

    @pytest.mark.parametrize(
        "elsewhere",
        [
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/%0d%0aX: y\r\n",
            "javascript:alert(1)",
            "evil",
            "",
        ],
    )
    def test_never_leads_to_another_site(self, visitor, elsewhere):
        assert visitor.log_in("mia", next=elsewhere).headers["Location"] == "/"

    def test_answers_alike_to_a_wrong_password_an_unknown_login_and_a_closed_one(self, visitor):
        answers = [visitor.log_in("mia", "wrong"), visitor.log_in("nobody", PASSWORD)]
        for _ in range(5):
            answers.append(visitor.log_in("mia", "wrong"))
        answers.append(visitor.log_in("mia"))
        assert {answer.status for answer in answers} == {403}
        sentences = {re.search(r'role="alert">([^<]+)<', answer.data.decode()).group(1) for answer in answers}
        assert len(sentences) == 1
        assert not is_in(visitor)

    def test_gives_a_cookie_that_only_this_site_gets(self, visitor):
        cookie = next(
            one for one in visitor.log_in("mia").headers.getlist("Set-Cookie") if one.startswith(SESSION + "=")
        )
        assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} == set(cookie.split("; ")[1:])

    def test_begins_a_new_session_and_ends_the_one_before(self, desk, visitor):
        visitor.log_in("mia")
        first = visitor.cookies[SESSION]
        visitor.post("/logout", form_of="/account")
        visitor.cookies[SESSION] = "planted-by-somebody"
        visitor.log_in("mia")
        assert visitor.cookies[SESSION] not in (first, "planted-by-somebody")
        assert desk.sessions.find(first) is None

    def test_needs_the_second_factors_code_where_there_is_one(self, desk, clock, visitor, mia):
        app = with_second_factor(desk, clock, mia)
        assert visitor.log_in("mia").status == 403
        assert visitor.log_in("mia", code="000000").status == 403
        code = app.at(clock())
        assert place_of(visitor.log_in("mia", code=f"{code[:3]} {code[3:]}")) == "/"
        assert is_in(visitor)

    def test_takes_each_code_once(self, desk, clock, site, visitor, mia):
        code = with_second_factor(desk, clock, mia).at(clock())
        visitor.log_in("mia", code=code)
        thief = Visitor(site)
        assert thief.log_in("mia", code=code).status == 403
        assert not is_in(thief)

    def test_a_password_alone_gives_no_endless_tries_at_the_code(self, desk, clock, visitor, mia):
        app = with_second_factor(desk, clock, mia)
        for wrong in range(5):
            assert visitor.log_in("mia", code=f"00000{wrong}").status == 403
        assert visitor.log_in("mia", code=app.at(clock())).status == 403

    def test_is_slowed_down_per_address(self, desk, clock, site, visitor):
        answers = [visitor.log_in(f"guess-{number}", "x") for number in range(11)]
        assert [answer.status for answer in answers] == [403] * 10 + [429]
        assert answers[-1].headers["Retry-After"] == "6"
        assert "try again" in text_of(answers[-1])
        assert actions(desk).count("login_failed") == 10, "the audit log cannot be flooded from outside"
        elsewhere = Visitor(site, address="127.0.0.2")
        assert elsewhere.log_in("mia").status == 303
        clock.pass_by(seconds=6)
        assert visitor.log_in("mia").status == 303

    def test_keeps_what_was_typed_as_login_out_of_the_audit_log_and_the_logs(self, desk, visitor, caplog):
        visitor.log_in("my secret passphrase", "x")
        entries = desk.audit.read()
        assert [entry.action for entry in entries] == ["login_failed", "moderator_added"]
        assert entries[0].subject == "login"
        assert "passphrase" not in repr(entries) + caplog.text

    def test_that_failed_is_in_the_audit_log_under_the_moderator_where_the_login_is_theirs(self, desk, visitor, mia):
        visitor.log_in(" MIA ", "wrong")
        entry = desk.audit.read()[0]
        assert (entry.action, entry.actor, entry.subject) == ("login_failed", "anonymous", mia.id)

    def test_is_in_the_audit_log_with_the_address(self, desk, visitor, mia):
        visitor.log_in("mia")
        newest = desk.audit.read()[0]
        assert (newest.action, newest.actor, newest.details["address"]) == ("login", mia.id, "127.0.0.1")


class TestLeaving:
    def test_ends_the_session_for_whoever_has_its_cookie(self, desk, visitor):
        visitor.log_in("mia")
        token = visitor.cookies[SESSION]
        assert place_of(visitor.post("/logout", form_of="/account")) == "/login?why=out"
        assert SESSION not in visitor.cookies
        visitor.cookies[SESSION] = token
        assert not is_in(visitor)
        assert actions(desk)[-1] == "logout"

    def test_a_session_that_was_idle_too_long_asks_to_log_in_again_and_keeps_the_place(self, clock, visitor):
        visitor.log_in("mia")
        clock.pass_by(minutes=46)
        asked = place_of(visitor.get("/account?done=settings"))
        assert asked == "/login?next=%2Faccount%3Fdone%3Dsettings&why=ended"
        assert "you are back where you were" in text_of(visitor.get(asked))

    def test_a_session_ends_after_its_hours_however_busy(self, clock, visitor):
        visitor.log_in("mia")
        for _ in range(23):
            clock.pass_by(minutes=30)
            assert is_in(visitor)
        clock.pass_by(minutes=31)
        assert not is_in(visitor)

    def test_a_form_sent_after_the_end_says_that_it_was_not_saved_and_keeps_its_page(self, desk, clock, visitor, mia):
        visitor.log_in("mia")
        fields = hidden_fields(visitor.get("/account?done=settings"))
        clock.pass_by(minutes=46)
        sent = visitor.post("/account/settings", fields | {"language": "", "theme": "dark"})
        assert place_of(sent) == "/login?next=%2Faccount%3Fdone%3Dsettings&why=lost"
        assert "was not saved" in text_of(visitor.get(place_of(sent)))
        assert not desk.moderators.get(mia.id).settings

    def test_a_script_is_told_in_json(self, visitor):
        answer = visitor.get("/account", Accept="application/json")
        assert answer.status == 401
        assert answer.json() == {"error": "not_signed_in", "message": "Your login has ended; log in again."}

    def test_a_disabled_moderator_is_out_at_once(self, desk, visitor, mia):
        visitor.log_in("mia")
        desk.moderators.disable(mia.id)
        assert not is_in(visitor)
        assert visitor.log_in("mia").status == 403


class TestAccount:
    def test_settings_are_kept_and_in_force_on_the_next_page(self, desk, visitor, mia):
        visitor.log_in("mia")
        chosen = {"language": "zh_Hans", "theme": "dark", "grey": "true"}
        page = visitor.get(place_of(visitor.post("/account/settings", chosen, form_of="/account")))
        assert "设置已保存。" in text_of(page)
        assert '<html lang="zh-Hans" data-theme="dark">' in page.data.decode()
        assert '<body data-keys="off">' in page.data.decode()
        kept = {"language": "zh_Hans", "theme": "dark", "blur": False, "grey": True, "keys": False}
        assert desk.moderators.get(mia.id).settings == kept

    def test_a_language_can_be_left_to_the_browser_again(self, desk, visitor, mia):
        desk.moderators.save_settings(mia.id, {"language": "zh_Hans"})
        visitor.log_in("mia")
        visitor.post("/account/settings", {"language": "", "theme": "auto"}, form_of="/account")
        assert '<html lang="en"' in visitor.get("/account").data.decode()

    def test_without_a_choice_pictures_are_as_the_organisation_has_them(self, desk, visitor):
        visitor.log_in("mia")
        page = visitor.get("/account").data.decode()
        assert desk.settings.console.blur
        assert not desk.settings.console.grey
        assert 'name="blur" value="true" checked' in page
        assert 'name="grey" value="true">' in page

    def test_a_new_password_ends_ones_other_logins_and_keeps_this_one(self, desk, site, visitor):
        other = Visitor(site)
        other.log_in("mia")
        visitor.log_in("mia")
        new = "a whole new sentence"
        fields = {"current": PASSWORD, "new": new, "again": new}
        assert place_of(visitor.post("/account/password", fields, form_of="/account")) == "/account?done=password"
        assert is_in(visitor)
        assert not is_in(other)
        assert Visitor(site).log_in("mia").status == 403
        assert Visitor(site).log_in("mia", new).status == 303
        assert "moderator_changed" in actions(desk)

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"current": "wrong"}, "That is not your current password."),
            ({"again": "another new one"}, "The two new passwords differ."),
            ({"new": "short", "again": "short"}, "The new password is too weak"),
        ],
    )
    def test_a_password_is_not_changed_by(self, site, visitor, fields, sentence):
        visitor.log_in("mia")
        sound = {"current": PASSWORD, "new": "a whole new sentence", "again": "a whole new sentence"}
        answer = visitor.post("/account/password", sound | fields, form_of="/account")
        assert answer.status == 422
        assert sentence in text_of(answer)
        assert Visitor(site).log_in("mia").status == 303


class TestSecondFactor:
    def test_is_in_force_once_a_code_made_with_it_came_back(self, desk, clock, site, visitor, mia):
        visitor.log_in("mia")
        page = visitor.post("/account/second-factor", form_of="/account")
        secret = re.search(r'name="secret" value="([A-Z2-7]+)"', page.data.decode()).group(1)
        assert '<svg xmlns="http://www.w3.org/2000/svg" viewBox=' in page.data.decode()
        app = pyotp.TOTP(secret)

        def confirm(code, password=PASSWORD):
            fields = {"secret": secret, "code": code, "password": password}
            return visitor.post("/account/second-factor/confirm", fields, form_of="/account")

        for refused in (confirm("000000"), confirm(app.at(clock()), "not the password")):
            assert refused.status == 422
            assert secret in refused.data.decode(), "one tries again with the same key"
            assert not desk.moderators.get(mia.id).has_totp
        assert place_of(confirm(app.at(clock()))) == "/account?done=second_factor"
        clock.pass_by(minutes=1)
        assert Visitor(site).log_in("mia").status == 403
        assert Visitor(site).log_in("mia", code=app.at(clock())).status == 303

    @pytest.mark.parametrize("role", ["lead", "administrator"])
    def test_is_asked_for_on_every_page_of_those_who_can_do_harm_until_they_have_it(
        self, desk, clock, visitor, mia, role
    ):
        desk.moderators.set_role(mia.id, role)
        visitor.log_in("mia")
        assert "protect your login with a second factor" in text_of(visitor.get("/account"))
        with_second_factor(desk, clock, mia)
        assert "protect your login with a second factor" not in text_of(visitor.get("/account"))

    def test_is_not_pressed_upon_moderators(self, visitor):
        visitor.log_in("mia")
        assert "protect your login with a second factor" not in text_of(visitor.get("/account"))


class TestLanguage:
    def test_is_what_the_browser_asks_for(self, site):
        assert "简体中文" in text_of(Visitor(site).get("/login"))
        assert '<html lang="en"' in Visitor(site).get("/login").data.decode()
        page = Visitor(site, **{"Accept-Language": "zh-CN,zh;q=0.9"}).get("/login")
        assert '<html lang="zh-Hans"' in page.data.decode()
        assert "登录名" in text_of(page)

    def test_can_be_switched_before_login_and_comes_back_to_the_place(self, visitor):
        place = "/login?next=%2Faccount"
        assert place_of(visitor.post("/language", {"language": "zh_Hans"}, form_of=place)) == place
        assert "登录名" in text_of(visitor.get(place))
        assert "错误五次" in text_of(visitor.log_in("mia", "wrong"))

    def test_that_one_chose_goes_with_one_to_another_browser(self, site, visitor):
        visitor.log_in("mia")
        assert place_of(visitor.post("/language", {"language": "zh_Hans"}, form_of="/account")) == "/account"
        other = Visitor(site, **{"Accept-Language": "en"})
        other.log_in("mia")
        assert "账户" in text_of(other.get("/account"))

    def test_that_there_is_not_changes_nothing(self, visitor):
        visitor.post("/language", {"language": "klingon"}, form_of="/login")
        assert '<html lang="en"' in visitor.get("/login").data.decode()
