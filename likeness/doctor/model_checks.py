"""The model packs: their files, and a threshold to judge by."""

from collections.abc import Iterator
from pathlib import Path

from config import Settings, packaged
from consumers.open_detector import policy_settings
from detector.calibration import CalibrationUnfit, read_calibration
from detector.packs import ModelPack, PackError, read_packs, verify_file
from detector.policy import NoThreshold, Policy
from likeness.doctor.finding import Finding


def model_checks(settings: Settings) -> Iterator[Finding]:
    """Of the pack in force and, if there is one, of the shadow's."""
    packs = read_packs(packaged("models.toml"))
    shadow = settings.shadow.pack
    for name in dict.fromkeys([settings.models.pack, *([shadow] if shadow else [])]):
        yield files(name, packs.get(name), settings.home / "models")
    yield threshold(settings, packs.get(settings.models.pack))


def files(name: str, pack: ModelPack | None, models: Path) -> Finding:
    """Whether the pack's files are there, and the declared ones."""
    title = f"model pack {name}"
    if pack is None:
        folder = Path(name) if Path(name).is_dir() else models / name
        if not any(folder.glob("*.onnx")):
            return Finding(title, "fail", f"There is no such pack in {folder}.", f"`likeness models pull {name}`.")
        said = "models.toml declares no hashes for it, and InsightFace's weights are for research only."
        return Finding(title, "warn", said, "See that you may use it; `likeness models verify` prints its hashes.")
    for file in pack.files:
        try:
            verify_file(file, models / name)
        except PackError as error:
            return Finding(title, "fail", str(error), f"`likeness models pull {name}`.")
        except OSError as error:
            return Finding(title, "fail", f"{file.name} cannot be read: {error.strerror}.", "Let this user read it.")
    said = f"{len(pack.files)} files verified; {pack.licence}."
    if not pack.commercial_use:
        return Finding(title, "warn", said, "Commercial use is not allowed: take another pack, or get a licence.")
    return Finding(title, "ok", said)


def threshold(settings: Settings, pack: ModelPack | None) -> Finding:
    """Whether a threshold can be derived."""
    if settings.policy.threshold is not None:
        return Finding("threshold", "ok", f"policy.threshold is {settings.policy.threshold}.")
    chosen = settings.policy.calibration
    name = settings.models.pack if pack is None else pack.id
    try:
        calibration = read_calibration(chosen) if chosen else pack.calibration if pack else None
        if calibration is None or pack is not None:  # of an undeclared pack the id is not known without loading it
            Policy(name, policy_settings(settings, threshold=None), calibration)
    except (NoThreshold, CalibrationUnfit) as error:
        return Finding("threshold", "fail", str(error), "As it says; `likeness run` refuses to start until then.")
    budget = settings.policy.review_budget
    return Finding(
        "threshold", "ok", f"It follows from {budget:g} false alarms per 1,000 uploads and {chosen or name}."
    )
