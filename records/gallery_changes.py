"""A gallery change as it travels: the identity's whole state, sealed with its data key, inside a small JSON message.

The seal is bound to the identity and to the change's sequence number, so that no change passes for another.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, overload

import numpy as np

from detector.identity import Embedding, Identity, Reference
from detector.verdict import IdentityKind
from records.errors import ChangeUnreadable, SealBroken
from records.keys import DataKey

VECTOR = np.dtype("<f4")


def write_change(identity: Identity, data_key: DataKey) -> str:
    """The message value of the identity's state: JSON with `identity_id`, `sequence` and `sealed` (base64)."""
    document = {
        "name": identity.name,
        "kind": identity.kind,
        "own_accounts": sorted(identity.own_accounts),
        "references": [
            {
                "reference_id": reference.id,
                "embeddings": [
                    {"pack": pack, "dimension": len(vector), "vector": base64.b64encode(vector_bytes(vector)).decode()}
                    for pack, vector in sorted(reference.embeddings.items())
                ],
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

    None for a tombstone and for an identity without a key, which has been erased. Raises ChangeUnreadable.
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
    except (KeyError, TypeError, ValueError) as error:
        raise ChangeUnreadable(f"The change of {identity_id} is malformed: {error}.") from error


def vector_bytes(vector: Embedding) -> bytes:
    """An embedding as it is sealed: float32 little endian."""
    return vector.astype(VECTOR).tobytes()


def vector_from(data: bytes, dimension: int) -> Embedding:
    """The embedding of `vector_bytes`, read-only. Raises ValueError when the number of bytes does not fit."""
    vector = np.frombuffer(data, VECTOR)
    if len(vector) != dimension:
        raise ValueError(f"an embedding has {len(vector)} numbers instead of {dimension}")
    return vector.astype(np.float32, copy=False)


def _purpose(sequence: int) -> str:
    return f"gallery-change:{sequence}"


def _identity(identity_id: str, sequence: int, document: Mapping[str, Any]) -> Identity:
    return Identity(
        id=identity_id,
        name=str(document["name"]),
        kind=_kind(document["kind"]),
        sequence=sequence,
        own_accounts=frozenset(document["own_accounts"]),
        references=tuple(
            Reference(
                id=str(reference["reference_id"]),
                embeddings={
                    str(one["pack"]): vector_from(base64.b64decode(one["vector"], validate=True), one["dimension"])
                    for one in reference["embeddings"]
                },
            )
            for reference in document["references"]
        ),
    )


def _kind(text: object) -> IdentityKind:
    if text not in ("celebrity", "victim"):
        raise ValueError(f"{text!r} is no kind of identity")
    return text
