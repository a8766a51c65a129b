"""The default pack: YuNet finds faces, SFace tells them apart, both on ONNX Runtime.

SFace: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition" (IEEE TIP 2021). It takes
RGB, 0..255, as it is: the graph itself subtracts and scales.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from detector.engine import Detections
from detector.packs import ModelPack, prepared
from detector.yunet import YuNet

MAX_BATCH = 16
"""Crops per run: more only grow memory, a core is busy with one."""


def cpu_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU; `threads` work on one run, and other threads may run it meanwhile."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


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
