"""Keys: one master key for the deployment, one data key per identity.

Everything biometric about an identity is sealed with its data key (AES-256-GCM, NIST SP 800-38D); the data key rests
wrapped by the master key. Who deletes the wrapped data key has erased the identity, wherever copies lie.
"""

import base64
import binascii
import os
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from records.errors import MasterKeyError, SealBroken

KEY_BYTES = 32
NONCE_BYTES = 12


def load_master_key(text: str | None, path: Path, *, create: bool) -> bytes:
    """The 32 bytes of the master key: from `text` (base64) when given, else from the file at `path`.

    A missing file is made at mode 0600 when `create` is true; of several processes that try, one wins and all read
    the same key. Raises MasterKeyError.
    """
    if text is not None:
        return _decode(text, "The master key in the settings")
    try:
        return _decode(path.read_text(encoding="ascii"), f"The master key in {path}")
    except FileNotFoundError:
        if not create:
            raise MasterKeyError(
                f"There is no master key at {path}; put back the file that the database was made with."
            ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise MasterKeyError(f"The master key at {path} cannot be read: {error}.") from error
    try:
        _create(path)
    except OSError as error:
        raise MasterKeyError(f"The master key cannot be made at {path}: {error}.") from error
    return load_master_key(None, path, create=False)


def _decode(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise MasterKeyError(f"{where} is not base64 of {KEY_BYTES} bytes; `openssl rand -base64 32` makes such a key.")
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename it never replaces the key that another process made first
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)


class DataKey:
    """The key of one identity. What it sealed for one purpose opens for that identity and purpose only."""

    __slots__ = ("_cipher", "_key", "identity_id")

    def __init__(self, identity_id: str, key: bytes) -> None:
        self.identity_id = identity_id
        self._key = key
        self._cipher = AESGCM(key)

    @classmethod
    def new(cls, identity_id: str) -> Self:
        return cls(identity_id, AESGCM.generate_key(KEY_BYTES * 8))

    @classmethod
    def unwrap(cls, identity_id: str, wrapped: bytes, master_key: bytes) -> Self:
        """The data key out of `wrap`'s bytes. Raises MasterKeyError when another master key wrapped it."""
        try:
            return cls(identity_id, _open(AESGCM(master_key), wrapped, _bound(identity_id, "data-key")))
        except InvalidTag:
            raise MasterKeyError(
                f"The master key does not open the data key of {identity_id}; give the master key that this database "
                "was made with (settings: keys.master_key or keys.master_key_file)."
            ) from None

    def wrap(self, master_key: bytes) -> bytes:
        """The data key as it may rest in the database."""
        return _seal(AESGCM(master_key), self._key, _bound(self.identity_id, "data-key"))

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


def _bound(identity_id: str, purpose: str) -> bytes:
    return f"{identity_id}\n{purpose}".encode()


def _seal(cipher: AESGCM, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound)


def _open(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    if len(sealed) < NONCE_BYTES + 16:
        raise InvalidTag
    return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
