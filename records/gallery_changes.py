"""A gallery change as it travels: the identity's whole state, sealed with its data key, inside a small JSON message.

What is sealed is a line of JSON, and behind it the numbers: all embeddings, then all fingerprints, in the order of the
references. A million references are read at each start, so that these bytes are not written as text; the form of
earlier releases, with all of it in the JSON, is still read. The seal is bound to the identity and to the change's
sequence number, so that no change passes for another.
"""

import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from detector.identity import DEFAULT_REACH, Embedding, Fingerprint, Identity, Reference
from detector.verdict import IdentityKind
from records.errors import ChangeUnreadable, SealBroken
from records.fingerprints import fingerprint_bytes, fingerprint_from
from records.keys.keyring import DataKey
from records.references import checked_reach

VECTOR = np.dtype("<f4")


def write_change(identity: Identity, data_key: DataKey) -> str:
    """The message value of the identity's state: JSON with `identity_id`, `sequence` and `sealed` (base64)."""
    fingerprints = [_fingerprint_bytes(reference.fingerprint) for reference in identity.references]
    document = {
        "name": identity.name,
        "kind": identity.kind,
        "reach": identity.reach,
        "quarantined": identity.quarantined,
        "own_accounts": sorted(identity.own_accounts),
        "negative_accounts": sorted(identity.negative_accounts),
        "references": [
            {
                "reference_id": reference.id,
                "embeddings": {pack: len(vector) for pack, vector in sorted(reference.embeddings.items())},
                "fingerprint": len(fingerprint),
            }
            for reference, fingerprint in zip(identity.references, fingerprints, strict=True)
        ],
    }
    vectors = [
        vector_bytes(vector) for reference in identity.references for _, vector in sorted(reference.embeddings.items())
    ]
    plain = b"".join([json.dumps(document).encode(), b"\n", *vectors, *fingerprints])
    sealed = data_key.seal(plain, _purpose(identity.sequence))
    sealed_text = binascii.b2a_base64(sealed, newline=False).decode()
    return json.dumps({"identity_id": identity.id, "sequence": identity.sequence, "sealed": sealed_text})


@overload
def read_change(identity_id: str, value: Mapping[str, Any], data_key: DataKey) -> Identity: ...
@overload
def read_change(identity_id: str, value: Mapping[str, Any] | None, data_key: DataKey | None) -> Identity | None: ...
def read_change(identity_id: str, value: Mapping[str, Any] | None, data_key: DataKey | None) -> Identity | None:
    """The identity as of a change: `value` is the parsed message, None for a tombstone.

    What changes of older releases do not say takes its default. None for a tombstone and for an identity without a
    key, which has been erased. Raises ChangeUnreadable.
    """
    if value is None or data_key is None:
        return None
    return read_opened(identity_id, *open_change(identity_id, value, data_key))


def open_change(identity_id: str, value: Mapping[str, Any], data_key: DataKey) -> tuple[int, bytes]:
    """The number of the change, and what was sealed, for `read_opened`. Raises ChangeUnreadable."""
    try:
        if not (value["identity_id"] == identity_id == data_key.identity_id) or type(value["sequence"]) is not int:
            raise ValueError("it belongs to another identity, or its sequence is no whole number")
        sequence: int = value["sequence"]
        return sequence, data_key.open(_decoded(value["sealed"]), _purpose(sequence))
    except SealBroken as error:
        raise ChangeUnreadable(f"The change of {identity_id} was not sealed for it, or was altered.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ChangeUnreadable(f"The change of {identity_id} is malformed: {error}.") from error


def read_opened(identity_id: str, sequence: int, plain: bytes) -> Identity:
    """The identity as of a change that `open_change` opened. Raises ChangeUnreadable."""
    try:
        end = plain.find(b"\n")
        document = from_json(plain if end < 0 else plain[:end], cache_strings="keys")
        told = _list(document["references"])
        references = _of_text(told) if end < 0 else _references(told, plain, end + 1)
        return _identity(identity_id, sequence, document, tuple(references))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ChangeUnreadable(f"The change of {identity_id} is malformed: {error}.") from error


def vector_bytes(vector: Embedding) -> bytes:
    """An embedding as it is sealed: float32 little endian."""
    return vector.astype(VECTOR).tobytes()


def vector_from(data: bytes, dimension: int) -> Embedding:
    """The embedding of `vector_bytes`, read-only. Raises ValueError when the number of bytes does not fit, or
    a number is not finite."""
    vector = np.frombuffer(data, VECTOR)
    if len(vector) != dimension:
        raise ValueError(f"an embedding has {len(vector)} numbers instead of {dimension}")
    return _finite(vector)


def _finite(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(vector).all():
        raise ValueError("an embedding has a number that is not finite")
    return vector.astype(np.float32, copy=False)


def _fingerprint_bytes(fingerprint: Fingerprint | None) -> bytes:
    return b"" if fingerprint is None else fingerprint_bytes(fingerprint)


def _purpose(sequence: int) -> str:
    return f"gallery-change:{sequence}"


def _references(told: Sequence[Any], plain: bytes, begin: int) -> list[Reference]:
    """The references whose embeddings and fingerprints are `plain` from `begin` on, as the JSON before them tells."""
    dimensions = [dimension for one in told for dimension in one["embeddings"].values()]
    sizes = [one["fingerprint"] for one in told]
    if not set(map(type, dimensions + sizes)) <= {int} or min(dimensions + sizes, default=0) < 0:
        raise ValueError("a size is no whole number")
    count = sum(dimensions)
    place = begin + count * VECTOR.itemsize
    if len(plain) != place + sum(sizes):
        raise ValueError(f"{len(plain) - begin} bytes stand where {place + sum(sizes) - begin} should")
    vectors, first = _finite(np.frombuffer(plain, VECTOR, count, begin)), 0
    references = []
    for one, size in zip(told, sizes, strict=True):
        embeddings = {}
        for pack, dimension in one["embeddings"].items():
            embeddings[pack] = vectors[first : first + dimension]
            first += dimension
        fingerprint = fingerprint_from(plain[place : place + size]) if size else None
        place += size
        references.append(Reference(_text(one["reference_id"]), embeddings, fingerprint))
    return references


def _of_text(told: Sequence[Any]) -> list[Reference]:
    """The references as earlier releases wrote them, embeddings and fingerprint in base64."""
    return [
        Reference(
            id=_text(reference["reference_id"]),
            embeddings={
                _text(one["pack"]): vector_from(_decoded(one["vector"]), one["dimension"])
                for one in _list(reference["embeddings"])
            },
            fingerprint=None
            if reference.get("fingerprint") is None
            else fingerprint_from(_decoded(reference["fingerprint"])),
        )
        for reference in told
    ]


def _decoded(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


def _identity(
    identity_id: str, sequence: int, document: Mapping[str, Any], references: tuple[Reference, ...]
) -> Identity:
    return Identity(
        id=identity_id,
        name=_text(document["name"]),
        kind=_kind(document["kind"]),
        sequence=sequence,
        own_accounts=_texts(document["own_accounts"]),
        references=references,
        negative_accounts=_texts(document.get("negative_accounts", [])),
        reach=checked_reach(document.get("reach", DEFAULT_REACH)),
        quarantined=_truth(document.get("quarantined", False)),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} stands where a text should")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"a {type(value).__name__} stands where a list should")
    return value


def _texts(value: object) -> frozenset[str]:
    return frozenset(map(_text, _list(value)))


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"a {type(value).__name__} stands where true or false should")
    return value


def _kind(text: object) -> IdentityKind:
    if text not in ("celebrity", "victim"):
        raise ValueError(f"{text!r} is no kind of identity")
    return text
