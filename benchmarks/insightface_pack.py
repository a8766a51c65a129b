"""A working model pack in InsightFace's own file format, made of the default models.

InsightFace's published packs cannot be shipped with this project nor downloaded in tests: their licence is for
non-commercial research. This one lets insightface's real loader and real code (SCRFD's post-processing, ArcFaceONNX)
run on real weights all the same: YuNet wrapped so that it takes and gives what an SCRFD detector does, and SFace,
which already begins with the two nodes by which insightface knows that a recogniser normalises by itself.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from detector.prepare import prepare_graph

STRIDES = (8, 16, 32)
DETECTOR = "face_detection_yunet_2023mar_int8bq.onnx"
RECOGNISER = "face_recognition_sface_2021dec_int8bq.onnx"


def build_insightface_pack(models: Path, folder: Path) -> Path:
    """Write the pack, its operators as published, into `folder` and return it. `models` holds opencv-zoo/ as pulled."""
    source = models / "opencv-zoo"
    recogniser = prepare_graph((source / RECOGNISER).read_bytes(), (0,), fast=False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "det_yunet.onnx").write_bytes(
        _as_scrfd(prepare_graph((source / DETECTOR).read_bytes(), (2, 3), fast=False))
    )
    (folder / "rec_sface.onnx").write_bytes(recogniser)
    return folder


def _as_scrfd(yunet: bytes) -> bytes:
    """The detector with SCRFD's nine outputs: scores, box sides and landmarks, each of strides 8, 16 and 32."""
    model = onnx.load_from_string(yunet)
    graph = model.graph
    taken = graph.input[0].name
    before = [
        helper.make_node("Mul", ["blob", "128"], ["blob_scaled"]),
        helper.make_node("Add", ["blob_scaled", "127.5"], ["rgb"]),
        helper.make_node("Gather", ["rgb", "bgr_order"], [taken], axis=1),
    ]
    after = [node for stride in STRIDES for node in _head(stride)]
    constants = {
        "128": np.float32(128),
        "127.5": np.float32(127.5),
        "bgr_order": np.array([2, 1, 0]),
        "0": np.float32(0),
        "1": np.float32(1),
        "half": np.float32(0.5),
        "two_parts": np.array([2, 2]),
        "anchor_axis": np.array([2]),
        **{f"rows_of_{width}": np.array([-1, width]) for width in (1, 4, 10)},
    }
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.output[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    graph.input[0].name = "blob"
    for part, width in (("score", 1), ("sides", 4), ("points", 10)):
        for stride in STRIDES:
            name = f"{part}_{stride}"
            shape: list[str | int | None] = [f"{name}_candidates", width]
            graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _head(stride: int) -> list[onnx.NodeProto]:
    """From YuNet's outputs at one stride, (1, cells, values), to SCRFD's, (2 * cells, values).

    YuNet tells a box by its centre's offset from the cell and the logarithm of its size, SCRFD by the distances from
    the cell to the four sides, both in strides. Landmarks are offsets from the cell in both.
    """
    s = str(stride)
    return [
        helper.make_node("Clip", [f"cls_{s}", "0", "1"], [f"class_{s}"]),
        helper.make_node("Clip", [f"obj_{s}", "0", "1"], [f"object_{s}"]),
        helper.make_node("Mul", [f"class_{s}", f"object_{s}"], [f"both_{s}"]),
        helper.make_node("Sqrt", [f"both_{s}"], [f"cell_score_{s}"]),
        helper.make_node("Split", [f"bbox_{s}", "two_parts"], [f"centre_{s}", f"log_size_{s}"], axis=2),
        helper.make_node("Exp", [f"log_size_{s}"], [f"size_{s}"]),
        helper.make_node("Mul", [f"size_{s}", "half"], [f"half_size_{s}"]),
        helper.make_node("Sub", [f"half_size_{s}", f"centre_{s}"], [f"left_top_{s}"]),
        helper.make_node("Add", [f"half_size_{s}", f"centre_{s}"], [f"right_bottom_{s}"]),
        helper.make_node("Concat", [f"left_top_{s}", f"right_bottom_{s}"], [f"cell_sides_{s}"], axis=2),
        *_two_anchors(f"cell_score_{s}", f"score_{s}", 1),
        *_two_anchors(f"cell_sides_{s}", f"sides_{s}", 4),
        *_two_anchors(f"kps_{s}", f"points_{s}", 10),
    ]


def _two_anchors(cells: str, output: str, width: int) -> list[onnx.NodeProto]:
    """Each cell twice in a row: SCRFD with nine outputs has two anchors a cell."""
    return [
        helper.make_node("Unsqueeze", [cells, "anchor_axis"], [f"{output}_anchor"]),
        helper.make_node("Concat", [f"{output}_anchor", f"{output}_anchor"], [f"{output}_anchors"], axis=2),
        helper.make_node("Reshape", [f"{output}_anchors", f"rows_of_{width}"], [output]),
    ]
