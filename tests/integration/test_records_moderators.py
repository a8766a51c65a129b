"""Moderators, their passwords and second factors, and their sessions, on SQLite and on PostgreSQL."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from statistics import median

import pyotp
import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from sqlalchemy import update

from records.audit import AuditLog
from records.errors import (
    LastAdministrator,
    LoginLocked,
    LoginTaken,
    MasterKeyError,
    OwnRights,
    RecordsError,
    UnfitLogin,
    UnfitPassword,
    UnknownModerator,
    WrongCode,
    WrongLogin,
)
from records.keys.keyring import MasterKey
from records.people import passwords
from records.people.arrivals import Arrival, Arrivals
from records.people.moderators import ModeratorRecords
from records.people.schema_people import ModeratorRow, SessionRow
from records.people.web_sessions import WebSessions
from tests.support.clock import Clock
from tests.unit.test_passwords import Watched

MASTER = MasterKey.of(bytes(32))
PASSWORD = "correct horse battery"
WRONG = "wrong horse battery"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def true_passwords(monkeypatch):
    """With the hard work, unlike elsewhere in the suite."""
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher())
    passwords._nobodys.cache_clear()
    yield
    passwords._nobodys.cache_clear()


@pytest.fixture
def clock():
    return Clock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture
def moderators(database, clock):
    return ModeratorRecords(database, MASTER, clock=clock)


@pytest.fixture
def sessions(database, clock):
    return WebSessions(database, lifetime=12 * HOUR, idle=45 * MINUTE, clock=clock)


@pytest.fixture
def mo(moderators):
    return moderators.add("mo", "Mo Li", "moderator", PASSWORD)


@pytest.fixture
def app(moderators, mo, clock):
    """The code that Mo's telephone shows now: a second factor is in force, and a minute has passed since."""
    secret = moderators.enrol_totp(mo.id)
    totp = pyotp.TOTP(secret)
    moderators.confirm_totp(mo.id, secret, totp.at(clock.now))
    clock.now += MINUTE
    return lambda: totp.at(clock.now)


def fail(moderators, times, login="mo"):
    for _ in range(times):
        with pytest.raises(WrongLogin):
            moderators.check_password(login, WRONG)


def kept(database, table=ModeratorRow):
    """The only row of the table."""
    with database.read() as session:
        row = session.query(table).one()
        session.expunge(row)
    return row


def test_who_was_added_logs_in_with_the_password(moderators, mo):
    assert moderators.check_password("mo", PASSWORD) == mo
    assert (mo.login, mo.name, mo.role, mo.settings, mo.has_totp, mo.disabled) == (
        "mo", "Mo Li", "moderator", {}, False, False
    )  # fmt: skip
    assert moderators.get(mo.id) == moderators.by_login("mo") == mo


def test_a_login_is_the_same_in_any_case_width_and_with_blanks_around_it(moderators, mo):
    for typed in (" MO ", "Mo", "ＭＯ"):
        assert moderators.check_password(typed, PASSWORD) == moderators.by_login(typed) == mo
        with pytest.raises(LoginTaken):
            moderators.add(typed, "Another", "lead", PASSWORD)


def test_of_several_who_take_one_login_at_once_one_gets_it(moderators):
    def add(number):
        try:
            return moderators.add("mo", f"Mo {number}", "lead", PASSWORD)
        except LoginTaken:
            return None

    with ThreadPoolExecutor(4) as pool:
        added = [one for one in pool.map(add, range(4)) if one]
    assert list(moderators.list()) == added and len(added) == 1


def test_a_password_may_be_composed_by_another_keyboard(moderators):
    mo = moderators.add("mo", "Mo", "lead", "pâté de campagne")
    assert moderators.check_password("mo", "pa\u0302te\u0301 de campagne") == mo


def test_a_login_or_a_name_that_cannot_be_shown_is_refused(moderators):
    for unfit in ("", " ", "m\0o", "m\no", "\u202emo", "\udcff", "m" * 101):
        with pytest.raises(UnfitLogin):
            moderators.add(unfit, "Mo", "lead", PASSWORD)
        with pytest.raises(UnfitLogin):
            moderators.add("mo", unfit, "lead", PASSWORD)
        with pytest.raises(WrongLogin):
            moderators.check_password(unfit, PASSWORD)
    assert moderators.list() == ()


def test_a_short_password_or_one_that_is_the_login_is_refused(moderators):
    mo = moderators.add("administrator", "Mo", "lead", PASSWORD)
    for unfit in ("eleven char", "Administrator", " ADMINISTRATOR "):
        with pytest.raises(UnfitPassword):
            moderators.set_password(mo.id, unfit)
        with pytest.raises(UnfitPassword):
            moderators.add(unfit, "Mo", "lead", unfit)
    assert moderators.check_password("administrator", PASSWORD) == mo
    moderators.set_password(mo.id, "twelve chars")


def test_passwords_rest_as_argon2id_hashes_and_secrets_sealed(database, moderators, mo, clock):
    secret = moderators.enrol_totp(mo.id)
    assert kept(database).totp_sealed is None, "not in force before a code has been seen"
    moderators.confirm_totp(mo.id, secret, pyotp.TOTP(secret).at(clock.now))
    row = kept(database)
    parameters = extract_parameters(row.password_hash)
    assert parameters.type is Type.ID and parameters.memory_cost >= 65536
    assert secret.encode() not in row.totp_sealed
    with pytest.raises(MasterKeyError):
        ModeratorRecords(database, MasterKey.of(bytes(31) + b"1"), clock=clock).check_totp(mo.id, "123456")


def test_a_hash_made_with_weaker_parameters_is_made_anew_at_the_next_login(database, moderators, mo):
    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    with database.write() as session:
        session.execute(update(ModeratorRow).values(password_hash=weak))
    fail(moderators, 1)
    assert kept(database).password_hash == weak
    moderators.check_password("mo", PASSWORD)
    renewed = kept(database).password_hash
    assert extract_parameters(renewed).memory_cost >= 65536
    moderators.check_password("mo", PASSWORD)
    assert kept(database).password_hash == renewed


def test_the_error_does_not_tell_what_was_wrong(moderators, mo):
    disabled = moderators.add("dee", "Dee", "lead", PASSWORD)
    moderators.disable(disabled.id)
    said = set()
    for login, password in (("mo", WRONG), ("nobody", PASSWORD), ("dee", PASSWORD), ("mo", ""), ("", "")):
        with pytest.raises(WrongLogin) as error:
            moderators.check_password(login, password)
        said.add(str(error.value))
    assert said == {"Login or password is wrong."}


def test_an_unknown_login_takes_as_long_as_a_wrong_password(moderators):
    def seconds(login):
        begun = time.process_time()
        fail(moderators, 1, login)
        return time.process_time() - begun

    logins = [f"mo{number}" for number in range(6)]
    for login in logins:
        moderators.add(login, "Mo", "lead", PASSWORD)
    known = median(seconds(login) for login in logins)
    unknown = median(seconds("nobody") for _ in logins)
    assert known / 2 < unknown < known * 2


def test_five_wrong_passwords_lock_the_login_even_for_the_right_one(moderators, mo, clock):
    fail(moderators, 5)
    for password in (PASSWORD, WRONG):
        with pytest.raises(LoginLocked) as error:
            moderators.check_password("mo", password)
        assert error.value.until == clock.now + 15 * MINUTE
    assert "log in again after 2026-03-01 12:15:00 UTC" in str(error.value)
    clock.now += 15 * MINUTE
    assert moderators.check_password("mo", PASSWORD) == mo
    fail(moderators, 4)
    assert moderators.check_password("mo", PASSWORD) == mo, "the right password ends the count"


@pytest.mark.parametrize("password", [PASSWORD, WRONG], ids=["right", "wrong"])
def test_a_locked_login_takes_as_much_work_as_one_that_there_is_not(moderators, mo, monkeypatch, password):
    def checked(login, error):
        hasher = Watched()
        with monkeypatch.context() as patched:
            patched.setattr(passwords, "HASHER", hasher)
            with pytest.raises(error):
                moderators.check_password(login, password)
        return [extract_parameters(one) for one in hasher.checked]

    assert not passwords.matches(None, password), "there is a hash for nobody"
    unknown = checked("nobody", WrongLogin)
    assert len(unknown) == 1 and unknown == [extract_parameters(passwords.hashed(PASSWORD))]
    fail(moderators, 5)
    assert checked("mo", LoginLocked) == unknown


def test_however_many_ask_for_a_locked_login_only_a_few_hashes_are_in_work_at_once(moderators, mo, monkeypatch):
    fail(moderators, 5)
    hasher = Watched()
    monkeypatch.setattr(passwords, "HASHER", hasher)

    def attempt(_):
        with pytest.raises(LoginLocked):
            moderators.check_password("mo", PASSWORD)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(attempt, range(24)))
    assert len(hasher.checked) == 24 and hasher.most <= passwords.AT_ONCE


def test_each_lock_is_twice_as_long_as_the_one_before_up_to_a_day(database, moderators, mo, clock):
    locks = []
    for failures in range(4, 49, 5):
        with database.write() as session:
            session.execute(update(ModeratorRow).values(failures=failures))
        fail(moderators, 1)
        with pytest.raises(LoginLocked) as error:
            moderators.check_password("mo", PASSWORD)
        locks.append((error.value.until - clock.now) / MINUTE)
        clock.now = error.value.until
    assert locks == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]


def test_a_lock_holds_for_one_login_only(moderators, mo):
    moderators.add("lee", "Lee", "lead", PASSWORD)
    fail(moderators, 5)
    assert moderators.check_password("lee", PASSWORD).login == "lee"


def test_many_at_once_get_no_more_than_five_tries(moderators, mo):
    def attempt(_):
        try:
            moderators.check_password("mo", WRONG)
        except RecordsError as error:
            return type(error)

    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(attempt, range(16)))
    assert (ends.count(WrongLogin), ends.count(LoginLocked)) == (5, 11)


def test_a_right_password_among_many_tries_leaves_no_lock_behind(moderators, mo):
    fail(moderators, 4)
    assert moderators.check_password("mo", PASSWORD) == mo, "the fifth, which would have locked"
    fail(moderators, 1)
    assert moderators.check_password("mo", PASSWORD) == mo


def test_a_new_password_or_the_administrator_ends_a_lock_out(moderators, mo):
    fail(moderators, 5)
    moderators.enable(mo.id)
    moderators.check_password("mo", PASSWORD)
    fail(moderators, 5)
    moderators.set_password(mo.id, "another horse battery")
    assert moderators.check_password("mo", "another horse battery") == mo


def test_a_second_factor_is_in_force_once_a_code_of_it_was_seen(moderators, mo, clock):
    secret = moderators.enrol_totp(mo.id)
    with pytest.raises(WrongCode):
        moderators.confirm_totp(mo.id, secret, "000000")
    assert not moderators.get(mo.id).has_totp
    moderators.confirm_totp(mo.id, secret, pyotp.TOTP(secret).at(clock.now))
    assert moderators.check_password("mo", PASSWORD).has_totp


def test_a_secret_that_was_altered_on_its_way_is_refused(moderators, mo):
    for secret in ("", "AAAA", "not base32!", "A" * 31 + "\0"):
        with pytest.raises(WrongCode):
            moderators.confirm_totp(mo.id, secret, "123456")


def test_a_code_is_taken_once_and_none_that_is_older(moderators, mo, app, clock):
    older = app()
    clock.now += timedelta(seconds=30)
    code = app()
    moderators.check_totp(mo.id, f"{code[:3]} {code[3:]}")
    for used in (code, older):
        with pytest.raises(WrongCode):
            moderators.check_totp(mo.id, used)
    clock.now += timedelta(seconds=30)
    moderators.check_totp(mo.id, app())


def test_the_code_that_put_the_second_factor_in_force_does_not_log_in(moderators, mo, clock):
    secret = moderators.enrol_totp(mo.id)
    code = pyotp.TOTP(secret).at(clock.now)
    moderators.confirm_totp(mo.id, secret, code)
    with pytest.raises(WrongCode):
        moderators.check_totp(mo.id, code)


def test_one_code_logs_in_one_of_many_at_once(moderators, mo, app):
    def log_in(code):
        try:
            moderators.check_totp(mo.id, code)
        except WrongCode:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(log_in, [app()] * 4)) == [False, False, False, True]


def test_the_telephone_may_be_half_a_minute_off(moderators, mo, app, clock):
    def taken(seconds):
        clock.now += 10 * MINUTE
        code = app()
        clock.now += timedelta(seconds=seconds)
        try:
            moderators.check_totp(mo.id, code)
        except WrongCode:
            return False
        return True

    assert [taken(seconds) for seconds in (-60, -30, 30, 60)] == [False, True, True, False]


def test_what_is_no_code_is_a_wrong_code(moderators, mo, app):
    for code in ("", "12345", "1234567", "１２３４５６", "\udcff", "\0", "9" * 10_000):
        with pytest.raises(WrongCode):
            moderators.check_totp(mo.id, code)
        moderators.enable(mo.id)  # or the lock-out would answer


def test_without_a_second_factor_no_code_is_right(moderators, mo):
    with pytest.raises(WrongCode):
        moderators.check_totp(mo.id, "000000")


def test_who_has_the_password_alone_gets_five_tries_at_the_code(moderators, mo, app):
    for _ in range(5):
        moderators.check_password("mo", PASSWORD)
        with pytest.raises(WrongCode):
            moderators.check_totp(mo.id, "000000")
    for attempt in (lambda: moderators.check_totp(mo.id, app()), lambda: moderators.check_password("mo", PASSWORD)):
        with pytest.raises(LoginLocked):
            attempt()


def test_four_wrong_passwords_and_then_both_right_log_in(moderators, mo, app):
    fail(moderators, 4)
    moderators.check_password("mo", PASSWORD)
    moderators.check_totp(mo.id, app())
    fail(moderators, 4)
    assert moderators.check_password("mo", PASSWORD) == moderators.get(mo.id)


def test_a_second_factor_that_is_taken_away_can_be_set_up_anew(moderators, mo, app, clock):
    moderators.reset_totp(mo.id)
    assert not moderators.get(mo.id).has_totp
    with pytest.raises(WrongCode):
        moderators.check_totp(mo.id, app())
    secret = moderators.enrol_totp(mo.id)
    moderators.confirm_totp(mo.id, secret, pyotp.TOTP(secret).at(clock.now))
    assert moderators.get(mo.id).has_totp


def test_a_second_factor_of_one_opens_for_nobody_else(database, moderators, mo, app):
    lee = moderators.add("lee", "Lee", "lead", PASSWORD)
    with database.write() as session:
        sealed = session.get(ModeratorRow, mo.id).totp_sealed
        session.get(ModeratorRow, lee.id).totp_sealed = sealed
    with pytest.raises(MasterKeyError):
        moderators.check_totp(lee.id, app())


def test_settings_are_kept_as_they_were_given(moderators, mo):
    moderators.save_settings(mo.id, {"language": "zh_Hans", "blur": False, "text": "\0é"})
    moderators.save_settings(mo.id, {"language": "zh_Hans", "blur": False})
    assert moderators.get(mo.id).settings == {"language": "zh_Hans", "blur": False}


def test_the_last_administrator_who_may_log_in_is_neither_disabled_nor_demoted(moderators):
    ada, eve = (moderators.add(login, login, "administrator", PASSWORD) for login in ("ada", "eve"))
    moderators.disable(eve.id)
    for dethrone in (lambda: moderators.set_role(ada.id, "lead"), lambda: moderators.disable(ada.id)):
        with pytest.raises(LastAdministrator):
            dethrone()
    moderators.set_role(ada.id, "administrator")
    moderators.enable(eve.id)
    moderators.set_role(ada.id, "lead")
    with pytest.raises(LastAdministrator):
        moderators.disable(eve.id)
    assert [(one.role, one.disabled) for one in moderators.list()] == [("lead", False), ("administrator", False)]


def test_of_two_administrators_who_dethrone_each_other_at_once_one_is_left(moderators):
    for round_ in range(5):
        pair = [moderators.add(f"ada{round_}{side}", "Ada", "administrator", PASSWORD) for side in range(2)]
        for other in moderators.list():
            if other.role == "administrator" and other not in pair:
                moderators.set_role(other.id, "lead")

        def dethrone(one):
            try:
                moderators.set_role(one.id, "lead")
            except LastAdministrator:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(dethrone, pair)) == [False, True]


def test_nobody_changes_their_own_role_or_disables_themselves(moderators, mo):
    for change in (lambda: moderators.set_role(mo.id, "lead", by=mo.id), lambda: moderators.disable(mo.id, by=mo.id)):
        with pytest.raises(OwnRights):
            change()
    assert moderators.get(mo.id) == mo


def test_who_was_added_without_a_password_cannot_log_in_with_one(moderators):
    eve = moderators.add("eve", "Eve", "lead", None)
    assert not eve.has_password
    for password in ("", "None", PASSWORD):
        with pytest.raises(WrongLogin):
            moderators.check_password("eve", password)


def test_of_many_first_logins_by_openid_connect_at_once_one_makes_the_moderator(database, moderators):
    arrivals = Arrivals(database)
    with ThreadPoolExecutor(4) as pool:
        admitted = list(pool.map(arrivals.admit, [Arrival("issuer sub-1", "Eve", "Eve Holm", "lead")] * 4))
    assert [one.id for one in moderators.list()] == list({one.id for one in admitted})
    assert AuditLog(database).verify() is None


def test_who_is_not_there_is_named(moderators):
    for ask in (moderators.get, moderators.by_login, moderators.enrol_totp, moderators.disable, moderators.reset_totp):
        with pytest.raises(UnknownModerator, match="There is no moderator nobody"):
            ask("nobody")
    with pytest.raises(UnknownModerator):
        moderators.set_role("nobody", "lead")


def test_every_change_of_a_moderator_is_in_the_audit_log_and_no_secret_is(database, moderators, clock):
    lee = moderators.add("lee", "Lee", "lead", PASSWORD, by="operator:root")
    moderators.add("ada", "Ada", "administrator", PASSWORD)
    moderators.set_role(lee.id, "administrator", by="operator:root")
    moderators.set_password(lee.id, "another horse battery", by=lee.id)
    secret = moderators.enrol_totp(lee.id)
    moderators.confirm_totp(lee.id, secret, pyotp.TOTP(secret).at(clock.now))
    moderators.reset_totp(lee.id, by="operator:root")
    moderators.disable(lee.id, by="operator:root")
    moderators.enable(lee.id, by="operator:root")
    with pytest.raises(LoginTaken):
        moderators.add("lee", "Lee", "lead", PASSWORD)
    log = AuditLog(database)
    assert log.verify() is None
    assert [(one.action, one.actor, dict(one.details)) for one in reversed(log.read(subject=lee.id))] == [
        ("moderator_added", "operator:root", {"login": "lee", "role": "lead"}),
        ("moderator_changed", "operator:root", {"role": "administrator"}),
        ("moderator_changed", lee.id, {"password": "set"}),
        ("moderator_changed", lee.id, {"second_factor": "set"}),
        ("moderator_changed", "operator:root", {"second_factor": "reset"}),
        ("moderator_changed", "operator:root", {"disabled": True}),
        ("moderator_changed", "operator:root", {"disabled": False}),
    ]
    assert len(log.read()) == 8


def test_a_session_is_found_by_its_token_which_is_not_kept(database, sessions, mo, clock):
    token, begun = sessions.begin(mo.id)
    assert sessions.find(token) == begun
    assert (begun.moderator, begun.created_at) == (mo, clock.now)
    row = kept(database, SessionRow)
    assert row.id == sha256(token.encode()).hexdigest() and token not in (row.id, row.csrf_token)
    assert sessions.find(begun.csrf_token) is sessions.find("") is sessions.find(row.id) is None
    assert sessions.begin(mo.id)[0] != token


def test_a_session_ends_when_nobody_has_used_it_for_so_long(sessions, mo, clock):
    token, _ = sessions.begin(mo.id)
    for _ in range(3):
        clock.now += 44 * MINUTE
        assert sessions.find(token)
    clock.now += 45 * MINUTE
    assert sessions.find(token) is None


def test_a_session_ends_after_its_lifetime_however_busy(sessions, mo, clock):
    token, begun = sessions.begin(mo.id)
    while clock.now - begun.created_at < 12 * HOUR:
        assert sessions.find(token)
        clock.now += 30 * MINUTE
    assert sessions.find(token) is None


def test_use_is_written_down_once_a_minute(database, sessions, mo, clock):
    token, begun = sessions.begin(mo.id)
    clock.now += timedelta(seconds=59)
    sessions.find(token)
    assert kept(database, SessionRow).seen_at == begun.created_at
    clock.now += timedelta(seconds=1)
    sessions.find(token)
    assert kept(database, SessionRow).seen_at == clock.now


def test_who_logs_out_leaves_their_other_sessions_alone(sessions, mo):
    here, there = (sessions.begin(mo.id)[0] for _ in range(2))
    sessions.end(here)
    sessions.end(here)
    assert (sessions.find(here), sessions.find(there) is None) == (None, False)


def test_all_sessions_of_one_moderator_end_together(moderators, sessions, mo):
    lee = moderators.add("lee", "Lee", "lead", PASSWORD)
    tokens = [sessions.begin(mo.id)[0] for _ in range(2)]
    other, _ = sessions.begin(lee.id)
    assert sessions.end_all(mo.id) == 2
    assert [sessions.find(token) for token in tokens] == [None, None]
    assert sessions.find(other)


def test_a_new_role_counts_in_sessions_that_there_are(moderators, sessions, mo):
    token, _ = sessions.begin(mo.id)
    moderators.set_role(mo.id, "lead")
    assert sessions.find(token).moderator.role == "lead"


def test_who_is_disabled_is_logged_out_and_cannot_log_in_until_enabled(moderators, sessions, mo):
    token, _ = sessions.begin(mo.id)
    moderators.disable(mo.id)
    assert sessions.find(token) is None
    assert moderators.get(mo.id).disabled
    fail(moderators, 1)
    with pytest.raises(WrongLogin):
        moderators.check_password("mo", PASSWORD)
    with pytest.raises(UnknownModerator):
        sessions.begin(mo.id)
    moderators.enable(mo.id)
    assert moderators.check_password("mo", PASSWORD) == mo
    assert sessions.find(token) is None, "the old session is over for good"


@pytest.mark.parametrize("change", ["password", "totp"])
def test_new_proofs_of_who_one_is_end_the_sessions_begun_with_the_old(moderators, sessions, mo, change):
    token, _ = sessions.begin(mo.id)
    if change == "password":
        moderators.set_password(mo.id, "another horse battery")
        fail(moderators, 1)
        with pytest.raises(WrongLogin):
            moderators.check_password("mo", PASSWORD)
    else:
        moderators.reset_totp(mo.id)
    assert sessions.find(token) is None


def test_sessions_whose_time_is_over_are_swept(database, sessions, mo, clock):
    sessions.begin(mo.id)
    clock.now += 44 * MINUTE
    token, _ = sessions.begin(mo.id)
    clock.now += MINUTE
    assert sessions.sweep() == 1
    assert sessions.find(token) and kept(database, SessionRow)
    clock.now += DAY
    assert (sessions.sweep(), sessions.sweep()) == (1, 0)
