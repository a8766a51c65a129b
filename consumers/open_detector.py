"""A detector as the settings want it, with an empty index, and its shadow if they want one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from config import Settings, packaged
from detector import Detector, FaceLimits, GalleryIndex, PictureLimits
from detector.calibration import Calibration, read_calibration
from detector.engine import EngineFacts, FaceEngine
from detector.looking import InProcesses, InThreads, WorkerNeeds
from detector.matching import Matcher
from detector.open_engine import open_engine
from detector.packs import read_packs
from detector.policy import Policy, PolicySettings
from detector.probing import Prober
from detector.searchable import SearchableGallery
from detector.watermark import WatermarkReader
from detector.worker_pool import How

MakeGallery = Callable[[str, int], SearchableGallery]
"""An empty gallery of a model pack with embeddings of so many numbers."""
MOST_READINGS = 32
"""Pictures with findings that may wait for their text to be read, which is slow; further ones go on without."""


def open_prober(settings: Settings) -> Detector:
    """A detector to probe pictures with, whatever the policy: its verdicts mean nothing. Raises PackError."""
    looking = _in_threads(settings)
    facts = EngineFacts.of(looking.prober.engine)
    anything = replace(policy_settings(settings, threshold=1.0), worst_cohort=False)
    return Detector(_matcher(settings, facts, Policy(facts.pack, anything, None)), looking)


def open_detector(settings: Settings) -> Detector:
    """For pictures from trusted hands: all is done in threads of this process. Raises PackError, NoThreshold,
    CalibrationUnfit."""
    reader = None if settings.watermark.read == "never" else WatermarkReader()
    looking = _in_threads(settings, reader)
    facts = EngineFacts.of(looking.prober.engine)
    return Detector(_matcher(settings, facts, _policy(settings, facts)), looking, reading=settings.watermark.read)


def open_watched_detector(
    settings: Settings, on_lost: Callable[[How], None], make_gallery: MakeGallery = GalleryIndex
) -> Detector:
    """The detector of the screening process: pictures are looked at in worker processes; `on_lost` is told of each that
    had to be replaced. `make_gallery`: where faces are searched. Raises PackError, NoThreshold, CalibrationUnfit,
    WorkersBroken."""
    chosen = settings.shadow
    beside = chosen.pack if chosen.pack not in (None, settings.models.pack) else None
    looking = _in_processes(
        settings,
        workers=settings.models.threads,
        readers=1 if settings.watermark.read == "findings" else settings.models.threads,
        on_lost=on_lost,
        beside=beside,
    )
    facts = looking.facts
    gallery = make_gallery(facts.pack, facts.dimension)
    keep = settings.look_back.days > 0
    matcher = Matcher(gallery, _policy(settings, facts), settings.models.threads, keep=keep)
    shadow = _shadow(settings, matcher, looking.facts_beside or facts, make_gallery) if chosen.on else None
    # A flood of findings must not hold up the pictures without; where every text is wanted, uploads wait instead.
    most = MOST_READINGS if settings.watermark.read == "findings" else None
    return Detector(matcher, looking, reading=settings.watermark.read, most_readings=most, shadow=shadow)


def open_watched_looking(
    settings: Settings, on_lost: Callable[[How], None], *, seconds: float | None = None
) -> InProcesses:
    """One worker process that finds the faces in strangers' pictures, and compares them with nobody; `on_lost` as
    above. `seconds`: that a picture may take, in place of [workers]. Raises PackError, WorkersBroken."""
    return _in_processes(settings, workers=1, readers=1, on_lost=on_lost, seconds=seconds)


def open_matcher(settings: Settings, facts: EngineFacts, threads: int = 0) -> Matcher:
    """What compares with an empty index, by [policy]; `threads` in place of [models] unless 0. Raises NoThreshold,
    CalibrationUnfit."""
    index = GalleryIndex(facts.pack, facts.dimension, settings.models.threads)
    return Matcher(index, _policy(settings, facts), threads or settings.models.threads)


def _in_processes(
    settings: Settings,
    *,
    workers: int,
    readers: int,
    on_lost: Callable[[How], None],
    beside: str | None = None,
    seconds: float | None = None,
) -> InProcesses:
    needs = WorkerNeeds(
        pack=settings.models.pack,
        beside=beside,
        packs=read_packs(packaged("models.toml")),
        models=settings.home / "models",
        min_score=settings.faces.min_score,
        pictures=_picture_limits(settings),
        faces=_face_limits(settings),
    )
    return InProcesses(
        needs,
        workers=workers,
        readers=readers,
        seconds=settings.workers.seconds if seconds is None else seconds,
        memory_bytes=settings.workers.memory_bytes,
        on_lost=on_lost,
    )


def _shadow(settings: Settings, primary: Matcher, facts: EngineFacts, make_gallery: MakeGallery) -> Matcher:
    """Judges by [shadow]; what is not set there is as in [models] and [policy]."""
    chosen = settings.shadow
    same_pack = facts.pack == primary.index.pack
    calibration = chosen.calibration or (settings.policy.calibration if same_pack else None)
    threshold = chosen.threshold
    if threshold is None and chosen.review_budget is None and same_pack:
        threshold = settings.policy.threshold
    wanted = policy_settings(settings, threshold=threshold, review_budget=chosen.review_budget)
    policy = Policy(facts.pack, wanted, _calibration(calibration, facts), table="shadow")
    if same_pack:
        return Matcher(primary.index, policy, settings.models.threads)
    return Matcher(make_gallery(facts.pack, facts.dimension), policy, settings.models.threads)


def _in_threads(settings: Settings, reader: WatermarkReader | None = None) -> InThreads:
    engine: FaceEngine = open_engine(
        settings.models.pack,
        read_packs(packaged("models.toml")),
        settings.home / "models",
        min_score=settings.faces.min_score,
    )
    prober = Prober(engine, _picture_limits(settings), _face_limits(settings))
    return InThreads(prober, reader, settings.models.threads)


def _matcher(settings: Settings, facts: EngineFacts, policy: Policy) -> Matcher:
    index = GalleryIndex(facts.pack, facts.dimension, settings.models.threads)
    return Matcher(index, policy, settings.models.threads)


def _policy(settings: Settings, facts: EngineFacts) -> Policy:
    wanted = policy_settings(settings, threshold=settings.policy.threshold)
    return Policy(facts.pack, wanted, _calibration(settings.policy.calibration, facts))


def _picture_limits(settings: Settings) -> PictureLimits:
    return PictureLimits(**settings.pictures.model_dump())


def _face_limits(settings: Settings) -> FaceLimits:
    return FaceLimits(settings.faces.min_size, settings.faces.max_faces)


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


def _calibration(chosen: Path | None, facts: EngineFacts) -> Calibration | None:
    return facts.calibration if chosen is None else read_calibration(chosen)
