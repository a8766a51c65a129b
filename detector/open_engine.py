"""From a pack's name to a loaded FaceEngine."""

import logging
from collections.abc import Mapping
from pathlib import Path

from detector.engine import FaceEngine
from detector.packs import ModelPack, PackError

log = logging.getLogger("likeness.models")


def open_engine(
    name: str, packs: Mapping[str, ModelPack], models: Path, *, min_score: float, threads: int = 1
) -> FaceEngine:
    """The engine of pack `name`: one of `packs`, an InsightFace pack's name under `models`, or a folder with one.

    `min_score`: detections below it are dropped, 0..1. `threads`: of one inference. Raises PackError.
    """
    declared = packs.get(name)
    if declared is not None and declared.engine == "opencv-zoo":
        from detector.opencv_zoo import OpenCvZoo

        return OpenCvZoo(declared, models, min_score=min_score, threads=threads)
    from detector.insightface_pack import InsightFacePack  # imports scikit-image and scipy: half a second

    folder = Path(name) if Path(name).is_dir() else models / name
    if declared is None and not folder.is_dir():
        raise PackError(
            f"There is no model pack {name!r}: known are {', '.join(sorted(packs))}, and any InsightFace pack after "
            f"`likeness models pull {name}`, or a folder with one."
        )
    engine = InsightFacePack(folder, declared, min_score=min_score, threads=threads)
    log.warning(
        "NON-COMMERCIAL RESEARCH ONLY: the weights of InsightFace pack %s may not be used commercially without a "
        "licence from InsightFace.",
        engine.pack,
    )
    return engine
