"""Who showed a face before, for the console's pages: where the faces of avatars are kept, and compared."""

from config import Settings
from consumers.look_back.kept_face_search import KeptFaceSearch
from consumers.open_detector import open_matcher
from detector.calibration import CalibrationUnfit
from detector.looking import InProcesses
from detector.policy import NoThreshold
from records.database import Database
from records.gallery_state import comparisons
from records.keys.keyring import MasterKey
from records.keys.probe_keys import ProbeKeys


def open_showing(
    settings: Settings, database: Database, master_key: MasterKey, looking: InProcesses
) -> KeptFaceSearch | None:
    """None where no faces are kept, or no threshold holds for the model pack."""
    if not settings.look_back.days:
        return None
    try:
        matcher = open_matcher(settings, looking.facts)
    except (NoThreshold, CalibrationUnfit):
        return None  # enrolment has said so

    def threshold() -> float:
        with database.read() as session:
            return matcher.policy.at(comparisons(session, looking.facts.pack)).review

    return KeptFaceSearch(settings, ProbeKeys(database, master_key, settings.look_back.days), threshold)
