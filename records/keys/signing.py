"""Signatures by which anybody can prove where a receipt or an evidence file comes from: Ed25519 (RFC 8032).

The key is made when something is signed for the first time. Its private half follows from a data key that rests wrapped
by the master key; its public half is for everybody, as a JSON Web Key (RFC 8037). The newest key signs.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from records.announcer import utc_now
from records.audit import canonical
from records.database import Database
from records.errors import MasterKeyError
from records.keys.keyring import DataKey, MasterKey
from records.reports.schema_reports import SigningKeyRow

ALGORITHM = "Ed25519"
_SIGNING = "signing"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """id: what signatures name it by; public: 32 bytes; created_at: None where only the key itself is known."""

    id: str
    public: bytes
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """key: the id of the key; signature: 64 bytes in base64; algorithm: always Ed25519."""

    key: str
    signature: str
    algorithm: str = ALGORITHM


class SignatureWrong(ValueError):
    """A signature is not that of the document, or it is none; the message says which."""


class SigningKeys:
    """Every method may raise DatabaseAway or SchemaMismatch. `clock` gives the moment, aware."""

    def __init__(self, database: Database, master_key: MasterKey, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._master_key = master_key
        self._clock = clock

    def sign(self, document: bytes) -> Signature:
        """The signature of the newest key; the first one is made here."""
        with self._database.write() as session:
            return self.sign_in(session, document)

    def sign_in(self, session: Session, document: bytes) -> Signature:
        """The same within a write transaction."""
        data_key = self._newest(session) or self._make(session)
        signed = _private(data_key).sign(document)
        return Signature(data_key.identity_id, base64.b64encode(signed).decode())

    def public_keys(self) -> list[PublicKey]:
        """All that ever signed, the newest first."""
        newest_first = select(SigningKeyRow).order_by(SigningKeyRow.created_at.desc(), SigningKeyRow.id)
        with self._database.read() as session:
            return [PublicKey(row.id, row.public, row.created_at) for row in session.scalars(newest_first)]

    def _newest(self, session: Session) -> DataKey | None:
        """The newest that the master key opens: who has lost an older one must still be able to sign."""
        newest_first = select(SigningKeyRow.id, SigningKeyRow.wrapped).order_by(SigningKeyRow.created_at.desc())
        for row in session.execute(newest_first):
            try:
                return DataKey.unwrap(row.id, row.wrapped, self._master_key)
            except MasterKeyError:
                continue
        return None

    def _make(self, session: Session) -> DataKey:
        data_key = DataKey.new(f"sig_{uuid4().hex}")
        public = _private(data_key).public_key().public_bytes_raw()
        row = {"id": data_key.identity_id, "public": public, "wrapped": data_key.wrap(self._master_key)}
        session.execute(insert(SigningKeyRow).values(row | {"created_at": self._clock()}))
        return data_key


def verify(key: PublicKey, document: bytes, signature: Signature) -> None:
    """Raises SignatureWrong unless the key made this signature of exactly this document."""
    if signature.algorithm != ALGORITHM:
        raise SignatureWrong(f"it is signed by {signature.algorithm}, where {ALGORITHM} is expected")
    if signature.key != key.id:
        raise SignatureWrong(f"it is signed by the key {signature.key}, not by {key.id}")
    try:
        signed = base64.b64decode(signature.signature, validate=True)
        if base64.b64encode(signed).decode() != signature.signature:  # bits that base64 does not look at
            raise ValueError("it is not written as base64 is")
        Ed25519PublicKey.from_public_bytes(key.public).verify(signed, document)
    except (InvalidSignature, binascii.Error, ValueError):
        raise SignatureWrong(f"the signature is not that of the key {key.id} under this document") from None


def signed_json(document: Mapping[str, Any], signature: Signature) -> str:
    """A document with its signature, which is that of the document's canonical JSON (see records/audit.py)."""
    return json.dumps({"document": document, "signature": asdict(signature)}, ensure_ascii=False, indent=2) + "\n"


def verify_json(text: str, keys: Iterable[PublicKey]) -> Mapping[str, Any]:
    """The document of `signed_json`, proven by one of the keys. Raises SignatureWrong."""
    try:
        found = json.loads(text)
        document, signature = found["document"], Signature(**found["signature"])
        plain = canonical(document).encode()
    except (KeyError, TypeError, ValueError, RecursionError):
        raise SignatureWrong("it is no signed document of Likeness") from None
    key = next((one for one in keys if one.id == signature.key), None)
    if key is None:
        raise SignatureWrong(f"it is signed by the key {signature.key}, which is not among those given")
    verify(key, plain, signature)
    if not isinstance(document, dict):
        raise SignatureWrong("it is no signed document of Likeness")
    return document


def jwks(keys: Iterable[PublicKey]) -> dict[str, Any]:
    """The keys as a JSON Web Key Set (RFC 7517)."""
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": ALGORITHM,
                "kid": key.id,
                "x": base64.urlsafe_b64encode(key.public).decode().rstrip("="),
                "use": "sig",
                "alg": "EdDSA",
            }
            for key in keys
        ]
    }


def read_jwks(text: str) -> list[PublicKey]:
    """The Ed25519 keys of a set, or of a single key. Raises ValueError for what is neither."""
    try:
        found = json.loads(text)
        listed = found.get("keys", [found])
        return [
            PublicKey(str(one["kid"]), _public(one["x"]))
            for one in listed
            if one["kty"] == "OKP" and one["crv"] == ALGORITHM
        ]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("It is no JSON Web Key Set with Ed25519 keys.") from None


def _public(text: str) -> bytes:
    public = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(public) != 32:
        raise ValueError("an Ed25519 key has 32 bytes")
    return public


def _private(data_key: DataKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(data_key.derive(_SIGNING))
