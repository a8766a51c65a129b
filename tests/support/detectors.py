"""Detectors on the real engine, and galleries of real portraits."""

import pytest

from detector import Detector, FaceLimits, GalleryIndex, PictureLimits
from detector.identity import Identity, Reference

PICTURES = PictureLimits(max_bytes=20_000_000, max_pixels=40_000_000, decode_seconds=5.0, working_side=1600)


def make_detector(engine, *, min_size=24, max_faces=64, threshold=None, pictures=PICTURES):
    """A Detector over an empty gallery of its own, with the settings' defaults; close it."""
    return Detector(
        engine,
        GalleryIndex(engine.pack, engine.dimension),
        threshold=engine.threshold if threshold is None else threshold,
        pictures=pictures,
        faces=FaceLimits(min_size, max_faces),
        threads=2,
    )


@pytest.fixture
def detector(engine):
    """A Detector over an empty gallery."""
    made = make_detector(engine)
    yield made
    made.close()


def enrol(detector, name, photos, *, own_accounts=(), sequence=1):
    """Put an identity into the detector's gallery, a reference for the largest face of each photo's bytes."""
    references = tuple(
        Reference(f"{name}-{number}", {detector.engine.pack: detector.probe(photo).embeddings[0]})
        for number, photo in enumerate(photos, start=1)
    )
    detector.index.apply(Identity(name, name.title(), "celebrity", sequence, frozenset(own_accounts), references))
