"""Reports as somebody may have sent them: photos with known embeddings, a challenge photo, and what they say."""

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from detector.identity import Embedding, Fingerprint
from detector.verdict import Box
from records.references import PictureHash, ReferencePhoto
from records.reports.contents import Challenge, Details
from records.reports.intake import NewReport

CODE = "K7M3P"
PACK = "opencv-zoo@1"
BOX = (100.0, 80.0, 120.0, 150.0)


def unit_vector(seed: int, like: Embedding | None = None, cosine: float = 0.0) -> Embedding:
    """A random direction of the seed; or one at this cosine to another."""
    made = np.random.default_rng(seed).standard_normal(128).astype(np.float32)
    if like is not None:
        made -= (made @ like) * like
        made = cosine * like + np.sqrt(1 - cosine**2, dtype=np.float32) * made / np.linalg.norm(made)
    return made / np.linalg.norm(made)


def report_photo(
    number: int, embedding: Embedding, jpeg: bytes = b"", size: tuple[int, int] = (400, 300), box: Box = BOX
) -> ReferencePhoto:
    """A photo with this face; each number another file. size, box: pixels."""
    pdq = np.random.default_rng(1000 + number).bytes(32)
    width, height = size
    return ReferencePhoto(
        provenance="Sent with a report",
        photo_sha256=hashlib.sha256(f"photo {number}".encode()).hexdigest(),
        photo_jpeg=jpeg or plain_jpeg(number),
        width=width,
        height=height,
        face_box=box,
        quality=0.9,
        embeddings={PACK: embedding},
        fingerprint=Fingerprint(pdq, 100, pdq, width, height, box),
    )


def plain_jpeg(shade: int) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (400, 300), (60 + shade % 150, 120, 150)).save(encoded, "JPEG")
    return encoded.getvalue()


def challenge_photo(embedding: Embedding, read: str | None = CODE, jpeg: bytes = b"", box: Box = BOX) -> Challenge:
    return Challenge(jpeg or plain_jpeg(7), CODE, read, PACK, embedding, box)


def picture_hash(number: int) -> PictureHash:
    return PictureHash(np.random.default_rng(2000 + number).bytes(32), 90, 400, 300)


def new_report(photos: Sequence[ReferencePhoto] = (), challenge: Challenge | None = None, **facts: object) -> NewReport:
    """A report in the standard lane; `facts` as in NewReport."""
    usual: dict[str, object] = {
        "kind": "photos",
        "lane": "standard",
        "source": "page",
        "language": "en",
        "consent_text": "1-en",
        "consent_contact": True,
        "months": 12,
        "details": Details(
            contact="mara@example.org",
            links=("https://dating.example/u/fake-mara",),
            accounts=("acct-mara",),
            words="Somebody uses my photos on a dating site.",
        ),
    }
    return NewReport(**usual | {"photos": photos, "challenge": challenge} | facts)  # type: ignore[arg-type]
