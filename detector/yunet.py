"""YuNet face detection on ONNX Runtime.

Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20 (2023).
Each cell of three grids (strides 8, 16, 32) gives a class and an objectness score, a box and five landmarks.

The network sees faces of about 10 to 250 pixels. A small picture is looked at once, at 256 pixels, where it sees both
a face that fills the frame and one of a tenth of it. A larger one is looked at near its own size for small faces, and
once more, small and with a margin, for a face that fills the frame.
"""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from detector.engine import Detections

STRIDES = (8, 16, 32)
NEAR_SCALE = 0.64
NEAR_SIDES = (256, 640)
"""Longest side of the first look: NEAR_SCALE of the picture's, within these bounds; small avatars are scaled up."""
WHOLE_SIDE = 288
"""A first look up to this side sees faces that fill the frame: it misses at most 1 of 300 of the tightest crops, one of
320 pixels 27 % of them."""
FAR_SIDE = 96
"""Longest side of the second look, within a margin of half of it all around."""
WELL_SEEN = 160
"""Longer side of a face, pixels as looked at, up to which the network is sure to see it whole."""
NMS_OVERLAP = 0.3
MAX_CANDIDATES = 1000
"""Strongest cells kept before overlapping ones are merged: bounds the work for a hostile picture."""


class YuNet:
    """A YuNet session; safe to call from several threads."""

    def __init__(self, session: onnxruntime.InferenceSession, min_score: float) -> None:
        self._session = session
        self._min_score = min_score
        self._input = session.get_inputs()[0].name
        self._outputs = [f"{part}_{stride}" for stride in STRIDES for part in ("cls", "obj", "bbox", "kps")]

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """Faces in `pixels`, (H, W, 3) RGB uint8."""
        near = round(min(max(NEAR_SCALE * max(pixels.shape[:2]), NEAR_SIDES[0]), NEAR_SIDES[1]))
        looks = [self._look(pixels, near, margin=0)]
        if near > WHOLE_SIDE:
            looks.append(self._look(pixels, FAR_SIDE, margin=FAR_SIDE // 2))
        found = np.concatenate(looks)
        # Of a face that both looks see whole, the near one places the landmarks better, whatever the scores say.
        near_sizes = looks[0][:, 2:4].max(axis=1) * (near / max(pixels.shape[:2]))
        rank = found[:, 14].copy()
        rank[: len(near_sizes)] += near_sizes <= WELL_SEEN
        kept = cv2.dnn.NMSBoxes(found[:, :4].tolist(), rank.tolist(), self._min_score, NMS_OVERLAP)
        found = found[np.asarray(kept, dtype=np.intp)]
        found = found[np.argsort(-found[:, 14], kind="stable")]
        return Detections(found[:, :4], found[:, 4:14].reshape(-1, 5, 2), found[:, 14])

    def _look(self, pixels: NDArray[np.uint8], side: int, margin: int) -> NDArray[np.float32]:
        """(N, 15) candidates in pixels of the picture: box, landmarks, score; the picture scaled to `side`."""
        height, width = pixels.shape[:2]
        scale = side / max(height, width)
        scaled_width, scaled_height = max(1, round(width * scale)), max(1, round(height * scale))
        canvas = np.zeros((_up_to_32(scaled_height + 2 * margin), _up_to_32(scaled_width + 2 * margin), 3), np.uint8)
        interpolation = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
        canvas[margin : margin + scaled_height, margin : margin + scaled_width] = cv2.resize(
            pixels, (scaled_width, scaled_height), interpolation=interpolation
        )
        blob = np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1)[None], dtype=np.float32)
        outputs = self._session.run(self._outputs, {self._input: blob})
        found = _decode(outputs, _grid(*canvas.shape[:2]), self._min_score)
        found[:, [0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]] -= margin
        found[:, 0:14:2] *= width / scaled_width
        found[:, 1:14:2] *= height / scaled_height
        return found


def _up_to_32(side: int) -> int:
    return -(-side // 32) * 32


@lru_cache(maxsize=64)
def _grid(height: int, width: int) -> NDArray[np.float32]:
    """(cells, 3): column, row and stride of each cell that the network answers for, in its order."""
    grids = []
    for stride in STRIDES:
        rows, columns = np.indices((height // stride, width // stride), np.float32).reshape(2, -1)
        grids.append(np.stack([columns, rows, np.full_like(rows, stride)], axis=1))
    return np.concatenate(grids)


def _decode(outputs: Sequence[NDArray[np.float32]], grid: NDArray[np.float32], min_score: float) -> NDArray[np.float32]:
    parts = len(outputs) // len(STRIDES)
    classes, objectness, boxes, points = (np.concatenate(outputs[part::parts], axis=1)[0] for part in range(parts))
    scores = np.sqrt(classes * objectness)
    cells = np.flatnonzero(scores >= min_score)
    corners, strides = grid[cells, :2], grid[cells, 2:]
    centres = (corners + boxes[cells, :2]) * strides
    sizes = np.exp(boxes[cells, 2:]) * strides
    landmarks = (points[cells].reshape(-1, 5, 2) + corners[:, None]) * strides[:, None]
    candidates = np.hstack([centres - sizes / 2, sizes, landmarks.reshape(-1, 10), scores[cells]])
    if len(candidates) > MAX_CANDIDATES:
        candidates = candidates[np.argpartition(-candidates[:, 14], MAX_CANDIDATES)[:MAX_CANDIDATES]]
    return candidates
