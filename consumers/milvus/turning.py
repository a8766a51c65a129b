"""What Milvus is given instead of faces, photos and names: it can compare them with one another, and nobody else can.

A vector is turned by a secret orthogonal matrix, which leaves every inner product as it was. A fingerprint becomes the
256 signs of its bits under a secret order and mask, turned like a vector: of two, the inner product tells the bits that
differ. A name's key becomes 64 bits of an HMAC. All follow from one key of the records (records/keys/vector_key.py).

This is no encryption: who has many faces both plain and turned can solve for the matrix, so Milvus's disks are to be
encrypted. It makes what remains in Milvus's files worthless once the key is gone (docs/privacy.md).
"""

import hashlib
import hmac
from collections.abc import Iterable
from functools import cache

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

BITS = 256


class Turning:
    """By one secret key of 32 bytes. Safe to share among threads."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.id = hashlib.sha256(key).hexdigest()[:8]
        """Tells keys apart and tells nothing about them."""
        self._matrix = cache(self._orthogonal)

    def vectors(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) unit vectors, float32, with the inner products of those given."""
        turned: NDArray[np.float32] = vectors @ self._matrix(vectors.shape[1])
        return turned

    def pictures(self, hashes: NDArray[np.uint64]) -> NDArray[np.float32]:
        """(N, 256) float32 unit vectors of (N, 4) fingerprints; see `likeness_of` for their inner products."""
        bits = np.unpackbits(np.ascontiguousarray(hashes.astype("<u8")).view(np.uint8).reshape(-1, BITS // 8), axis=1)
        signs = (1.0 - 2.0 * bits.astype(np.float32)) / np.float32(BITS**0.5)
        return self.vectors(signs)

    def names(self, keys: Iterable[str]) -> list[int]:
        """A signed 64-bit number of each key."""
        secret = self._derive(b"names")
        digests = (hmac.digest(secret, key.encode(errors="surrogatepass"), "sha256") for key in keys)
        return [int.from_bytes(digest[:8], "little", signed=True) for digest in digests]

    def _orthogonal(self, dimension: int) -> NDArray[np.float32]:
        """Uniform among all: Q of a normal matrix, its signs made unique (Mezzadri 2007, arXiv:math-ph/0609050). From a
        stream cipher, since numpy's generators may change between versions."""
        count = dimension * dimension
        stream = Cipher(algorithms.ChaCha20(self._derive(b"matrix %d" % dimension), bytes(16)), None).encryptor()
        drawn = np.frombuffer(stream.update(bytes(16 * count)), "<u8").reshape(2, count)
        uniform = (drawn >> np.uint64(11)).astype(np.float64) / 2.0**53
        normal = np.sqrt(-2.0 * np.log1p(-uniform[0])) * np.cos(2.0 * np.pi * uniform[1])
        q, r = np.linalg.qr(normal.reshape(dimension, dimension))
        return np.ascontiguousarray(q * np.sign(np.diag(r)), np.float32)

    def _derive(self, purpose: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=b"likeness turning " + purpose).derive(self._key)


def likeness_of(bits: int) -> float:
    """The inner product of two turned fingerprints that differ by `bits` of 256."""
    return 1.0 - 2.0 * bits / BITS
