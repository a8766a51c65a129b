"""Reports for tests: what somebody may send, without any real face."""

from dataclasses import replace

import numpy as np

from records.references import ReferencePhoto
from records.reports.contents import Challenge, Details
from records.reports.intake import NewReport, ReportIntake, Taken


def face_photo(seed: int = 0) -> ReferencePhoto:
    """A photo of a face that is nobody's."""
    vector = np.random.default_rng(seed).standard_normal(128).astype(np.float32)
    return ReferencePhoto(
        provenance="report",
        photo_sha256=f"{seed:064x}",
        photo_jpeg=b"\xff\xd8 a jpeg of nobody %d" % seed,
        width=640,
        height=480,
        face_box=(100.0, 100.0, 200.0, 240.0),
        quality=0.9,
        embeddings={"opencv-zoo": vector / np.linalg.norm(vector)},
    )


PLAIN = NewReport(
    kind="photos",
    lane="standard",
    source="page",
    language="en",
    consent_text="2026-11.en",
    consent_contact=True,
    months=12,
    details=Details(
        "nora@example.com", ("https://dating.example/u/77", "@thief"), ("nora.real",), "It is my holiday photo."
    ),
    photos=(face_photo(1), face_photo(2)),
    challenge=Challenge(
        b"\xff\xd8 a jpeg with a code", "7QK4M", "7QK4M", "opencv-zoo", face_photo(3).embeddings["opencv-zoo"]
    ),
)


def send_report(intake: ReportIntake, **facts: object) -> Taken:
    """Takes in PLAIN, but for the facts that differ."""
    return intake.take(replace(PLAIN, **facts))
