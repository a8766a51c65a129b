"""The key pair that platforms seal their reports for: what lies on the topic victim-reports only this deployment reads.

A sealed report is a JSON Web Encryption (RFC 7516, compact): ECDH-ES over X25519 (RFC 8037), then A256GCM. The pair is
made when its public half is first asked for. Its private half follows from a data key that rests wrapped by the master
key.
"""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from joserfc import jwe
from joserfc.jwk import GuestProtocol, KeyParameters, OKPKey
from sqlalchemy import insert, select

from records.announcer import utc_now
from records.database import Database
from records.errors import MasterKeyError, NotSealed, RecordsError
from records.keys.keyring import DataKey, MasterKey
from records.keys.wrapped import is_of
from records.reports.schema_reports import SealingKeyRow

ALGORITHM, CIPHER = "ECDH-ES", "A256GCM"
TYPE = "likeness-report+jwe"
"""`typ` of a sealed report's header."""
_SEALING = "sealing"


class _Registry(jwe.JWERegistry):
    max_ciphertext_length = sys.maxsize  # Kafka has bounded it already; the library's 64 KB hold no photo


_REGISTRY = _Registry(algorithms=[ALGORITHM, CIPHER])  # nothing else, and no `zip`, which unpacks to any size


class SealingKeyLost(NotSealed):
    """A report was sealed for a pair of ours that no master key in hand opens, and nobody opens it any more."""

    reason = "sealing_key_lost"


class SealingKeys:
    """Every method may raise DatabaseAway, SchemaMismatch or MasterKeyError. `clock` gives the moment, aware."""

    def __init__(self, database: Database, master_key: MasterKey, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._master_key = master_key
        self._clock = clock
        self._keys: dict[str, OKPKey] = {}

    def public_key(self) -> dict[str, Any]:
        """The public half of the newest pair, as a JSON Web Key; the first one is made here."""
        return (self._newest() or self._make()).as_dict(private=False)

    def open(self, value: bytes | None) -> bytes:
        """What a platform has sealed. Raises NotSealed; MasterKeyError where the master key may be the wrong one."""
        try:
            return jwe.decrypt_compact(value or b"", self._key_of, registry=_REGISTRY).plaintext or b""
        except RecordsError:
            raise
        except Exception:  # a stranger's header may break the library in any way, and must not hold up the topic
            raise NotSealed("it is no JSON Web Encryption, or was sealed for another key, or was changed") from None

    def _key_of(self, sealed: GuestProtocol) -> OKPKey:
        headers = sealed.headers()
        if headers.get("typ") != TYPE:
            raise NotSealed(f"the header's typ is not {TYPE}")
        key_id = headers.get("kid")
        if not isinstance(key_id, str) or "\0" in key_id:
            raise NotSealed("the header's kid names no key")
        if key_id not in self._keys:
            with self._database.read() as session:
                wrapped = session.scalar(select(SealingKeyRow.wrapped).where(SealingKeyRow.id == key_id))
            if wrapped is None:
                raise NotSealed("the header's kid names a key that this deployment does not have")
            self._unwrap_for(key_id, wrapped)
        return self._keys[key_id]

    def _unwrap_for(self, key_id: str, wrapped: bytes) -> None:
        """A pair that hangs on a destroyed master key, as in an older copy of the database, must hold nobody up; with a
        wrong master key nothing may be passed over."""
        try:
            self._unwrap(key_id, wrapped)
        except MasterKeyError:
            if not is_of(self._master_key, self._database):
                raise
            raise SealingKeyLost(
                "it is sealed for a key that no master key in hand opens any more: it must be sealed for the newest "
                "public key and sent again"
            ) from None

    def _newest(self) -> OKPKey | None:
        """The newest that the master key opens: who has lost an older one must still be written to."""
        newest_first = select(SealingKeyRow.id, SealingKeyRow.wrapped).order_by(SealingKeyRow.created_at.desc())
        with self._database.read() as session:
            rows = session.execute(newest_first).all()
        for row in rows:
            try:
                return self._unwrap(row.id, row.wrapped)
            except MasterKeyError:
                continue
        return None

    def _make(self) -> OKPKey:
        """Two at once may make two pairs: both open what was sealed for them."""
        data_key = DataKey.new(f"seal_{uuid4().hex}")
        key_id, wrapped = data_key.identity_id, data_key.wrap(self._master_key)
        with self._database.write() as session:
            session.execute(insert(SealingKeyRow).values(id=key_id, wrapped=wrapped, created_at=self._clock()))
        return self._unwrap(key_id, wrapped)

    def _unwrap(self, key_id: str, wrapped: bytes) -> OKPKey:
        private = DataKey.unwrap(key_id, wrapped, self._master_key).derive(_SEALING)
        named: KeyParameters = {"kid": key_id, "use": "enc", "alg": ALGORITHM}
        self._keys[key_id] = OKPKey.import_key(X25519PrivateKey.from_private_bytes(private), named)
        return self._keys[key_id]
