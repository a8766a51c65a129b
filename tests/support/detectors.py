"""Detectors on the real engine, and galleries of real portraits."""

import pytest

from detector import Detector, FaceLimits, GalleryIndex, PictureLimits
from detector.enrolment import fingerprint_of_face
from detector.identity import Identity, Reference
from detector.looking import InThreads
from detector.matching import Matcher
from detector.policy import Policy, PolicySettings
from detector.probing import Prober
from detector.template import reference_embedding

PICTURES = PictureLimits(max_bytes=20_000_000, max_pixels=40_000_000, decode_seconds=5.0, working_side=1600)


def make_policy(engine, *, review_budget=1.0, threshold=None, **others):
    """The default policy on the pack's calibration."""
    wanted = {"faces_per_upload": 1.0, "worst_cohort": False, "name_claim_fmr": 0.001} | others
    settings = PolicySettings(review_budget=review_budget, threshold=threshold, **wanted)
    return Policy(engine.pack, settings, engine.calibration)


def make_detector(
    engine, *, min_size=24, max_faces=64, threshold=None, policy=None, pictures=PICTURES, beside=None, **others
):
    """A Detector over an empty gallery of its own, with the settings' defaults; close it."""
    policy = policy or make_policy(engine, threshold=threshold)
    looking = InThreads(Prober(engine, pictures, FaceLimits(min_size, max_faces), beside), threads=2)
    return Detector(Matcher(GalleryIndex(engine.pack, engine.dimension), policy), looking, **others)


@pytest.fixture
def detector(engine):
    """A Detector over an empty gallery."""
    made = make_detector(engine)
    yield made
    made.close()


def enrol(detector, name, photos, *, own_accounts=(), sequence=1, **others):
    """Put an identity into the detector's gallery, a reference for the largest face of each photo's bytes."""
    references = tuple(reference(detector, f"{name}-{number}", photo) for number, photo in enumerate(photos, start=1))
    identity = Identity(name, name.title(), "celebrity", sequence, frozenset(own_accounts), references, **others)
    detector.index.apply(identity)


def reference(detector, reference_id, photo):
    """The Reference that the largest face of a photo's bytes makes."""
    probes = detector.probe(photo)
    embeddings = {detector.engine.pack: reference_embedding(detector.engine, probes.crops[0])}
    return Reference(reference_id, embeddings, fingerprint_of_face(probes, 0))
