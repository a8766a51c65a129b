"""Keys: a master key for the deployment, a data key per identity, case and report.

Everything biometric about an identity is sealed with its data key (AES-256-GCM, NIST SP 800-38D); the data key rests
wrapped by the master key. Who deletes the wrapped data key has erased the identity, wherever copies lie.
"""

import hashlib
import hmac
import os
import threading
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from records.errors import MasterKeyError, SealBroken
from records.keys.sources import KEY_BYTES, GivenKeys, KeySource

NONCE_BYTES = 12
_WRAPPED = "data-key"


@dataclass(frozen=True, slots=True)
class _Ring:
    """The keys of one version of the source: the current one first."""

    version: object
    keys: tuple[bytes, ...]
    ciphers: tuple[AESGCM, ...]


class MasterKey:
    """The current master key and those before it. The current one wraps, all of them unwrap, so that a rotation needs
    no pause: a source that has changed is read again before anything is wrapped, and where no key in hand unwraps.

    Raises MasterKeyError when the source cannot be read. Safe to share among threads.
    """

    def __init__(self, source: KeySource) -> None:
        self.source = source
        self._reading = threading.Lock()
        self._ring = self._read()

    @classmethod
    def of(cls, *keys: bytes) -> Self:
        """Of keys (32 bytes) that nobody changes, the current one first."""
        return cls(GivenKeys(keys))

    @property
    def ids(self) -> tuple[str, ...]:
        """The keys' ids, the current one's first: they tell them apart and tell nothing about them."""
        return tuple(key_id(key) for key in self._newest().keys)

    @property
    def current(self) -> bytes:
        """The key that wraps."""
        return self._newest().keys[0]

    def seal(self, subject: str, plain: bytes, purpose: str) -> bytes:
        """As DataKey.seal, by the current key. Raises MasterKeyError when the keys have changed and cannot be read."""
        return _seal(self._newest().ciphers[0], plain, _bound(subject, purpose))

    def open(self, subject: str, sealed: bytes, purpose: str) -> bytes:
        """The plain bytes of `seal`. Raises SealBroken when no key opens it."""
        if (found := self._opened(subject, sealed, purpose)) is None:
            raise SealBroken(f"No master key opens the {purpose} of {subject}.")
        return found[1]

    def opener(self, subject: str, sealed: bytes, purpose: str) -> str | None:
        """The id of the key that opens it; None when none does."""
        found = self._opened(subject, sealed, purpose)
        return None if found is None else key_id(found[0])

    def derive(self, purpose: str) -> bytes:
        """32 bytes that only we know (HKDF-SHA256, RFC 5869); others after a rotation, so for what may be forgotten."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"likeness {purpose}".encode()).derive(self._newest().keys[0])

    def _opened(self, subject: str, sealed: bytes, purpose: str) -> tuple[bytes, bytes] | None:
        """The key that opens it, and what was sealed."""
        bound = _bound(subject, purpose)
        tried = self._ring
        found = _tried(tried, sealed, bound)
        if found is None and (newest := self._newest()) is not tried:
            found = _tried(newest, sealed, bound)
        return found

    def _newest(self) -> _Ring:
        with self._reading:
            if self.source.version() not in (None, self._ring.version):
                self._ring = self._read()
            return self._ring

    def _read(self) -> _Ring:
        version = self.source.version()  # before the keys: what changes in between is read once more
        keys = self.source.read()
        return _Ring(version, keys, tuple(AESGCM(key) for key in keys))


def key_id(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:8]


class DataKey:
    """The key of one identity, case or report. What it sealed for one purpose opens for that one and purpose only."""

    __slots__ = ("_cipher", "_key", "identity_id")

    def __init__(self, identity_id: str, key: bytes) -> None:
        self.identity_id = identity_id
        self._key = key
        self._cipher = AESGCM(key)

    @classmethod
    def new(cls, identity_id: str) -> Self:
        return cls(identity_id, AESGCM.generate_key(KEY_BYTES * 8))

    @classmethod
    def unwrap(cls, identity_id: str, wrapped: bytes, master_key: MasterKey) -> Self:
        """The data key out of `wrap`'s bytes. Raises MasterKeyError when another master key wrapped it."""
        try:
            return cls(identity_id, master_key.open(identity_id, wrapped, _WRAPPED))
        except SealBroken:
            raise MasterKeyError(
                f"The master key does not open the data key of {identity_id}; give the master key that this database "
                "was made with (settings: [keys])."
            ) from None

    def same(self, other: "DataKey") -> bool:
        """Whether what one of both seals the other opens."""
        return self.identity_id == other.identity_id and hmac.compare_digest(self._key, other._key)

    def wrap(self, master_key: MasterKey) -> bytes:
        """The data key as it may rest in the database."""
        return master_key.seal(self.identity_id, self._key, _WRAPPED)

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Nonce (12 bytes), then AES-256-GCM ciphertext with its tag; bound to the identity and `purpose`."""
        return _seal(self._cipher, plain, _bound(self.identity_id, purpose))

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """The plain bytes of `seal`. Raises SealBroken."""
        try:
            return _open(self._cipher, sealed, _bound(self.identity_id, purpose))
        except InvalidTag:
            raise SealBroken(
                f"What was sealed as {purpose} does not open with the key of {self.identity_id}."
            ) from None

    def derive(self, purpose: str) -> bytes:
        """32 bytes that follow from this key and `purpose` (HKDF-SHA256, RFC 5869)."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=_bound(self.identity_id, purpose)).derive(self._key)


def _tried(ring: _Ring, sealed: bytes, bound: bytes) -> tuple[bytes, bytes] | None:
    for key, cipher in zip(ring.keys, ring.ciphers, strict=True):
        try:
            return key, _open(cipher, sealed, bound)
        except InvalidTag:
            continue
    return None


def _bound(identity_id: str, purpose: str) -> bytes:
    return f"{identity_id}\n{purpose}".encode()


def _seal(cipher: AESGCM, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound)


def _open(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    if len(sealed) < NONCE_BYTES + 16:
        raise InvalidTag
    return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
