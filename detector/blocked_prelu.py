"""PRelu in operators that keep ONNX Runtime's blocked layout, in two passes over the data.

The runtime has no fast PRelu: it leaves the layout in which its convolutions run. With a slope `a` for each channel

    prelu(z) = a z + (1 - a) relu(z) = t (k z' + relu(z'))    where z' = |1 - a| z,  k = a / (1 - a),  t = sign(1 - a)

the convolution before gives z' for nothing, by scaled weights, and the one after takes `t`, which differs from 1 only
where a slope is above 1. What remains is one Relu, and one product that the runtime adds to it in the same pass.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from detector.network import Network

NEAREST_TO_ONE = 2.0**-20
"""A slope nearer to 1 is taken for one so far from it: less than a millionth of the value."""


def replace_prelu(network: Network) -> None:
    """Every PRelu with constant slopes; in two passes where convolutions stand before and, for slopes above 1, after
    it, else in three."""
    makers = network.scalable_makers()
    nodes = []
    for node in network.nodes:
        if node.op_type != "PRelu" or node.input[1] not in network.constants:
            nodes.append(node)
            continue
        slope = network.constants[node.input[1]].astype(np.float64)
        rest = np.where(np.abs(1 - slope) < NEAREST_TO_ONE, NEAREST_TO_ONE, 1 - slope)
        before = makers.get(node.input[0])
        channels = network.constants[before.input[1]].shape[0] if before else 0
        if before and slope.shape == (channels, 1, 1) and _move_signs(network, node.output[0], np.sign(rest.ravel())):
            network.scale_outputs(before, np.abs(rest.ravel()))
            nodes += _two_passes(network, node, (1 - rest) / rest)
        else:
            nodes += _three_passes(network, node, slope)
    network.nodes = nodes


def _two_passes(network: Network, prelu: onnx.NodeProto, ratio: NDArray[np.float64]) -> list[onnx.NodeProto]:
    x, y = prelu.input[0], prelu.output[0]
    linear = helper.make_node("Mul", [x, ""], [f"{y}_linear"])
    network.set_constant(linear, 1, ratio)
    return [
        helper.make_node("Relu", [x], [f"{y}_relu"]),
        linear,
        helper.make_node("Add", [f"{y}_relu", f"{y}_linear"], [y]),
    ]


def _three_passes(network: Network, prelu: onnx.NodeProto, slope: NDArray[np.float64]) -> list[onnx.NodeProto]:
    x, y = prelu.input[0], prelu.output[0]
    positive = helper.make_node("Mul", [f"{y}_relu", ""], [f"{y}_positive"])
    network.set_constant(positive, 1, 1 - slope)
    return [
        helper.make_node("Relu", [x], [f"{y}_relu"]),
        positive,
        helper.make_node("Mul", [x, prelu.input[1]], [f"{y}_linear"]),
        helper.make_node("Add", [f"{y}_positive", f"{y}_linear"], [y]),
    ]


def _move_signs(network: Network, tensor: str, signs: NDArray[np.float64]) -> bool:
    """Let the takers of `tensor` multiply its channels by `signs`; False, and nothing changed, where they cannot."""
    if (signs > 0).all():
        return True
    takers = network.takers(tensor)
    if tensor in network.outputs or not all(_weighs_channels(network, node, tensor, len(signs)) for node in takers):
        return False
    for node in takers:
        weight = network.constants[node.input[1]]
        depthwise = weight.shape[0] == len(signs) and weight.shape[1] == 1
        network.set_constant(node, 1, weight * signs.reshape((-1, 1, 1, 1) if depthwise else (1, -1, 1, 1)))
    return True


def _weighs_channels(network: Network, node: onnx.NodeProto, tensor: str, channels: int) -> bool:
    """Whether `node` is a convolution of `tensor` with a constant weight for each channel alone, or for all of them."""
    if node.op_type != "Conv" or node.input[0] != tensor or node.input[1] not in network.constants:
        return False
    made, taken = network.constants[node.input[1]].shape[:2]
    return bool(taken == channels or (taken == 1 and made == channels))
