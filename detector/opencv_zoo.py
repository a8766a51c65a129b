"""The default pack: YuNet finds faces, SFace tells them apart, both on ONNX Runtime.

SFace: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition" (IEEE TIP 2021). It takes
RGB, 0..255, as it is: the graph itself subtracts and scales.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.engine import Detections
from detector.packs import ModelPack, prepared
from detector.sessions import cpu_session
from detector.yunet import YuNet

MAX_BATCH = 4
"""Crops per run. One keeps a core busy; of more than these the activations leave its cache."""


class OpenCvZoo:
    """A FaceEngine of YuNet and SFace."""

    def __init__(self, pack: ModelPack, models: Path, *, min_score: float, threads: int) -> None:
        """Raises PackError where a file is missing or not the declared one."""
        self.pack = pack.id
        self.dimension = pack.dimension
        self.calibration = pack.calibration
        self.usual_length = pack.usual_length
        folder, cache = models / pack.name, models / "prepared"
        self._detector = YuNet(cpu_session(prepared(pack.file("detector"), folder, cache), threads), min_score)
        self._recogniser = cpu_session(prepared(pack.file("recogniser"), folder, cache), threads)
        self._input = self._recogniser.get_inputs()[0].name

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        return self._detector.detect(pixels)

    def features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        blob = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), dtype=np.float32)
        runs = [
            self._recogniser.run(None, {self._input: blob[start : start + MAX_BATCH]})[0]
            for start in range(0, len(blob), MAX_BATCH)
        ]
        return np.concatenate(runs)
