"""What is made of the published model files for ONNX Runtime."""

import hashlib
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from detector.prepare import prepare_graph

ROLES = ["detector", "recogniser"]


def session(graph):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def files(packs, models):
    """Declared file and published bytes by role."""
    pack = packs["opencv-zoo"]
    return {role: (pack.file(role), (models / pack.name / pack.file(role).name).read_bytes()) for role in ROLES}


@pytest.fixture(scope="module")
def prepared_graphs(files):
    return {role: prepare_graph(source, file.dynamic_axes) for role, (file, source) in files.items()}


@pytest.mark.parametrize("role", ROLES)
def test_the_same_file_always_becomes_the_declared_bytes(role, files, prepared_graphs):
    file, source = files[role]
    assert hashlib.sha256(prepared_graphs[role]).hexdigest() == file.prepared_sha256
    assert prepare_graph(source, file.dynamic_axes) == prepared_graphs[role]


@pytest.mark.parametrize(("role", "side"), [("detector", 160), ("recogniser", 112)])
def test_preparing_changes_no_output(role, side, files, prepared_graphs):
    """The published graph runs in ONNX's own slow reference; only the size of the detector's input is made free."""
    file, source = files[role]
    published = onnx.load_from_string(source)
    for axis in file.dynamic_axes:
        published.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"axis{axis}"
    picture = np.random.default_rng(1).uniform(0, 255, (1, 3, side, side)).astype(np.float32)
    runner = session(prepared_graphs[role])
    names = [output.name for output in runner.get_outputs()]
    name = runner.get_inputs()[0].name
    expected = onnx.reference.ReferenceEvaluator(published).run(names, {name: picture})
    for given, wanted in zip(runner.run(names, {name: picture}), expected, strict=True):
        np.testing.assert_allclose(given, wanted, rtol=0, atol=1e-5 * max(1.0, float(np.abs(wanted).max())))


def test_rewriting_prelu_changes_no_output(files, prepared_graphs):
    file, source = files["recogniser"]
    as_published = session(prepare_graph(source, file.dynamic_axes, fast=False))
    rewritten = session(prepared_graphs["recogniser"])
    crops = np.random.default_rng(2).uniform(0, 255, (3, 3, 112, 112)).astype(np.float32)
    name = rewritten.get_inputs()[0].name
    wanted, given = as_published.run(None, {name: crops})[0], rewritten.run(None, {name: crops})[0]
    np.testing.assert_allclose(given, wanted, atol=1e-5 * float(np.abs(wanted).max()))


def test_slow_operators_are_gone_and_only_the_picture_is_an_input(prepared_graphs):
    for graph in prepared_graphs.values():
        model = onnx.load_from_string(graph)
        assert not {"PRelu", "DequantizeLinear"} & {node.op_type for node in model.graph.node}
        assert len(model.graph.input) == 1


def test_the_four_heads_of_each_stride_run_as_one(files, prepared_graphs):
    _, source = files["detector"]
    before = Counter(
        node.op_type for node in onnx.load_from_string(prepare_graph(source, (2, 3), fast=False)).graph.node
    )
    after = Counter(node.op_type for node in onnx.load_from_string(prepared_graphs["detector"]).graph.node)
    assert (before["Conv"] - after["Conv"], before["Reshape"] - after["Reshape"]) == (3 * 3 * 2, 3 * 3)


def test_crops_are_embedded_in_batches_of_any_size(prepared_graphs):
    runner = session(prepared_graphs["recogniser"])
    crops = np.random.default_rng(3).uniform(0, 255, (5, 3, 112, 112)).astype(np.float32)
    name = runner.get_inputs()[0].name
    together = runner.run(None, {name: crops})[0]
    alone = np.concatenate([runner.run(None, {name: crop[None]})[0] for crop in crops])
    assert together.shape == (5, 128)
    np.testing.assert_allclose(together, alone, atol=1e-5 * float(np.abs(alone).max()))


@pytest.mark.parametrize(("height", "width"), [(64, 640), (640, 64), (96, 96)])
def test_the_detector_takes_any_multiple_of_32(height, width, prepared_graphs):
    runner = session(prepared_graphs["detector"])
    picture = np.zeros((1, 3, height, width), np.float32)
    cells = runner.run(["cls_8", "bbox_32"], {runner.get_inputs()[0].name: picture})
    assert cells[0].shape == (1, height * width // 64, 1)
    assert cells[1].shape == (1, height * width // 1024, 4)
