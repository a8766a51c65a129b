"""Greets a broker as a client does, step by step, so that a refusal is told by the step that met it and by its cause.

1. connect  2. TLS  3. ask for its versions  4. SASL, or else the cluster's description.
kafka-python does the same, but tells only that a connection was lost, and tries on.
"""

import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from kafka import errors
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

Options = Mapping[str, Any]
"""Those of kafka-python's clients, by their own names."""

_STEP_SECONDS = 5.0
_X509_NOT_YET_VALID, _X509_EXPIRED, _X509_OTHER_HOSTS = 9, 10, (62, 64)
_USERS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class Unreachable(ConnectionError):
    """Nobody answers there; the message says why in a few words."""


class Refused(ConnectionError):
    """Somebody answers, but not as a broker that lets this client in; the message says what to look at."""


class Unfit(ValueError):
    """The settings or the files they name cannot be used with any broker; the message names them."""


def check_security(options: Options) -> None:
    """Raises Unfit for settings and files that no broker can accept."""
    if _over_tls(options):
        _tls_context(options)
    if _over_sasl(options):
        _mechanism("", options)


def greet(host: str, port: int, options: Options) -> None:
    """Return once the broker has let this client in; each step takes 5 seconds at most.

    Raises Unreachable, Refused or Unfit.
    """
    try:
        connection = socket.create_connection((host, port), timeout=_STEP_SECONDS)
    except OSError as error:
        raise Unreachable(_words(error)) from error
    with connection:
        if not _over_tls(options):
            _Greeting(connection, options).run(host)
            return
        with _secured(connection, host, options) as secured:
            _Greeting(secured, options).run(host)


class _Greeting:
    """The conversation on one connection."""

    def __init__(self, connection: socket.socket, options: Options) -> None:
        self._connection = connection
        self._options = options
        self._protocol = KafkaProtocol(client_id=options["client_id"])

    def run(self, host: str) -> None:
        try:
            offered = self._ask(ApiVersionsRequest(version=0)).api_keys
        except ConnectionError:
            if _over_tls(self._options):
                # The alert that says so can be lost when the connection closes behind it.
                raise Refused("it hangs up, most likely on our certificate: see kafka.ssl_certfile") from None
            raise Refused(f"it hangs up on {self._said()}: see kafka.security_protocol") from None
        if _over_sasl(self._options):
            self._authenticate(host)
            return
        newest = [one.max_version for one in offered if one.api_key == MetadataRequest.API_KEY]
        if not newest:
            raise Refused("it is a controller, not a broker: see kafka.bootstrap_servers")
        try:
            self._ask(MetadataRequest(version=min(*newest, MetadataRequest.max_version), topics=[]))
        except ConnectionError:
            raise Refused("it may ask for SASL: see kafka.security_protocol") from None

    def _authenticate(self, host: str) -> None:
        name = self._options["sasl_mechanism"]
        answer = self._ask(SaslHandshakeRequest(version=1, mechanism=name))
        error = errors.for_code(answer.error_code)
        if error is errors.UnsupportedSaslMechanismError:
            raise Refused(f"it takes {', '.join(answer.mechanisms)} as kafka.sasl_mechanism, not {name}")
        if error is not errors.NoError:
            raise Refused("it asks for no SASL: see kafka.security_protocol")
        mechanism = _mechanism(host, self._options)
        who = f"the user {self._options['sasl_plain_username']}" if name in _USERS else "this client"
        try:
            while not mechanism.is_done():
                answer = self._ask(SaslAuthenticateRequest(mechanism.auth_bytes(), version=1))
                if answer.error_code:
                    raise Refused(f"it refuses {who} ({answer.error_message}): see kafka.sasl_password")
                mechanism.receive(answer.auth_bytes)
        except (ConnectionError, ValueError) as error:
            if isinstance(error, Refused):
                raise
            raise Refused(f"it breaks off while {who} authenticates ({_words(error)})") from error

    def _ask(self, request: Any) -> Any:
        """The broker's answer. Raises ConnectionError when it hangs up, Refused when it answers in no known way."""
        self._protocol.send_request(request)
        try:
            self._connection.sendall(self._protocol.send_bytes())
            answers: list[Any] = []
            while not answers:
                received = self._connection.recv(65_536)
                if not received:
                    raise ConnectionResetError("the connection was closed")
                answers = self._protocol.receive_bytes(received)
        except TimeoutError:
            raise Refused(f"it does not answer over {self._said()}") from None
        except ssl.SSLError as error:
            # TLS 1.3 lets the server refuse the client's certificate only after the client is done.
            raise Refused(f"it refuses our certificate ({_words(error)}): see kafka.ssl_certfile") from error
        except errors.KafkaError:
            raise Refused(f"it does not speak {self._said()}: see kafka.security_protocol") from None
        return answers[0][1]

    def _said(self) -> str:
        return str(self._options["security_protocol"])


def _over_tls(options: Options) -> bool:
    return str(options["security_protocol"]).endswith("SSL")


def _over_sasl(options: Options) -> bool:
    return str(options["security_protocol"]).startswith("SASL")


def _secured(connection: socket.socket, host: str, options: Options) -> ssl.SSLSocket:
    context = _tls_context(options)
    try:
        return context.wrap_socket(connection, server_hostname=host.rstrip("."))
    except ssl.SSLCertVerificationError as error:
        raise Refused(_distrust(error, host)) from error
    except TimeoutError:
        raise Refused("it does not answer over TLS: see kafka.security_protocol") from None
    except (ssl.SSLError, OSError) as error:
        raise Refused(f"the TLS handshake failed ({_words(error)}): see kafka.security_protocol") from error


def _distrust(error: ssl.SSLCertVerificationError, host: str) -> str:
    if error.verify_code == _X509_EXPIRED:
        return "its certificate has expired"
    if error.verify_code == _X509_NOT_YET_VALID:
        return "its certificate is not valid yet, or the clock here is wrong"
    if error.verify_code in _X509_OTHER_HOSTS:
        return f"its certificate is for other names than {host}, which stands in kafka.bootstrap_servers"
    return f"its certificate is not one of kafka.ssl_cafile's authority ({error.verify_message})"


def _tls_context(options: Options) -> ssl.SSLContext:
    """As kafka-python makes it for each connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = options.get("ssl_check_hostname", True)
    authority, certificate, key = (options.get(name) for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"))
    try:
        if authority:
            context.load_verify_locations(authority)
        else:
            context.load_default_certs()
    except OSError as error:
        raise Unfit(f"kafka.ssl_cafile {authority} cannot be used ({_words(error)})") from None
    try:
        if certificate:
            context.load_cert_chain(certificate, key, options.get("ssl_password"))
    except OSError as error:
        files = f"kafka.ssl_certfile {certificate} with kafka.ssl_keyfile {key or certificate}"
        raise Unfit(f"{files} cannot be used ({_words(error)}): see kafka.ssl_password, too") from None
    return context


def _mechanism(host: str, options: Options) -> Any:
    """kafka-python's own side of the exchange. Raises Unfit when something that it needs is missing."""
    name = options.get("sasl_mechanism")
    if not name:
        raise Unfit(f"kafka.sasl_mechanism is not set, but kafka.security_protocol is {options['security_protocol']}")
    if name in _USERS and not (options.get("sasl_plain_username") and options.get("sasl_plain_password")):
        raise Unfit(f"kafka.sasl_username and kafka.sasl_password must be set for {name}")
    try:
        make = get_sasl_mechanism(name)
    except KeyError:
        raise Unfit(f"kafka.sasl_mechanism {name} is not known") from None
    try:
        return make(**{"sasl_kerberos_service_name": "kafka", **options, "host": host})
    except (errors.KafkaConfigurationError, RuntimeError, ValueError) as error:
        raise Unfit(f"kafka.sasl_mechanism {name} cannot be used ({error})") from None


def _words(error: Exception) -> str:
    """What the operating system or OpenSSL says, without error numbers and line references."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return re.sub(r"^\[[^]]*\] | \(_ssl\.c:\d+\)$", "", said)
