"""Certificates for one test: an authority, and what it signs for servers and clients, as PEM files in a folder."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signed certificate: PEM files with the certificate, with its key, and with both as Apache Kafka reads them."""

    file: Path
    key_file: Path
    both: Path


class Authority:
    """Signs certificates with a key of its own; `file` is its own certificate, for those who shall trust it."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        key_usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = _dated(self._name, self._name, self._key, 0, 2)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        signed = builder.add_extension(key_usage, critical=True).sign(self._key, hashes.SHA256())
        self.file = folder / "authority.pem"
        self.file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def sign(
        self, name: str, *hosts: str, password: str | None = None, expired: bool = False, file_name: str | None = None
    ) -> Certificate:
        """A certificate for `name`: a server's with `hosts` (names or addresses), else a client's.

        `password` encrypts the key file; `file_name` replaces what was signed under that name before.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        begins, ends = (-3, -2) if expired else (0, 1)
        builder = _dated(_named(name), self._name, key, begins, ends)
        use = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        signed = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        stem = self._folder / (file_name or name)
        made = Certificate(stem.with_suffix(".pem"), stem.with_suffix(".key"), stem.with_suffix(".both.pem"))
        made.file.write_bytes(signed)
        made.key_file.write_bytes(_private(key, password))
        made.both.write_bytes(_private(key, None) + signed)
        return made


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _dated(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: int, ends: int
) -> x509.CertificateBuilder:
    """Valid from an hour before `begins` to `ends`, both in days from now."""
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    start = now + begins * _DAY - datetime.timedelta(hours=1)
    return builder.not_valid_before(start).not_valid_after(now + ends * _DAY)


def _private(key: ec.EllipticCurvePrivateKey, password: str | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
