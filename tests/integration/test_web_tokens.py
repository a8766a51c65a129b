"""Tokens of the API: made and revoked by administrators on their page and by the program, and never shown again."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from records.audit import AuditLog
from records.database import open_database
from records.errors import UnfitToken, UnknownToken
from records.people.api_tokens import SCOPES, ApiTokens
from tests.support.console_site import PASSWORD, Visitor, make_desk, place_of, text_of
from tests.support.program import Program

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
TOKEN = re.compile(r"lk_[A-Za-z0-9_-]{43}")


@pytest.fixture
def desk(database):
    desk = make_desk(database, lambda: START)
    desk.moderators.add("ada", "Ada", "administrator", PASSWORD)
    desk.moderators.add("lea", "Lea", "lead", PASSWORD)
    return desk


def logged_in(site, login):
    visitor = Visitor(site)
    visitor.log_in(login)
    return visitor


def test_an_administrator_makes_a_token_sees_it_once_and_revokes_it(desk, site):
    ada = logged_in(site, "ada")
    made = ada.post("/tokens", {"name": "Queue tool", "scopes": "cases:read", "days": "30"}, form_of="/tokens")
    (text,) = set(TOKEN.findall(text_of(made)))
    (token,) = desk.tokens.list()
    assert desk.tokens.find(text).id == token.id
    assert (token.name, token.scopes, token.expires_at) == ("Queue tool", ("cases:read",), START + timedelta(days=30))
    assert "Queue tool" in text_of(ada.get("/tokens")) and not TOKEN.search(text_of(ada.get("/tokens")))
    assert place_of(ada.post(f"/tokens/{token.id}/revoke", form_of="/tokens")) == "/tokens?done=revoked"
    assert desk.tokens.find(text) is None
    assert ada.post(f"/tokens/{token.id}/revoke", form_of="/tokens").status == 404
    adas = desk.moderators.by_login("ada").id
    entries = [(entry.actor, entry.action) for entry in desk.audit.read(subject=token.id)]
    assert entries == [(adas, "token_revoked"), (adas, "token_added")]


@pytest.mark.parametrize(
    "form", [{"name": " ", "scopes": "cases:read"}, {"name": "tool"}, {"name": "a", "scopes": "all"}]
)
def test_a_token_without_a_name_or_anything_that_it_may_do_is_not_made(desk, site, form):
    answer = logged_in(site, "ada").post("/tokens", form, form_of="/tokens")
    assert answer.status == 422
    assert "may do at least one thing" in text_of(answer)
    assert desk.tokens.list() == ()


def test_nobody_but_administrators_makes_tokens(desk, site):
    lea = logged_in(site, "lea")
    assert lea.get("/tokens").status == 403
    assert lea.post("/tokens", {"name": "tool", "scopes": "cases:read"}, form_of="/queue").status == 403
    assert desk.tokens.list() == ()


def test_what_is_kept_of_a_token_does_not_let_anybody_in(desk, database):
    text, _ = desk.tokens.add("tool", SCOPES, by="system")
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM api_tokens").all()
        kept = [str(value) for row in rows for value in row]
    assert text not in "".join(kept)
    assert all(desk.tokens.find(value) is None for value in kept)


def test_a_token_is_whole_or_not_at_all(desk):
    for name, scopes, ends in (("", SCOPES, None), ("a\x00b", SCOPES, None), ("a", (), None), ("a", SCOPES, START)):
        with pytest.raises(UnfitToken):
            desk.tokens.add(name, scopes, expires_at=ends, by="system")
    with pytest.raises(UnknownToken):
        desk.tokens.revoke("none", by="system")


@pytest.fixture
def likeness(tmp_path):
    return Program(tmp_path / "home", LOGNAME="root")


@pytest.fixture
def tokens(likeness):
    """The records that the program works on."""
    likeness.home.mkdir()
    database = open_database(f"sqlite:///{likeness.home / 'likeness.db'}")
    database.migrate()
    yield ApiTokens(database, AuditLog(database))
    database.close()


def test_the_program_prints_a_token_alone_on_stdout_and_revokes_it(likeness, tokens):
    made = likeness("tokens", "add", "Queue tool", "--scope", "cases:read", "--scope", "cases:decide")
    assert made.code == 0, made.err
    assert TOKEN.fullmatch(made.out.strip())
    token = tokens.find(made.out.strip())
    assert (token.scopes, token.created_by) == (("cases:read", "cases:decide"), "operator:root")
    listed = likeness("tokens", "list", "--json")
    assert [one["id"] for one in listed.lines] == [token.id]
    assert not TOKEN.search(listed.out)
    assert likeness("tokens", "revoke", token.id).code == 0
    assert "revoked" in likeness("tokens", "list").out
    assert "There is no such token" in likeness("tokens", "revoke", token.id).sentence
