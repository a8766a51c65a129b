"""The pages of people, for administrators. Over HTTP, as a browser does it."""

import re
from datetime import timedelta

import pyotp
import pytest

from records.announcer import utc_now
from records.errors import WrongLogin
from tests.support.console_site import PASSWORD, Visitor, hidden_fields, make_desk, place_of, text_of

GIVEN = re.compile(r'class="secret first-password">([a-z0-9-]+)<')


@pytest.fixture
def desk(database):
    return make_desk(database)


@pytest.fixture
def ada(desk):
    return desk.moderators.add("ada", "Ada Berg", "administrator", PASSWORD)


@pytest.fixture
def mo(desk):
    return desk.moderators.add("mo", "Mo Li", "moderator", PASSWORD)


def visitor_of(desk, site, moderator):
    visitor = Visitor(site)
    visitor.cookies["__Host-likeness"], _ = desk.sessions.begin(moderator.id)
    return visitor


@pytest.fixture
def visitor(desk, site, ada):
    """Ada's browser."""
    return visitor_of(desk, site, ada)


@pytest.fixture
def act(visitor, mo):
    """Does something to Mo, as Ada, with the form of Mo's page."""
    return lambda what, **fields: visitor.post(f"/people/{mo.id}/{what}", fields, form_of=f"/people/{mo.id}")


def changes(desk, moderator):
    """What was done to somebody: by whom, and what."""
    entries = desk.audit.read(subject=moderator.id)
    return [(entry.actor, dict(entry.details)) for entry in entries if entry.action == "moderator_changed"]


class TestList:
    def test_shows_everybody_with_role_proofs_and_when_they_were_here(self, desk, visitor, mo):
        desk.moderators.disable(desk.moderators.add("gone", "Gone Lee", "lead", PASSWORD).id)
        desk.moderators.add("eve", "Eve Holm", "curator", None)
        for _ in range(5):
            with pytest.raises(WrongLogin):
                desk.moderators.check_password("mo", "wrong")
        rows = re.findall(r"<li[ >].*?</li>", visitor.get("/people").data.decode(), re.DOTALL)
        said = [re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", row)).strip() for row in rows if "/people/" in row]
        assert [one.split(" ")[0] for one in said] == ["Ada", "Eve", "Mo", "Gone"], "who left comes last"
        facts = dict(zip(("ada", "eve", "mo", "gone"), said, strict=True))
        assert "Administrator Password only Last seen:" in facts["ada"]
        assert "Curator Login service never here" in facts["eve"]
        assert "Locked" in facts["mo"] and "Disabled" in facts["gone"]

    @pytest.mark.parametrize("role", ["moderator", "lead", "curator", "auditor"])
    def test_is_for_administrators_alone(self, desk, site, mo, role):
        desk.moderators.set_role(mo.id, role)
        visitor = visitor_of(desk, site, mo)
        for path in ("/people", "/people/add", f"/people/{mo.id}"):
            assert visitor.get(path).status == 403
        fields = hidden_fields(visitor.get("/account")) | {"role": "administrator"}
        assert visitor.post(f"/people/{mo.id}/role", fields).status == 403
        assert desk.moderators.get(mo.id).role == role
        assert desk.audit.read()[0].action == "forbidden"


class TestAdding:
    def test_shows_a_first_password_once_and_nothing_keeps_it(self, desk, site, visitor, ada):
        fields = {"login": " Lee ", "name": "Lee Wu", "role": "lead"}
        page = visitor.post("/people/add", fields, form_of="/people/add")
        password = GIVEN.search(page.data.decode()).group(1)
        assert page.headers["Cache-Control"] == "no-store"
        assert place_of(Visitor(site).log_in("lee", password)) == "/"
        lee = desk.moderators.by_login("lee")
        assert (lee.name, lee.role) == ("Lee Wu", "lead")
        entry = next(one for one in desk.audit.read() if one.action == "moderator_added" and one.subject == lee.id)
        assert (entry.actor, entry.details) == (ada.id, {"login": "lee", "role": "lead"})
        assert password not in visitor.get(f"/people/{lee.id}").data.decode() + repr(desk.audit.read())

    def test_gives_everybody_another_password(self, visitor):
        given = set()
        for login in ("lee", "max"):
            fields = {"login": login, "name": login, "role": "lead"}
            page = visitor.post("/people/add", fields, form_of="/people/add")
            given.add(GIVEN.search(page.data.decode()).group(1))
        assert len(given) == 2 and min(map(len, given)) >= 20

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"login": "MO"}, "Somebody has this login already."),
            ({"login": " "}, "1 to 100 characters"),
            ({"name": "a\u202eb"}, "1 to 100 characters"),
        ],
    )
    def test_is_refused_with_what_was_typed_still_there(self, desk, visitor, mo, fields, sentence):
        typed = {"login": "lee", "name": "Lee Wu", "role": "curator"} | fields
        page = visitor.post("/people/add", typed, form_of="/people/add")
        assert page.status == 422 and sentence in text_of(page)
        assert 'value="curator" checked' in page.data.decode()
        assert len(desk.moderators.list()) == 2

    def test_a_role_that_there_is_not_is_refused(self, desk, visitor):
        fields = {"login": "lee", "name": "Lee", "role": "boss"}
        assert visitor.post("/people/add", fields, form_of="/people/add").status == 422
        assert len(desk.moderators.list()) == 1


class TestChanging:
    def test_the_role_counts_at_once_and_is_in_the_audit_log(self, desk, act, ada, mo):
        assert place_of(act("role", role="lead")) == f"/people/{mo.id}?done=role"
        assert desk.moderators.get(mo.id).role == "lead"
        assert changes(desk, mo) == [(ada.id, {"role": "lead"})]

    def test_who_is_disabled_is_out_at_once_and_comes_back_when_enabled(self, desk, site, act, visitor, mo):
        theirs = visitor_of(desk, site, mo)
        assert place_of(act("disable")) == f"/people/{mo.id}?done=disabled"
        assert place_of(theirs.get("/account")).startswith("/login")
        assert "Disabled" in text_of(visitor.get(f"/people/{mo.id}"))
        act("enable")
        assert Visitor(site).log_in("mo").status == 303

    def test_a_lock_out_is_shown_and_ended(self, desk, site, act, visitor, mo):
        for _ in range(5):
            Visitor(site).log_in("mo", "wrong")
        assert "Locked after wrong attempts" in text_of(visitor.get(f"/people/{mo.id}"))
        act("enable")
        assert Visitor(site).log_in("mo").status == 303

    def test_a_lost_telephone_is_taken_off(self, desk, act, ada, mo):
        secret = desk.moderators.enrol_totp(mo.id)
        desk.moderators.confirm_totp(mo.id, secret, pyotp.TOTP(secret).at(utc_now()))
        assert place_of(act("second-factor")) == f"/people/{mo.id}?done=second_factor"
        assert not desk.moderators.get(mo.id).has_totp
        assert changes(desk, mo)[0] == (ada.id, {"second_factor": "reset"})

    def test_a_lost_password_is_replaced_by_one_that_is_shown_once(self, desk, site, act, mo):
        theirs = visitor_of(desk, site, mo)
        password = GIVEN.search(act("password").data.decode()).group(1)
        assert theirs.get("/account").status == 303
        assert Visitor(site).log_in("mo").status == 403
        assert Visitor(site).log_in("mo", password).status == 303

    def test_all_logins_of_somebody_end_together(self, desk, site, act, ada, mo):
        browsers = [visitor_of(desk, site, mo) for _ in range(2)]
        assert place_of(act("sessions")) == f"/people/{mo.id}?done=sessions"
        assert [browser.get("/account").status for browser in browsers] == [303, 303]
        assert changes(desk, mo) == [(ada.id, {"sessions": "ended"})]
        assert Visitor(site).log_in("mo").status == 303

    @pytest.mark.parametrize("what", ["role", "disable", "password", "second-factor", "sessions", "enable"])
    def test_nobody_changes_themselves(self, desk, visitor, ada, what):
        desk.moderators.add("another", "Another", "administrator", PASSWORD)
        page = visitor.get(f"/people/{ada.id}")
        assert f"/people/{ada.id}/" not in page.data.decode(), "no form offers it"
        refused = visitor.post(f"/people/{ada.id}/{what}", hidden_fields(page) | {"role": "lead"})
        assert refused.status == 409 and "another administrator" in text_of(refused)
        assert desk.moderators.get(ada.id) == ada and changes(desk, ada) == []

    @pytest.mark.parametrize("what", ["role", "disable", "password", "second-factor", "sessions", "enable"])
    def test_without_the_forms_token_nothing_is_changed(self, desk, visitor, mo, what):
        assert visitor.post(f"/people/{mo.id}/{what}", {"role": "lead"}).status == 403
        assert desk.moderators.get(mo.id) == mo and changes(desk, mo) == []

    def test_who_is_not_there_has_a_page_that_says_so(self, visitor):
        missing = visitor.get("/people/nobody")
        assert missing.status == 404 and "There is no such person" in text_of(missing)


def test_who_was_last_here_is_known_after_their_session_is_swept(desk, mo):
    assert desk.people.get(mo.id).last_seen_at is None
    before = utc_now() - timedelta(seconds=1)
    token, _ = desk.sessions.begin(mo.id)
    desk.sessions.end(token)
    assert before < desk.people.get(mo.id).last_seen_at <= utc_now()
