"""A gallery change as it travels: the identity's whole state, sealed with its data key, inside a small JSON message.

The seal is bound to the identity and to the change's sequence number, so that no change passes for another.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, overload

import numpy as np

from detector.identity import DEFAULT_REACH, Embedding, Fingerprint, Identity, Reference
from detector.verdict import IdentityKind
from records.errors import ChangeUnreadable, SealBroken
from records.fingerprints import fingerprint_bytes, fingerprint_from
from records.keys import DataKey
from records.references import checked_reach

VECTOR = np.dtype("<f4")


def write_change(identity: Identity, data_key: DataKey) -> str:
    """The message value of the identity's state: JSON with `identity_id`, `sequence` and `sealed` (base64)."""
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
                "embeddings": [
                    {"pack": pack, "dimension": len(vector), "vector": base64.b64encode(vector_bytes(vector)).decode()}
                    for pack, vector in sorted(reference.embeddings.items())
                ],
                "fingerprint": _fingerprint_text(reference.fingerprint),
            }
            for reference in identity.references
        ],
    }
    sealed = data_key.seal(json.dumps(document).encode(), _purpose(identity.sequence))
    return json.dumps(
        {"identity_id": identity.id, "sequence": identity.sequence, "sealed": base64.b64encode(sealed).decode()}
    )


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
    try:
        if not (value["identity_id"] == identity_id == data_key.identity_id) or type(value["sequence"]) is not int:
            raise ValueError("it belongs to another identity, or its sequence is no whole number")
        sequence: int = value["sequence"]
        sealed = base64.b64decode(value["sealed"], validate=True)
        document = json.loads(data_key.open(sealed, _purpose(sequence)))
        return _identity(identity_id, sequence, document)
    except SealBroken as error:
        raise ChangeUnreadable(f"The change of {identity_id} was not sealed for it, or was altered.") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
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
    if not np.isfinite(vector).all():
        raise ValueError("an embedding has a number that is not finite")
    return vector.astype(np.float32, copy=False)


def _fingerprint_text(fingerprint: Fingerprint | None) -> str | None:
    return None if fingerprint is None else base64.b64encode(fingerprint_bytes(fingerprint)).decode()


def _fingerprint(text: str | None) -> Fingerprint | None:
    return None if text is None else fingerprint_from(base64.b64decode(text, validate=True))


def _purpose(sequence: int) -> str:
    return f"gallery-change:{sequence}"


def _identity(identity_id: str, sequence: int, document: Mapping[str, Any]) -> Identity:
    return Identity(
        id=identity_id,
        name=_text(document["name"]),
        kind=_kind(document["kind"]),
        sequence=sequence,
        own_accounts=_texts(document["own_accounts"]),
        references=tuple(
            Reference(
                id=_text(reference["reference_id"]),
                embeddings={
                    _text(one["pack"]): vector_from(base64.b64decode(one["vector"], validate=True), one["dimension"])
                    for one in _list(reference["embeddings"])
                },
                fingerprint=_fingerprint(reference.get("fingerprint")),
            )
            for reference in _list(document["references"])
        ),
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
    return frozenset(_text(one) for one in _list(value))


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"a {type(value).__name__} stands where true or false should")
    return value


def _kind(text: object) -> IdentityKind:
    if text not in ("celebrity", "victim"):
        raise ValueError(f"{text!r} is no kind of identity")
    return text
