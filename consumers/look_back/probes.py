"""The faces of an upload as they are kept on the topic avatar-probes: sealed with the key of their day.

What is kept: the faces' embeddings, boxes and qualities, the picture's fingerprint and size, where the picture is, and
whose upload it was. The key is that of records/keys/probe_keys.py.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from pydantic_core import from_json

from consumers.messages import CONTENT_TYPE, AvatarProbed, AvatarUploaded, Image, derived_id, read_data, write_event
from consumers.outgoing import OutgoingMessage
from detector.verdict import Face, KeptProbes
from records.errors import SealBroken
from records.gallery_changes import VECTOR, vector_bytes
from records.keys.keyring import DataKey

PURPOSE = "avatar-probe"
WORDS = 4
"""Of 64 bits, in a fingerprint."""


class ProbeExpired(Exception):
    """The key of the probe's day is gone, and with it what the probe held."""


class ProbeUnreadable(ValueError):
    """The message is no probe, or not as it was sealed."""


@dataclass(frozen=True, slots=True, eq=False)
class Probed:
    """An upload and what is kept of its faces. The upload's image is a URL, or a place in Kafka."""

    upload: AvatarUploaded
    kept: KeptProbes


def probe_message(
    topic: str, upload: AvatarUploaded, image: Image, kept: KeptProbes, key: DataKey, at: datetime
) -> OutgoingMessage:
    """The message that keeps the faces of an upload whose picture is at `image`; key: of the day of `at`, aware."""
    document = {
        "upload": upload.model_dump(mode="json", exclude={"image"}) | {"image": {"url": image.url}},
        "pack": kept.pack,
        "size": [kept.width, kept.height],
        "hashes": _text(kept.hashes.astype("<u8").tobytes()),
        "faces": [
            {"box": [round(value, 1) for value in face.box], "quality": round(face.quality, 4), "vector": _text(vector)}
            for face, vector in zip(kept.faces, map(vector_bytes, kept.embeddings), strict=True)
        ],
    }
    sealed = key.seal(json.dumps(document).encode(), PURPOSE)
    value = write_event(
        AvatarProbed(day=at.astimezone(UTC).date(), sealed=_text(sealed)), str(derived_id("probe", upload.event_id)), at
    )
    return OutgoingMessage(topic, None, value, (CONTENT_TYPE,))


def open_probe(value: bytes | None, keys: Mapping[date, DataKey]) -> Probed:
    """What `probe_message` kept; keys: by day. Raises ProbeExpired, ProbeUnreadable."""
    try:
        data = read_data(value or b"")
        key = keys.get(date.fromisoformat(data["day"]))
        if key is None:
            raise ProbeExpired(data["day"])
        document = from_json(key.open(_bytes(data["sealed"]), PURPOSE))
        return Probed(AvatarUploaded.model_validate(document["upload"]), _kept(document))
    except (KeyError, TypeError, ValueError, SealBroken) as error:
        raise ProbeUnreadable(f"The message is no probe of ours: {error}.") from error


def _kept(document: Mapping[str, Any]) -> KeptProbes:
    faces, (width, height) = document["faces"], document["size"]
    return KeptProbes(
        faces=tuple(Face(tuple(face["box"]), (), 1.0, face["quality"]) for face in faces),
        embeddings=np.stack([np.frombuffer(_bytes(face["vector"]), VECTOR) for face in faces]).astype(np.float32),
        hashes=np.frombuffer(_bytes(document["hashes"]), "<u8").astype(np.uint64).reshape(-1, WORDS),
        width=width,
        height=height,
        pack=document["pack"],
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
