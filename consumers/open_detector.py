"""A detector as the settings want it, with an empty index, and its shadow if they want one."""

from dataclasses import replace
from pathlib import Path

from config import Settings, packaged
from detector import Detector, FaceLimits, GalleryIndex, PictureLimits
from detector.calibration import Calibration, read_calibration
from detector.engine import FaceEngine
from detector.open_engine import open_engine
from detector.packs import read_packs
from detector.policy import Policy, PolicySettings
from detector.watermark import WatermarkReader


def open_prober(settings: Settings) -> Detector:
    """A detector to probe pictures with, whatever the policy: its verdicts mean nothing. Raises PackError."""
    engine = _engine(settings, settings.models.pack)
    anything = replace(policy_settings(settings, threshold=1.0), worst_cohort=False)
    return _detector(settings, engine, GalleryIndex(engine.pack, engine.dimension), Policy(engine.pack, anything, None))


def open_detector(settings: Settings) -> Detector:
    """Raises PackError, NoThreshold, CalibrationUnfit."""
    engine = _engine(settings, settings.models.pack)
    wanted = settings.policy.threshold
    reading = settings.watermark.read
    return _detector(
        settings,
        engine,
        GalleryIndex(engine.pack, engine.dimension),
        Policy(
            engine.pack, policy_settings(settings, threshold=wanted), _calibration(settings.policy.calibration, engine)
        ),
        watermarks=None if reading == "never" else WatermarkReader(threads=1),
        read_all=reading == "all",
    )


def open_watched_detector(settings: Settings) -> Detector:
    """The detector of the screening process. Raises PackError, NoThreshold, CalibrationUnfit."""
    detector = open_detector(settings)
    if settings.shadow.on:
        detector.shadow = _shadow(settings, detector)
    return detector


def _shadow(settings: Settings, primary: Detector) -> Detector:
    """Judges what `primary` has seen by [shadow]; what is not set there is as in [models] and [policy]."""
    chosen = settings.shadow
    engine, index = primary.engine, primary.index
    if chosen.pack is not None and chosen.pack != settings.models.pack:
        engine = _engine(settings, chosen.pack)
        index = GalleryIndex(engine.pack, engine.dimension)
    same_pack = engine is primary.engine
    calibration = chosen.calibration or (settings.policy.calibration if same_pack else None)
    threshold = chosen.threshold
    if threshold is None and chosen.review_budget is None and same_pack:
        threshold = settings.policy.threshold
    wanted = policy_settings(settings, threshold=threshold, review_budget=chosen.review_budget)
    policy = Policy(engine.pack, wanted, _calibration(calibration, engine), table="shadow")
    return _detector(settings, engine, index, policy)


def _engine(settings: Settings, pack: str) -> FaceEngine:
    return open_engine(
        pack, read_packs(packaged("models.toml")), settings.home / "models", min_score=settings.faces.min_score
    )


def _detector(
    settings: Settings,
    engine: FaceEngine,
    index: GalleryIndex,
    policy: Policy,
    *,
    watermarks: WatermarkReader | None = None,
    read_all: bool = False,
) -> Detector:
    return Detector(
        engine,
        index,
        policy,
        pictures=PictureLimits(**settings.pictures.model_dump()),
        faces=FaceLimits(settings.faces.min_size, settings.faces.max_faces),
        threads=settings.models.threads,
        watermarks=watermarks,
        read_all=read_all,
    )


def policy_settings(
    settings: Settings, *, threshold: float | None, review_budget: float | None = None
) -> PolicySettings:
    """[policy] as the detector takes it, with this threshold and, if given, this budget."""
    policy = settings.policy
    return PolicySettings(
        review_budget=policy.review_budget if review_budget is None else review_budget,
        faces_per_upload=policy.faces_per_upload,
        threshold=threshold,
        worst_cohort=policy.holds_for == "worst_cohort",
        name_claim_fmr=policy.name_claim_fmr,
    )


def _calibration(chosen: Path | None, engine: FaceEngine) -> Calibration | None:
    return engine.calibration if chosen is None else read_calibration(chosen)
