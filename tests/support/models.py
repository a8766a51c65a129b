"""The default model pack, pulled once into a cache that all runs share, and what is made of it."""

import os
from pathlib import Path

import pytest

from benchmarks.insightface_pack import build_insightface_pack
from config import packaged
from detector.opencv_zoo import OpenCvZoo
from detector.packs import pull, read_packs


def cache() -> Path:
    """Where downloads of the tests are kept: LIKENESS_TEST_CACHE, or a folder that git ignores."""
    chosen = os.environ.get("LIKENESS_TEST_CACHE")
    return Path(chosen) if chosen else Path(__file__).parents[1] / "target" / "home"


@pytest.fixture(scope="session")
def packs():
    """The packs that config/models.toml declares, by name."""
    return read_packs(packaged("models.toml"))


@pytest.fixture(scope="session")
def models(packs):
    """The folder of model packs, with the default one in it; read it, never write to it."""
    folder = cache() / "models"
    pull(packs["opencv-zoo"], folder / "opencv-zoo")
    return folder


@pytest.fixture(scope="session")
def engine(packs, models):
    """The default pack, loaded as the settings' defaults have it."""
    return OpenCvZoo(packs["opencv-zoo"], models, min_score=0.6, threads=1)


@pytest.fixture(scope="session")
def insightface_folder(models, tmp_path_factory):
    """A folder with a working pack in InsightFace's file format, its operators as published."""
    return build_insightface_pack(models, tmp_path_factory.mktemp("packs") / "disguised")
