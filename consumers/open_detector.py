"""A detector as the settings want it, with an empty index."""

from config import Settings, packaged
from detector import Detector, FaceLimits, GalleryIndex, PictureLimits
from detector.open_engine import open_engine
from detector.packs import read_packs
from detector.policy import threshold_in_force


def open_detector(settings: Settings, *, threshold: float | None = None) -> Detector:
    """`threshold`: cosine, in place of the one in force. Raises PackError, NoThreshold."""
    engine = open_engine(
        settings.models.pack,
        read_packs(packaged("models.toml")),
        settings.home / "models",
        min_score=settings.faces.min_score,
    )
    return Detector(
        engine,
        GalleryIndex(engine.pack, engine.dimension),
        threshold=threshold_in_force(engine, settings.policy.threshold if threshold is None else threshold),
        pictures=PictureLimits(**settings.pictures.model_dump()),
        faces=FaceLimits(settings.faces.min_size, settings.faces.max_faces),
        threads=settings.models.threads,
    )
