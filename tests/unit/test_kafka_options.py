import pytest

from config.settings import SettingsError, load_settings
from consumers.kafka import client_options


def options(**kafka):
    return client_options(load_settings(kafka=kafka).kafka)


def test_secrets_reach_the_client_in_the_clear_and_stay_hidden_in_the_settings():
    kafka = load_settings(
        kafka={
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": "likeness",
            "sasl_password": "hush-hush",
            "ssl_cafile": "/etc/kafka/ca.pem",
        }
    ).kafka
    found = client_options(kafka)
    assert found["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (found["sasl_plain_username"], found["sasl_plain_password"]) == ("likeness", "hush-hush")
    assert found["ssl_cafile"] == "/etc/kafka/ca.pem"
    assert "hush-hush" not in repr(kafka)


def test_several_bootstrap_servers_are_told_apart():
    assert options(bootstrap_servers="one:9092, two:9092")["bootstrap_servers"] == ["one:9092", "two:9092"]


def test_an_option_that_no_client_has_is_refused():
    with pytest.raises(SettingsError, match=r"kafka\.extra\.lingering"):
        options(extra={"lingering": 5})


@pytest.mark.parametrize("name", ["acks", "enable_auto_commit", "isolation_level", "transactional_id"])
def test_an_option_that_delivery_depends_on_is_refused(name):
    with pytest.raises(SettingsError, match=rf"kafka\.extra\.{name}"):
        options(extra={name: 1})
