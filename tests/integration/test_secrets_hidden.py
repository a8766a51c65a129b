"""No secret is ever printed: not by a process that runs, nor by one that is refused or ends with an error."""

import signal

import pytest

from tests.support.program import Program
from tests.support.running_service import ServiceProcess, ask, eventually, service_settings
from tests.support.secured_kafka import PASSWORD, as_client, secured

__all__ = ["secured"]
EVERYTHING = [(kind, "*", "LITERAL", "ALL") for kind in ("TOPIC", "GROUP", "TRANSACTIONAL_ID")]
WRONG = "hunter2-hunter2"
MASTER_KEY = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0ISE="


def secret_files(folder, **secrets):
    """A folder as Docker and Kubernetes mount secrets."""
    folder.mkdir()
    for name, value in secrets.items():
        (folder / f"LIKENESS_{name}").write_text(value + "\n")
    return str(folder)


def printed(secured, tmp_path, models, user, password, until, **kafka):
    """All that a process shows that reads its secrets from files, logs at DEBUG and crashes in the end."""
    inner = service_settings(secured.broker, tmp_path / "home", models, log={"level": "DEBUG"})
    key = secured.authority.sign(user, password=PASSWORD)
    mutual = {"ssl_certfile": str(key.file), "ssl_keyfile": str(key.key_file)}
    settings = as_client(inner, secured.over_sasl(user, "") | mutual | kafka)
    names = {"KAFKA__SASL_PASSWORD": password, "KAFKA__SSL_PASSWORD": PASSWORD, "KEYS__MASTER_KEY": MASTER_KEY}
    service = ServiceProcess(settings, LIKENESS_SECRETS_DIR=secret_files(tmp_path / "secrets", **names))
    service._environment = {
        name: value for name, value in service._environment.items() if name.removeprefix("LIKENESS_") not in names
    }
    service.start()
    try:
        eventually(lambda: until in ask(settings, "/readyz")[1], 40)
        pages = [ask(settings, page)[1] for page in ("/readyz", "/healthz", "/metrics")]
        service._process.send_signal(signal.SIGABRT)
        service.wait()
    finally:
        service.stop()
    shown = "".join([*service.log, *pages])
    assert "Fatal Python error: Aborted" in shown
    return shown


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_service_with_its_secrets_in_files_runs_and_shows_none_of_them(secured, tmp_path, models, mechanism):
    user = "plain" if mechanism == "PLAIN" else "hidden"
    if user == "hidden":
        secured.user(user)
    secured.allow(user, EVERYTHING)
    shown = printed(secured, tmp_path, models, user, PASSWORD, "ok\n", sasl_mechanism=mechanism)
    assert "Screening." in shown
    assert PASSWORD not in shown and MASTER_KEY not in shown


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_service_that_is_refused_shows_no_secret(secured, tmp_path, models, mechanism):
    shown = printed(secured, tmp_path, models, "plain", WRONG, "it refuses the user plain", sasl_mechanism=mechanism)
    assert WRONG not in shown and PASSWORD not in shown and MASTER_KEY not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE__URL", "postgresql+psycopg://likeness:hunter2@127.0.0.1:1/likeness"),
        ("DATABASE__URL", "postgresql+nodriver://likeness:hunter2@127.0.0.1/likeness"),
        ("DATABASE__URL", "postgresql+psycopg://likeness:hunter2@127.0.0.1:port/likeness"),
        ("DATABASE__URL", "hunter2"),
        ("KEYS__MASTER_KEY", "hunter2"),
        ("KEYS__MASTER_KEY", "aHVudGVyMg=="),
    ],
)
@pytest.mark.parametrize("command", [("gallery", "list"), ("config", "show")])
def test_a_command_with_a_wrong_secret_does_not_repeat_it(tmp_path, name, value, command):
    folder = secret_files(tmp_path / "secrets", **{name: value})
    ended = Program(tmp_path / "home")(*command, LIKENESS_SECRETS_DIR=folder, LIKENESS_LOG__LEVEL="DEBUG")
    assert "hunter2" not in ended.out + ended.err and value not in ended.out + ended.err
    assert "Traceback" not in ended.err
