"""Apache Kafka with TLS, SASL/SCRAM and access rights, and clients' settings for each of its doors."""

from collections.abc import Iterable
from contextlib import contextmanager

import pytest
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from config.settings import load_settings
from tests.support.kafka_broker import ApacheKafka, Listener
from tests.support.tls import Authority

PASSWORD = "correct-horse-battery"
_LOGIN = "org.apache.kafka.common.security"
_SASL = {
    "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
    "scram-sha-512.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
    "plain.sasl.jaas.config": f'{_LOGIN}.plain.PlainLoginModule required user_plain="{PASSWORD}";',
}
_RIGHTS = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # Who comes in over the inner PLAINTEXT port: the test itself.
    "super.users": "User:ANONYMOUS",
}


class SecuredKafka:
    """A broker with the doors `secure` (SASL_SSL), `mutual` (SSL with client certificates), `open` (SASL_PLAINTEXT)
    and `expired` (SSL); nobody but the test has any rights until `allow`. Over
    SASL come the users that `user` makes (SCRAM-SHA-512), and one of PLAIN named plain."""

    def __init__(self, folder):
        self.authority = Authority(folder / "authority")
        self._server = self.authority.sign("broker", "127.0.0.1")
        expired = self.authority.sign("expired", "127.0.0.1", expired=True)
        self.secure = Listener("SECURE", "SASL_SSL", self._tls(self._server) | _SASL)
        self.mutual = Listener("MUTUAL", "SSL", self._tls(self._server) | {"ssl.client.auth": "required"})
        self.open = Listener("OPEN", "SASL_PLAINTEXT", _SASL)
        self.expired = Listener("EXPIRED", "SSL", self._tls(expired))
        doors = (self.secure, self.mutual, self.open, self.expired)
        self.broker = ApacheKafka(folder / "kafka", _RIGHTS, doors)

    def __enter__(self):
        self.broker.__enter__()
        return self

    def __exit__(self, *error):
        self.broker.__exit__(*error)

    def roll(self, *hosts, expired=False):
        """Give the broker another certificate, which it takes at its next start."""
        self.authority.sign("broker", *hosts, expired=expired)

    @contextmanager
    def admin(self):
        client = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap_servers)
        try:
            yield client
        finally:
            client.close()

    def user(self, name, password=PASSWORD):
        """Make a user of SASL/SCRAM, or give one another password."""
        made = UserScramCredentialUpsertion(name, ScramMechanism.SCRAM_SHA_512, password, iterations=4096)
        with self.admin() as admin:
            assert admin.alter_user_scram_credentials([made]) == {name: None}

    def allow(self, principal, rights):
        """`rights`: (type, name, pattern, operation) each, in Kafka's own words."""
        with self.admin() as admin:
            answer = admin.create_acls([_acl(principal, right) for right in rights])
        assert not answer["failed"], answer

    def forbid_all(self, principal):
        anything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        everything = ACLFilter(f"User:{principal}", "*", ACLOperation.ANY, ACLPermissionType.ANY, anything)
        with self.admin() as admin:
            admin.delete_acls([everything])

    def over_sasl(self, user, password=PASSWORD, **kafka):
        """Settings of [kafka] for the door `secure`."""
        return {
            "bootstrap_servers": self.secure.bootstrap_servers,
            "security_protocol": "SASL_SSL",
            "ssl_cafile": str(self.authority.file),
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": user,
            "sasl_password": password,
        } | kafka

    def over_mutual_tls(self, certificate, **kafka):
        """Settings of [kafka] for the door `mutual`."""
        return {
            "bootstrap_servers": self.mutual.bootstrap_servers,
            "security_protocol": "SSL",
            "ssl_cafile": str(self.authority.file),
            "ssl_certfile": str(certificate.file),
            "ssl_keyfile": str(certificate.key_file),
        } | kafka

    def _tls(self, certificate):
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(certificate.both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.file),
        }


def as_client(settings, kafka):
    """`settings` with other values in [kafka], read as settings are."""
    read = load_settings(kafka=kafka).kafka
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update={n: getattr(read, n) for n in kafka})})


@pytest.fixture(scope="module")
def secured(apache_kafka, tmp_path_factory):
    """A SecuredKafka for the tests of one file; left out where Apache Kafka cannot be had."""
    with SecuredKafka(tmp_path_factory.mktemp("secured")) as running:
        yield running


def _acl(principal: str, right: Iterable[str]) -> ACL:
    kind, name, pattern, operation = right
    resource = ResourcePattern(ResourceType[kind], name, ACLResourcePatternType[pattern])
    return ACL(f"User:{principal}", "*", ACLOperation[operation], ACLPermissionType.ALLOW, resource)
