"""PRelu, and the batch normalisation before it, in operators that ONNX Runtime runs fast."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from detector.prepare import prepare_graph

CHANNELS = 32
SLOPES = {
    "zero": 0.0,
    "usual": 0.25,
    "negative": -0.7,
    "one": 1.0,
    "nearly one": 1 - 1e-7,
    "a little more than one": 1 + 1e-3,
    "large": 3.0,
    "all kinds": np.linspace(-1, 3, CHANNELS),
}


def convolution(rng, source, target, *, depthwise=False, bias=True):
    shape = (CHANNELS, 1 if depthwise else CHANNELS, 3, 3)
    weight = rng.normal(0, 0.3 if depthwise else 0.06, shape).astype(np.float32)
    constants = {f"{target}_w": weight}
    if bias:
        constants[f"{target}_b"] = rng.normal(size=CHANNELS).astype(np.float32)
    node = helper.make_node(
        "Conv", [source, *constants], [target], pads=[1] * 4, group=CHANNELS if depthwise else 1, kernel_shape=[3, 3]
    )
    return [node], constants


def normalisation(rng, source, target):
    constants = {
        f"{target}_{part}": np.abs(rng.normal(1, 0.5, CHANNELS)).astype(np.float32) + 0.1
        for part in ("scale", "shift", "mean", "variance")
    }
    return [helper.make_node("BatchNormalization", [source, *constants], [target], epsilon=1e-3)], constants


def prelu(source, target, slopes):
    slope = np.broadcast_to(np.float32(slopes), (CHANNELS,)).reshape(-1, 1, 1)
    return [helper.make_node("PRelu", [source, f"{target}_slope"], [target])], {f"{target}_slope": slope.copy()}


def network(*parts, outputs=("y",)):
    shape = ["n", CHANNELS, 12, 12]
    graph = helper.make_graph(
        [node for nodes, _ in parts for node in nodes],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs],
        [numpy_helper.from_array(value, name) for _, constants in parts for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def run(graph, batch=3, optimised=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if optimised:
        options.optimized_model_filepath = str(optimised)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).normal(size=(batch, CHANNELS, 12, 12)).astype(np.float32)
    return session.run(None, {"x": x})


def operators(graph):
    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


def assert_the_same(prepared, published):
    for given, wanted in zip(run(prepared), run(published), strict=True):
        np.testing.assert_allclose(given, wanted, rtol=0, atol=5e-6 * float(np.abs(wanted).max()))


@pytest.mark.parametrize("slopes", SLOPES.values(), ids=SLOPES)
@pytest.mark.parametrize("depthwise", [False, True], ids=["full", "depthwise"])
@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
def test_between_convolutions_it_takes_two_passes_and_changes_no_output(slopes, depthwise, bias):
    rng = np.random.default_rng(0)
    published = network(
        convolution(rng, "x", "a", bias=bias),
        normalisation(rng, "a", "b"),
        prelu("b", "c", slopes),
        convolution(rng, "c", "d", depthwise=depthwise, bias=bias),
        prelu("d", "e", slopes),
        convolution(rng, "e", "y", bias=bias),
    )
    prepared = prepare_graph(published)
    assert operators(prepared) == ["Conv", "Relu", "Mul", "Add"] * 2 + ["Conv"]
    assert_the_same(prepared, published)


@pytest.mark.parametrize("slopes", SLOPES.values(), ids=SLOPES)
def test_with_no_convolution_to_help_it_changes_no_output_either(slopes):
    rng = np.random.default_rng(0)
    alone = network(prelu("x", "y", slopes))
    before_the_end = network(convolution(rng, "x", "a"), prelu("a", "y", slopes))
    to_two_places = network(
        convolution(rng, "x", "a"), prelu("a", "b", slopes), convolution(rng, "b", "c"), outputs=("a", "b", "c")
    )
    for published in (alone, before_the_end, to_two_places):
        prepared = prepare_graph(published)
        assert "PRelu" not in operators(prepared)
        assert_the_same(prepared, published)


def test_what_others_take_too_is_not_scaled():
    """A shortcut takes the convolution's output before PRelu, and two convolutions share one weight."""
    rng = np.random.default_rng(0)
    first, weights = convolution(rng, "x", "a")
    second = helper.make_node("Conv", ["c", *weights], ["d"], pads=[1] * 4, kernel_shape=[3, 3])
    published = network(
        (first, weights),
        normalisation(rng, "a", "b"),
        prelu("b", "c", 2.0),
        ([second, helper.make_node("Add", ["d", "b"], ["e"])], {}),
        prelu("e", "y", -0.5),
    )
    assert_the_same(prepare_graph(published), published)


def test_the_runtime_never_leaves_its_blocked_layout_in_between(tmp_path):
    rng = np.random.default_rng(0)
    published = network(
        convolution(rng, "x", "a"),
        normalisation(rng, "a", "b"),
        prelu("b", "c", SLOPES["all kinds"]),
        convolution(rng, "c", "d", depthwise=True),
        prelu("d", "e", 0.25),
        convolution(rng, "e", "y"),
    )
    run(prepare_graph(published), optimised=tmp_path / "optimised.onnx")
    reorders = [
        node for node in onnx.load(tmp_path / "optimised.onnx").graph.node if node.op_type.startswith("Reorder")
    ]
    assert [node.op_type for node in reorders] == ["ReorderInput", "ReorderOutput"]
