"""The policy that the settings ask for, without a model pack's weights being loaded."""

from config import Settings, packaged
from consumers.open_detector import policy_settings
from detector.calibration import Calibration, read_calibration
from detector.packs import ModelPack, read_packs
from detector.policy import Policy


def policy_in_force(settings: Settings) -> Policy:
    """Raises NoThreshold, CalibrationUnfit."""
    declared = _declared(settings)
    calibration = _calibration(settings)
    pack = declared.id if declared else calibration.pack if calibration else settings.models.pack
    return _policy(settings, pack, calibration)


def policy_for(settings: Settings, pack: str) -> Policy | None:
    """The same for a pack that is loaded, by its id; None where there is neither a calibration nor a threshold, since
    such a pack can be measured all the same."""
    calibration = _calibration(settings)
    if calibration is None and settings.policy.threshold is None:
        return None
    return _policy(settings, pack, calibration)


def _policy(settings: Settings, pack: str, calibration: Calibration | None) -> Policy:
    return Policy(pack, policy_settings(settings, threshold=settings.policy.threshold), calibration)


def _declared(settings: Settings) -> ModelPack | None:
    return read_packs(packaged("models.toml")).get(settings.models.pack)


def _calibration(settings: Settings) -> Calibration | None:
    if settings.policy.calibration is None:
        declared = _declared(settings)
        return declared.calibration if declared else None
    return read_calibration(settings.policy.calibration)
