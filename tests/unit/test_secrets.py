"""Secrets come from files as well as from variables, and neither shows again."""

import os

import pytest

from tests.unit.test_settings import own_file, refusal, settings

SECRETS = {
    "LIKENESS_KAFKA__SASL_PASSWORD": lambda found: found.kafka.sasl_password.get_secret_value(),
    "LIKENESS_KAFKA__SSL_PASSWORD": lambda found: found.kafka.ssl_password.get_secret_value(),
    "LIKENESS_DATABASE__URL": lambda found: found.database_url,
    "LIKENESS_KEYS__MASTER_KEY": lambda found: found.keys.master_key.get_secret_value(),
    "LIKENESS_WEB__OIDC__CLIENT_SECRET": lambda found: found.web.oidc.client_secret.get_secret_value(),
}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "secrets"
    made.mkdir()
    return made


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_each_secret_can_come_from_a_file_named_as_its_variable(folder, name, case):
    (folder / case(name)).write_text("hunter2\n")
    found = settings(LIKENESS_SECRETS_DIR=str(folder))
    assert SECRETS[name](found) == "hunter2"
    assert "hunter2" not in repr(found) + str(found) + found.model_dump_json()


def test_a_variable_wins_over_a_secrets_file_and_that_over_the_own_toml(folder, tmp_path):
    own = own_file(tmp_path, '[kafka]\nsasl_password = "toml"\nssl_password = "toml"\n')
    (folder / "likeness_kafka__sasl_password").write_text("file")
    (folder / "likeness_kafka__ssl_password").write_text("file")
    variables = {"LIKENESS_KAFKA__SSL_PASSWORD": "variable"}
    kafka = settings(LIKENESS_SECRETS_DIR=str(folder), LIKENESS_CONFIG=own, **variables).kafka
    assert (kafka.sasl_password.get_secret_value(), kafka.ssl_password.get_secret_value()) == ("file", "variable")


def test_a_secret_mounted_as_kubernetes_does_is_read(folder):
    data = folder / "..2026_03_01"
    data.mkdir()
    (data / "LIKENESS_KAFKA__SASL_PASSWORD").write_text("hunter2")
    (folder / "..data").symlink_to(data.name)
    (folder / "LIKENESS_KAFKA__SASL_PASSWORD").symlink_to("..data/LIKENESS_KAFKA__SASL_PASSWORD")
    assert settings(LIKENESS_SECRETS_DIR=str(folder)).kafka.sasl_password.get_secret_value() == "hunter2"


def test_other_peoples_files_in_the_folder_do_no_harm(folder):
    (folder / "postgres_password").write_text("theirs")
    (folder / "LIKENESS_FACES").write_text("theirs")
    (folder / "LIKENESS_HOME").write_text("/theirs")
    (folder / "kafka__sasl_password").write_bytes(b"\xff")
    found = settings(LIKENESS_SECRETS_DIR=str(folder))
    assert found.kafka.sasl_password is None and found.home != "/theirs"


def test_an_empty_name_of_the_folder_is_none():
    assert settings(LIKENESS_SECRETS_DIR="").kafka.sasl_password is None


def test_a_folder_that_is_not_there_is_told(tmp_path):
    said = refusal(LIKENESS_SECRETS_DIR=str(tmp_path / "none"))
    assert said == f"LIKENESS_SECRETS_DIR: {tmp_path}/none cannot be read: No such file or directory."


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("LIKENESS_KAFFKA__SASL_PASSWORD", b"hunter2", "names the table [kaffka], which there is not."),
        ("LIKENESS_KAFKA__SASL_PASWORD", b"hunter2", "kafka.sasl_pasword: there is no such setting."),
        ("LIKENESS_KAFKA__SASL_PASSWORD", b"hunter2\xff", "LIKENESS_KAFKA__SASL_PASSWORD is not text in UTF-8."),
        ("LIKENESS_KAFKA__EXTRA", b"hunter2", "Settings are wrong: "),
        ("LIKENESS_KAFKA__SESSION_TIMEOUT_MS", b"hunter2", "kafka.session_timeout_ms: "),
    ],
)
def test_a_file_that_is_wrong_is_named_and_what_it_holds_is_not(folder, name, content, said):
    (folder / name).write_bytes(content)
    sentence = refusal(LIKENESS_SECRETS_DIR=str(folder))
    assert said in sentence and "hunter2" not in sentence


@pytest.mark.skipif(os.geteuid() == 0, reason="everything can be read by root")
def test_a_file_that_may_not_be_read_is_told(folder):
    (folder / "LIKENESS_KAFKA__SASL_PASSWORD").touch(mode=0)
    assert "cannot be read: Permission denied." in refusal(LIKENESS_SECRETS_DIR=str(folder))
