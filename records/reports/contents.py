"""What a report holds of a person, and how it rests: sealed with the report's data key, part by part."""

import base64
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from detector.identity import Embedding
from detector.verdict import Box
from records.fingerprints import fingerprint_bytes, fingerprint_from
from records.gallery_changes import vector_bytes, vector_from
from records.keys.keyring import DataKey
from records.references import PictureHash, ReferencePhoto

ReportKind = Literal["photos", "hashes", "words"]
"""Photos; hashes of photos that stayed with the person; words only, of a minor, whose face is never taken in."""
Lane = Literal["standard", "specialist", "trusted_flagger", "platform"]
"""Who works it: everybody; leads, for minors; the lane of trusted flaggers (DSA, article 22); the platform's form."""


@dataclass(frozen=True, slots=True)
class Details:
    """What the reporter says. contact: an e-mail address, or empty; links: addresses or handles of the accounts that
    bear their face; accounts: ids of their own; words: anything else, and of a minor who writes for them; checked: how
    the platform that sent the report has made sure of who they are, in its words, or empty."""

    contact: str = ""
    links: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    words: str = ""
    checked: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Challenge:
    """The photo that shows the reporter with the code of that day, by hand. jpeg: a copy; code: what was asked for;
    read: what is written in the picture, None where nothing was; embedding: of the face in it by model pack, unit
    vector, None without one; face_box: where that face is, in pixels of the copy."""

    jpeg: bytes
    code: str
    read: str | None
    pack: str | None = None
    embedding: Embedding | None = None
    face_box: Box | None = None


def seal_details(key: DataKey, details: Details) -> bytes:
    return key.seal(json.dumps(asdict(details), ensure_ascii=False).encode(), "report-details")


def open_details(key: DataKey, sealed: bytes) -> Details:
    """Raises SealBroken."""
    kept = json.loads(key.open(sealed, "report-details"))
    return Details(kept["contact"], tuple(kept["links"]), tuple(kept["accounts"]), kept["words"], kept["checked"])


def seal_photo(key: DataKey, photo_id: str, photo: ReferencePhoto) -> dict[str, bytes]:
    """The columns `photo` and `facts` of its row."""
    sealed = key.seal(photo.photo_jpeg, f"report-photo:{photo_id}")
    return {"photo": sealed, "facts": _seal_facts(key, photo_id, photo_facts(photo))}


def open_photo(key: DataKey, photo_id: str, photo: bytes, facts: bytes) -> ReferencePhoto:
    """Raises SealBroken."""
    return photo_from(_open_facts(key, photo_id, facts), key.open(photo, f"report-photo:{photo_id}"))


def photo_facts(photo: ReferencePhoto) -> dict[str, Any]:
    """All of it but the picture, for JSON."""
    return {
        "provenance": photo.provenance,
        "sha256": photo.photo_sha256,
        "width": photo.width,
        "height": photo.height,
        "face_box": photo.face_box,
        "quality": photo.quality,
        "embeddings": {pack: _text(vector_bytes(vector)) for pack, vector in photo.embeddings.items()},
        "fingerprint": _text(fingerprint_bytes(photo.fingerprint)) if photo.fingerprint else None,
    }


def photo_from(kept: Any, jpeg: bytes) -> ReferencePhoto:
    """The photo of `photo_facts`."""
    x, y, width, height = kept["face_box"]
    return ReferencePhoto(
        provenance=kept["provenance"],
        photo_sha256=kept["sha256"],
        photo_jpeg=jpeg,
        width=kept["width"],
        height=kept["height"],
        face_box=(x, y, width, height),
        quality=kept["quality"],
        embeddings={pack: _vector(text) for pack, text in kept["embeddings"].items()},
        fingerprint=fingerprint_from(_bytes(kept["fingerprint"])) if kept["fingerprint"] else None,
    )


def seal_hash(key: DataKey, photo_id: str, found: PictureHash) -> dict[str, bytes | None]:
    """The columns `photo` and `facts` of its row."""
    return {"photo": None, "facts": _seal_facts(key, photo_id, hash_facts(found))}


def open_hash(key: DataKey, photo_id: str, facts: bytes) -> PictureHash:
    """Raises SealBroken."""
    return hash_from(_open_facts(key, photo_id, facts))


def hash_facts(found: PictureHash) -> dict[str, Any]:
    """All of it, for JSON."""
    return asdict(found) | {"pdq": _text(found.pdq)}


def hash_from(kept: Any) -> PictureHash:
    """The hash of `hash_facts`."""
    return PictureHash(_bytes(kept["pdq"]), kept["quality"], kept["width"], kept["height"])


def seal_challenge(key: DataKey, photo_id: str, challenge: Challenge) -> dict[str, bytes]:
    """The columns `photo` and `facts` of its row."""
    sealed = key.seal(challenge.jpeg, f"report-photo:{photo_id}")
    return {"photo": sealed, "facts": _seal_facts(key, photo_id, challenge_facts(challenge))}


def open_challenge(key: DataKey, photo_id: str, photo: bytes, facts: bytes) -> Challenge:
    """Raises SealBroken."""
    return challenge_from(_open_facts(key, photo_id, facts), key.open(photo, f"report-photo:{photo_id}"))


def challenge_facts(challenge: Challenge) -> dict[str, Any]:
    """All of it but the picture, for JSON."""
    return {
        "code": challenge.code,
        "read": challenge.read,
        "pack": challenge.pack,
        "embedding": None if challenge.embedding is None else _text(vector_bytes(challenge.embedding)),
        "face_box": challenge.face_box,
    }


def challenge_from(kept: Any, jpeg: bytes) -> Challenge:
    """The challenge of `challenge_facts`."""
    embedding = _vector(kept["embedding"]) if kept["embedding"] else None
    face_box = tuple(kept["face_box"]) if kept["face_box"] else None
    return Challenge(jpeg, kept["code"], kept["read"], kept["pack"], embedding, face_box)


def _seal_facts(key: DataKey, photo_id: str, facts: Any) -> bytes:
    return key.seal(json.dumps(facts).encode(), f"report-facts:{photo_id}")


def _open_facts(key: DataKey, photo_id: str, sealed: bytes) -> Any:
    return json.loads(key.open(sealed, f"report-facts:{photo_id}"))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _vector(text: str) -> Embedding:
    data = _bytes(text)
    return vector_from(data, len(data) // 4)
