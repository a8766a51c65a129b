"""The default models in the shapes and places where each peer looks for them; all from the pack's own two files.

Nobody but Likeness gets its prepared graphs. Neither ONNX Runtime nor OpenCV 5 loads the block-quantised files as they
are published, so the peers get them folded to float32 with all operators untouched, as the float32 files are.
"""

from pathlib import Path

from benchmarks.insightface_pack import DETECTOR, RECOGNISER, build_insightface_pack
from config import packaged
from detector.packs import pull, read_packs
from detector.prepare import prepare_graph

DEEPFACE = {"yunet.onnx": "face_detection_yunet_2023mar.onnx", "sface.onnx": "face_recognition_sface_2021dec.onnx"}


def lay_out(home: Path) -> None:
    """Fill `home`: models/ for Likeness, insightface/, .deepface/weights/, opencv/."""
    pack = read_packs(packaged("models.toml"))["opencv-zoo"]
    pull(pack, home / "models" / pack.name)
    for name, published in (("yunet.onnx", DETECTOR), ("sface.onnx", RECOGNISER)):
        folded = prepare_graph((home / "models" / pack.name / published).read_bytes(), (), fast=False)
        for path in (home / "opencv" / name, home / ".deepface" / "weights" / DEEPFACE[name]):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(folded)
    build_insightface_pack(home / "models", home / "insightface")
