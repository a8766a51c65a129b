"""Kafka over TLS and SASL: the service works, a refusal is told by its cause, and what is mended is gone on with."""

import threading
import time
from collections import Counter

import pytest

from config.settings import SettingsError, load_settings
from consumers.kafka import BrokerAway, wait_for_broker
from tests.support.running_service import (
    MACRON,
    ServiceProcess,
    Topics,
    ask,
    enrol,
    eventually,
    expected_outcomes,
    make_topics,
    mixed_uploads,
    outcomes,
    remove,
    service_settings,
    upload,
)
from tests.support.secured_kafka import PASSWORD, SecuredKafka, as_client, secured
from tests.support.tls import Authority

__all__ = ["secured"]
EVERYTHING = [(kind, "*", "LITERAL", "ALL") for kind in ("TOPIC", "GROUP", "TRANSACTIONAL_ID")]


def door(secured, how):
    """Settings of [kafka] for one way in, with a principal that may do everything."""
    if how == "mutual TLS":
        secured.allow("CN=consumer", EVERYTHING)
        return secured.over_mutual_tls(secured.authority.sign("consumer", password=PASSWORD), ssl_password=PASSWORD)
    secured.user("consumer")
    secured.allow("consumer", EVERYTHING)
    if how == "SASL_SSL":
        return secured.over_sasl("consumer")
    open_door = {"bootstrap_servers": secured.open.bootstrap_servers, "security_protocol": "SASL_PLAINTEXT"}
    return secured.over_sasl("consumer") | open_door


@pytest.mark.parametrize("how", ["SASL_SSL", "mutual TLS", "SASL_PLAINTEXT"])
def test_a_service_delivers_exactly_once_and_follows_the_gallery_over(secured, tmp_path, models, portraits, how):
    inner = service_settings(secured.broker, tmp_path, models)
    settings = as_client(inner, door(secured, how))
    make_topics(inner)
    topics = Topics(inner)
    with ServiceProcess(settings) as service:
        macron = enrol(settings, MACRON, portraits["person_a_1.jpg"])

        def verdict():
            one = upload(picture=portraits["person_a_2.jpg"].read_bytes())
            topics.send(one)
            return topics.screening(one["event_id"])["verdict"]

        eventually(lambda: verdict() == "review")
        remove(settings, macron)
        eventually(lambda: verdict() == "clear")
        enrol(settings, MACRON, portraits["person_a_1.jpg"])
        eventually(lambda: verdict() == "review")
        before = outcomes(topics)
        topics.send_all(mixed_uploads(portraits, 30))
        topics.until(lambda: set(outcomes(topics) - before) == expected_outcomes(30))
        topics.poll(300)
        assert outcomes(topics) - before == Counter(expected_outcomes(30))
        assert 'delivery="transactional"' in ask(settings, "/metrics")[1]
        assert service.terminate() == 0
    assert PASSWORD not in "".join(service.log)
    topics.close()


def told(kafka, seconds=8.0):
    """The first sentence that a waiting process gives, and how long it took."""
    stop, sentences = threading.Event(), []

    def note(sentence):
        sentences.append(sentence)
        stop.set()

    began = time.monotonic()
    with pytest.raises(BrokerAway):
        wait_for_broker(load_settings(kafka=kafka).kafka, stop, note)
    assert time.monotonic() - began < seconds
    return sentences[0]


def refusals(secured, folder):
    """By name: settings of [kafka], and what is said."""
    good = secured.over_sasl("consumer")
    strange, open_door = "its certificate is not one of kafka.ssl_cafile's authority (", "SASL_PLAINTEXT"
    expired = {"bootstrap_servers": secured.expired.bootstrap_servers, "security_protocol": "SSL"}
    stranger = Authority(folder / "stranger", "Another authority")
    port = secured.secure.bootstrap_servers.rpartition(":")[2]
    signed = secured.authority.sign("expired-consumer", expired=True)
    certificate = secured.authority.sign("consumer")
    return {
        "wrong password": (good | {"sasl_password": "hunter2"}, "it refuses the user consumer ("),
        "unknown user": (good | {"sasl_username": "nobody"}, "it refuses the user nobody ("),
        "other mechanism": (
            good | {"sasl_mechanism": "SCRAM-SHA-256"},
            " as kafka.sasl_mechanism, not SCRAM-SHA-256",
        ),
        "unknown authority": (
            good | {"ssl_cafile": str(stranger.file)},
            strange,
        ),
        "system's authorities": (
            good | {"ssl_cafile": ""},
            "its certificate is not one of kafka.ssl_cafile's authority (",
        ),
        "wrong host name": (
            good | {"bootstrap_servers": f"localhost:{port}"},
            "its certificate is for other names than localhost, which stands in kafka.bootstrap_servers",
        ),
        "expired server": (
            expired | {"ssl_cafile": good["ssl_cafile"]},
            "its certificate has expired",
        ),
        "no certificate": (
            secured.over_mutual_tls(certificate, ssl_certfile="", ssl_keyfile=""),
            "our certificate",
        ),
        "expired certificate": (secured.over_mutual_tls(signed), "our certificate"),
        "strange certificate": (secured.over_mutual_tls(stranger.sign("consumer")), "our certificate"),
        "PLAINTEXT on TLS": (
            {"bootstrap_servers": secured.mutual.bootstrap_servers, "security_protocol": "PLAINTEXT"},
            "PLAINTEXT: see kafka.security_protocol",
        ),
        "SASL without TLS on TLS": (
            good | {"security_protocol": "SASL_PLAINTEXT"},
            "SASL_PLAINTEXT: see kafka.security_protocol",
        ),
        "TLS on PLAINTEXT": (
            good | {"bootstrap_servers": secured.broker.bootstrap_servers},
            "the TLS handshake failed (",
        ),
        "no SASL on SASL": (good | {"security_protocol": "SSL"}, "it may ask for SASL: see kafka.security_protocol"),
        "SASL on none": (
            good | {"bootstrap_servers": secured.broker.bootstrap_servers, "security_protocol": open_door},
            "it asks for no SASL: see kafka.security_protocol",
        ),
    }


def test_each_refusal_is_told_by_its_cause_within_seconds(secured, tmp_path):
    secured.user("consumer")
    for name, (kafka, said) in refusals(secured, tmp_path).items():
        sentence = told(kafka)
        assert said in sentence, name
        assert sentence.startswith(f"The broker at {kafka['bootstrap_servers']} cannot be used over ")
        assert "hunter2" not in sentence and PASSWORD not in sentence


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ssl_cafile": "/no/such.pem"}, "kafka.ssl_cafile /no/such.pem cannot be used (No such file or directory)."),
        ({"ssl_certfile": "{consumer.file}"}, "cannot be used (PEM lib): see kafka.ssl_password, too."),
        ({"ssl_certfile": "{consumer.file}", "ssl_keyfile": "{consumer.key_file}"}, "see kafka.ssl_password, too."),
        (
            {"ssl_certfile": "{consumer.file}", "ssl_keyfile": "{consumer.key_file}", "ssl_password": "hunter2"},
            "see kafka.ssl_password, too.",
        ),
        ({"sasl_mechanism": ""}, "kafka.sasl_mechanism is not set, but kafka.security_protocol is SASL_SSL."),
        ({"sasl_mechanism": "TELEPATHY"}, "kafka.sasl_mechanism TELEPATHY is not known."),
        ({"sasl_password": ""}, "kafka.sasl_username and kafka.sasl_password must be set for SCRAM-SHA-512."),
        ({"sasl_mechanism": "GSSAPI"}, "kafka.sasl_mechanism GSSAPI cannot be used (GSSAPI lib not found!)."),
        ({"sasl_mechanism": "OAUTHBEARER"}, "kafka.sasl_mechanism OAUTHBEARER cannot be used ("),
    ],
)
def test_what_no_broker_could_accept_ends_the_start_instead_of_being_waited_for(secured, wrong, said):
    consumer = secured.authority.sign("consumer", password=PASSWORD)
    wrong = {name: value.format(consumer=consumer) for name, value in wrong.items()}
    kafka = load_settings(kafka=secured.over_sasl("consumer") | wrong).kafka
    waits = []
    with pytest.raises(SettingsError) as refused:
        wait_for_broker(kafka, threading.Event(), waits.append)
    assert said in str(refused.value) and not waits
    assert "hunter2" not in str(refused.value)


def test_a_refused_service_says_so_waits_and_starts_once_the_broker_is_mended(secured, tmp_path, models, portraits):
    secured.user("late", "another")
    secured.allow("late", EVERYTHING)
    inner = service_settings(secured.broker, tmp_path, models)
    service = ServiceProcess(as_client(inner, secured.over_sasl("late"))).start()
    try:
        eventually(lambda: "it refuses the user late (" in ask(inner, "/readyz")[1], 30)
        assert ask(inner, "/readyz")[0] == 503 and ask(inner, "/healthz")[0] == 200
        secured.user("late")
        service.wait_ready()
        topics = Topics(inner)
        one = upload(picture=portraits["impostor_1.jpg"].read_bytes())
        topics.send(one)
        assert topics.screening(one["event_id"])["verdict"] == "clear"
        topics.close()
        assert service.terminate() == 0
    finally:
        service.stop()
    log = "".join(service.log)
    assert "it refuses the user late (" in log and "Traceback" not in log and PASSWORD not in log


def kept_running(service):
    """Start it anew when it has left because a transaction was open for too long, as an orchestrator does."""
    code = service._process.poll()
    assert code in (None, 70), "".join(service.log)
    return code is None or service.start()


@pytest.mark.parametrize("broken", ["password", "certificate"])
def test_authentication_that_fails_for_a_while_loses_and_doubles_nothing(
    apache_kafka, tmp_path, models, portraits, broken
):
    with SecuredKafka(tmp_path / "broker") as secured:
        inner = service_settings(secured.broker, tmp_path / "home", models, screening={"batch_size": 4})
        settings = as_client(inner, door(secured, "SASL_SSL"))
        enrol(settings, MACRON, portraits["person_a_1.jpg"])
        make_topics(inner)
        topics = Topics(inner)
        uploads = mixed_uploads(portraits, 60)
        topics.send_all(uploads[:30])
        with ServiceProcess(settings) as service:
            topics.until(lambda: len(outcomes(topics)) >= 10, 60)
            if broken == "password":
                secured.user("consumer", "changed")
            else:
                secured.roll("127.0.0.1", expired=True)
            secured.broker.restart()
            topics.send_all(uploads[30:])
            time.sleep(4)
            assert set(outcomes(topics.poll(500))) <= expected_outcomes(30), "it is shut out"
            secured.user("consumer")
            secured.roll("127.0.0.1")
            if broken == "certificate":
                secured.broker.restart()
            topics.until(lambda: kept_running(service) and set(outcomes(topics)) == expected_outcomes(60), 90)
            topics.poll(500)
        assert outcomes(topics) == Counter(expected_outcomes(60))
        topics.close()
