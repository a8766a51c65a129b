import contextlib
import os
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from config import Settings, SettingsError, load_settings, packaged

DEFAULTS = packaged("likeness.toml")


@contextlib.contextmanager
def variables(**given):
    """The process environment without any LIKENESS_* variable but those given."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
        del os.environ[name]
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def settings(**given):
    with variables(**given):
        return load_settings()


def refusal(**given):
    with pytest.raises(SettingsError) as refused:
        settings(**given)
    (sentence,) = str(refused.value).splitlines()
    assert sentence.endswith(".")
    return sentence


def own_file(tmp_path, text):
    file = tmp_path / "own.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(file)


def tables():
    """The tables of the settings, by name."""
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def test_every_setting_has_its_default_in_the_file_and_the_file_has_no_other():
    written = tomllib.loads(DEFAULTS.read_text())
    assert {name: set(table) for name, table in written.items()} == {
        name: set(model.model_fields) for name, model in tables().items()
    }


SAYS_ITSELF = {
    "bootstrap_servers",
    "group_id",
    "sasl_username",
    "uploads",
    "screenings",
    "reviews",
    "dead_letters",
    "gallery_changes",
    "connect_seconds",
    "attempts",
    "confirmed",
    "not_this_person",
    "genuine_owner",
    "bad_picture",
    "escalated",
    "max_redirects",
    "level",
}
"""Settings whose name is all there is to say."""


def test_every_setting_that_does_not_explain_itself_has_a_comment_beside_it():
    lines = [re.match(r"(\w+) = [^#]*(#.+)?", line) for line in DEFAULTS.read_text().splitlines()]
    silent = {line[1] for line in lines if line and not line[2]} - {line[1] for line in lines if line and line[2]}
    assert silent == SAYS_ITSELF


def test_no_default_is_written_in_the_code():
    assert all(field.is_required() for model in tables().values() for field in model.model_fields.values())


def test_empty_texts_of_the_file_mean_none():
    assert settings().policy.threshold is None
    assert settings().kafka.sasl_password is None


def test_variables_win_over_the_own_file_which_wins_over_the_defaults(tmp_path):
    own = own_file(tmp_path, '[kafka]\nclient_id = "mine"\ngroup_id = "mine"\n')
    effective = settings(LIKENESS_CONFIG=own, LIKENESS_KAFKA__CLIENT_ID="variable").kafka
    assert (effective.client_id, effective.group_id) == ("variable", "mine")
    assert effective.bootstrap_servers == "127.0.0.1:9092"


def test_arguments_win_over_everything():
    with variables(LIKENESS_KAFKA__CLIENT_ID="variable", LIKENESS_KAFKA__GROUP_ID="variable"):
        effective = load_settings(kafka={"client_id": "argument"}).kafka
    assert (effective.client_id, effective.group_id) == ("argument", "variable")


def test_variables_carry_numbers_switches_and_lists():
    effective = settings(
        LIKENESS_POLICY__THRESHOLD="0.5",
        LIKENESS_TOPICS__CREATE="false",
        LIKENESS_FETCH__ALLOWED_HOSTS='["img.example.com", "*.example.org"]',
        LIKENESS_KAFKA__EXTRA='{"request_timeout_ms": 5000}',
    )
    assert effective.policy.threshold == 0.5
    assert effective.topics.create is False
    assert effective.fetch.allowed_hosts == ("img.example.com", "*.example.org")
    assert effective.kafka.extra == {"request_timeout_ms": 5000}


def test_settings_cannot_be_changed_once_read():
    with pytest.raises(ValueError, match="frozen"):
        settings().kafka.client_id = "other"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"LIKENESS_KAFKA__CLIENTID": "x"}, "kafka.clientid: there is no such setting."),
        ({"LIKENESS_KAFFKA__CLIENT_ID": "x"}, "LIKENESS_KAFFKA__CLIENT_ID names the table [kaffka]"),
        ({"LIKENESS_POLICY__THRESHOLD": "1.5"}, "policy.threshold: Input should be less than 1."),
        ({"LIKENESS_KAFKA__DELIVERY": "maybe"}, "kafka.delivery: Input should be 'auto', 'transactional' or"),
        (
            {"LIKENESS_POLICY__FACES_PER_UPLOAD": "1e300"},
            "policy.faces_per_upload: Input should be less than or equal to",
        ),
        (
            {"LIKENESS_POLICY__REVIEW_BUDGET": "0.0009"},
            "policy.review_budget: Input should be greater than or equal to",
        ),
        ({"LIKENESS_SHADOW__REVIEW_BUDGET": "1e-9"}, "shadow.review_budget: Input should be greater than or equal to"),
        ({"LIKENESS_QUARANTINE__HOURS": "8761"}, "quarantine.hours: Input should be less than or equal to 8760."),
        ({"LIKENESS_HTTP__PORT": "70000"}, "http.port: Input should be less than or equal to 65535."),
        ({"LIKENESS_FETCH__ALLOWED_HOSTS": "a.example.com"}, """such as LIKENESS_FETCH__ALLOWED_HOSTS='["img."""),
        ({"LIKENESS_CONFIG": "/no/such/file.toml"}, "LIKENESS_CONFIG names /no/such/file.toml, which is not a file."),
    ],
)
def test_a_variable_that_is_wrong_is_named_in_one_sentence(given, said):
    assert said in refusal(**given)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[kafka]\nclientid = 1\n", "kafka.clientid: there is no such setting."),
        ("[kaffka]\n", "kaffka: there is no such setting."),
        ("kafka = 1\n", "kafka: Input should be a valid dictionary"),
        ("[kafka\n", "own.toml is not valid TOML: "),
        (b"\xff\xfe", "own.toml is not valid TOML: "),
    ],
)
def test_an_own_file_that_is_wrong_is_told_in_one_sentence(tmp_path, text, said):
    assert said in refusal(LIKENESS_CONFIG=own_file(tmp_path, text))


def test_no_number_of_the_settings_may_be_infinite_or_none_at_all():
    written = tomllib.loads(DEFAULTS.read_text())
    floats = [(table, name) for table in written for name, one in written[table].items() if isinstance(one, float)]
    assert ("policy", "faces_per_upload") in floats
    for table, name in floats:
        for value in ("inf", "nan"):
            assert f"{table}.{name}: " in refusal(**{f"LIKENESS_{table}__{name}".upper(): value})


def test_all_that_is_wrong_is_told_at_once():
    said = refusal(LIKENESS_HTTP__PORT="x", LIKENESS_FACES__MIN_SIZE="0")
    assert "http.port: " in said
    assert "faces.min_size: " in said


def test_a_wrong_secret_is_not_repeated(tmp_path):
    said = refusal(LIKENESS_CONFIG=own_file(tmp_path, '[database]\nurl = ["hunter2"]\n'))
    assert "database.url: " in said
    assert "hunter2" not in said


@pytest.mark.parametrize("name", ["LIKENESS_HOME", "LIKENESS_DATABASE__URL", "LIKENESS_KAFKA__SASL_PASSWORD"])
def test_a_variable_that_is_not_utf_8_is_named_and_its_value_is_not(name):
    assert refusal(**{name: os.fsdecode(b"hunter2\xff")}) == f"Settings are wrong: {name} is not text in UTF-8."


def test_a_variable_named_for_a_whole_table_is_somebody_elses():
    assert settings(LIKENESS_FACES="/test/data", LIKENESS_KAFKA="x").faces.min_size == 24


def test_variables_that_kubernetes_sets_for_a_service_of_our_name_do_no_harm():
    effective = settings(
        LIKENESS_PORT="tcp://10.0.0.1:9464",
        LIKENESS_SERVICE_HOST="10.0.0.1",
        LIKENESS_PORT_9464_TCP_PROTO="tcp",
        LIKENESS_HTTP_PORT="tcp://10.0.0.2:80",
    )
    assert effective.http.port == 9464


def test_secrets_do_not_show_when_settings_are_printed():
    effective = settings(
        LIKENESS_DATABASE__URL="postgresql://u:hunter2@db/x",
        LIKENESS_KEYS__MASTER_KEY="hunter2",
        LIKENESS_KAFKA__SASL_PASSWORD="hunter2",
        LIKENESS_KAFKA__SSL_PASSWORD="hunter2",
    )
    assert "hunter2" not in repr(effective) + str(effective) + effective.model_dump_json()
    assert effective.database_url == "postgresql://u:hunter2@db/x"


def test_two_homes_share_nothing(tmp_path):
    one, other = (settings(LIKENESS_HOME=str(tmp_path / name)) for name in ("one", "other"))
    for home in (one, other):
        assert Path(home.database_url.removeprefix("sqlite:///")).parent == home.home
        assert home.master_key_file.parent == home.home
    assert one.home != other.home


def test_an_empty_home_is_the_default_one():
    assert settings(LIKENESS_HOME="").home == settings().home
    assert settings().home.is_absolute()


def test_a_dead_letter_has_room_for_its_upload_in_base64():
    kafka = settings(LIKENESS_KAFKA__MAX_MESSAGE_BYTES="3000000").kafka
    assert kafka.max_outcome_bytes == 4_500_000


@pytest.mark.parametrize(
    "servers", ["localhost", "kafka:port", "a:9092,b", "", "http://kafka:9092", "kafka:0", ":9092"]
)
def test_a_bootstrap_server_that_is_no_host_and_port_is_refused(servers):
    with pytest.raises(SettingsError, match=r"kafka\.bootstrap_servers: .* is no host:port pair, such as kafka:9092"):
        load_settings(kafka={"bootstrap_servers": servers})


@pytest.mark.parametrize("servers", ["kafka:9092", "a:9092, b:9093", "[::1]:9092"])
def test_bootstrap_servers_are_host_and_port_pairs(servers):
    assert load_settings(kafka={"bootstrap_servers": servers}).kafka.bootstrap_servers == servers


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"OIDC__ISSUER": "http://login.example.com"}, "web.oidc.issuer: must be an https:// address"),
        ({"OIDC__ISSUER": "https://login.example.com"}, "an issuer needs a client_id"),
        ({"OIDC__ISSUER": "https://login.example.com", "OIDC__CLIENT_ID": "x"}, "needs public_address"),
        ({"OIDC__ALLOW_PASSWORDS": "false"}, "nobody could log in"),
        ({"OIDC__ROLES": '{"staff": "boss"}'}, "web.oidc.roles.staff"),
        ({"PUBLIC_ADDRESS": "https://console.example.com/path"}, "must be an address without a path"),
    ],
)
def test_a_login_service_that_could_not_work_is_refused_at_the_start(given, sentence):
    assert sentence in refusal(**{f"LIKENESS_WEB__{name}": value for name, value in given.items()})
