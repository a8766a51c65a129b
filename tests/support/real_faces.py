"""The folder of real photographs for measuring, where a machine has one; never part of a checkout."""

import os
from pathlib import Path

import pytest

from tests.support.legs import record_leg

LEG = "real faces"


@pytest.fixture(scope="session")
def real_faces():
    """The folder that LIKENESS_FACES names; it holds lfw_dev/<identity>/*.jpg. Skips without it."""
    named = os.environ.get("LIKENESS_FACES")
    if not named or not (Path(named) / "lfw_dev").is_dir():
        why = f"LIKENESS_FACES names {named}, which has no lfw_dev" if named else "LIKENESS_FACES is not set"
        record_leg(LEG, "photographs", ran=False, why=why)
        pytest.skip(why)
    record_leg(LEG, "the photographs of LIKENESS_FACES", ran=True)
    return Path(named)
