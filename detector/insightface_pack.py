"""Any InsightFace pack (buffalo_l, antelopev2, ... or a folder of one), loaded and run by insightface itself."""

import contextlib
import sys
from pathlib import Path

import cv2
import numpy as np
from insightface.app import FaceAnalysis
from insightface.utils.storage import ensure_available
from numpy.typing import NDArray

from detector.engine import Detections
from detector.packs import ModelPack, PackError, sha256_of, verify_file
from detector.prepare import prepare_graph
from detector.sessions import cpu_options, cpu_session


class InsightFacePack:
    """A FaceEngine of an InsightFace pack's detection and recognition models."""

    def __init__(self, folder: Path, declared: ModelPack | None, *, min_score: float, threads: int) -> None:
        """`folder` holds the pack's ONNX files; `declared` says what they must be, where models.toml lists the pack.

        Raises PackError where the folder is missing, its files are not the declared ones, or insightface cannot use it.
        """
        if not folder.is_dir():
            raise PackError(f"Model pack {folder} is missing: run `likeness models pull {folder.name}`.")
        for file in declared.files if declared else ():
            verify_file(file, folder)
        try:
            self._models = FaceAnalysis(
                name=str(folder),
                allowed_modules=["detection", "recognition"],
                providers=["CPUExecutionProvider"],
                sess_options=cpu_options(threads),
            )
            self._models.prepare(ctx_id=0, det_thresh=min_score)
            self._recogniser = self._models.models["recognition"]
            # Nobody has declared what must come of it, so it is made anew at every start.
            self._recogniser.session = cpu_session(
                prepare_graph(Path(self._recogniser.model_file).read_bytes()), threads
            )
            if not self._models.det_model.use_kps:
                raise ValueError("its detector gives no landmarks")
        except Exception as error:  # insightface raises whatever its parsing meets, AssertionError included
            raise PackError(f"insightface cannot use the pack in {folder}: {error!r}.") from error
        version = declared.version if declared else sha256_of(Path(self._recogniser.model_file))[:12]
        self.pack = f"{folder.name}@{version}"
        self.dimension = int(self._recogniser.output_shape[-1])
        self.calibration = declared.calibration if declared else None
        self.usual_length = declared.usual_length if declared else None

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        bgr = np.ascontiguousarray(pixels[:, :, ::-1])
        found, landmarks = self._models.det_model.detect(bgr)
        boxes = np.hstack([found[:, :2], found[:, 2:4] - found[:, :2]]).astype(np.float32)
        return Detections(boxes, np.asarray(landmarks, np.float32).reshape(-1, 5, 2), found[:, 4].astype(np.float32))

    def features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        bgr = [cv2.cvtColor(crop, cv2.COLOR_RGB2BGR) for crop in crops]
        return np.asarray(self._recogniser.get_feat(bgr), np.float32)


def pull_insightface(name: str, models: Path) -> None:
    """Have insightface download its pack `name` into `models`/`name`."""
    if (models / name).is_dir():
        return
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it prints its progress
            ensure_available(models.name, name, root=str(models.parent))
    except Exception as error:  # whatever its HTTP client meets
        raise PackError(
            f"insightface could not download the pack {name}: {error}. Fetch it elsewhere and put its .onnx files "
            f"into {models / name}."
        ) from error
