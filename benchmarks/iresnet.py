"""IResNet-50, the network of ArcFace's R50 packs, with made-up weights: good for measuring speed, and nothing else.

The packs' own weights are for research only and are not to be had here. Shapes and operators are those of
insightface's recognition/arcface_torch/backbones/iresnet.py, exported as it exports: normalisation folded into the
convolution before it, kept at the head of each block.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))
"""Channels and blocks; the first block of each halves the sides."""
SIDE = 112
DIMENSION = 512


class _Builder:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def add(self, operator: str, *inputs: str, constants: tuple[NDArray[Any], ...] = (), **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        names = [f"{output}_{place}" for place in range(len(constants))]
        self.constants += [numpy_helper.from_array(value, name) for name, value in zip(names, constants, strict=True)]
        self.nodes.append(helper.make_node(operator, [*inputs, *names], [output], **attributes))
        return output

    def conv(self, x: str, taken: int, made: int, side: int, stride: int) -> str:
        weights = (self._normal((made, taken, side, side), taken * side * side), self._normal((made,), 100))
        return self.add(
            "Conv", x, constants=weights, kernel_shape=[side] * 2, strides=[stride] * 2, pads=[side // 2] * 4
        )

    def batch_norm(self, x: str, channels: int) -> str:
        mean = self._normal((channels,), 100)
        return self.add("BatchNormalization", x, constants=(1 + mean, mean, mean, 1 + np.abs(mean)))

    def prelu(self, x: str, channels: int) -> str:
        slopes = self._random.uniform(-0.2, 0.6, (channels, 1, 1)).astype(np.float32)
        return self.add("PRelu", x, constants=(slopes,))

    def product(self, x: str, taken: int, made: int) -> str:
        return self.add("Gemm", x, constants=(self._normal((made, taken), taken), self._normal((made,), 100)), transB=1)

    def _normal(self, shape: tuple[int, ...], fan: int) -> NDArray[np.float32]:
        return self._random.normal(0, fan**-0.5, shape).astype(np.float32)


def build_iresnet50() -> bytes:
    """An ONNX file: `data`, (N, 3, 112, 112) float32, to `fc1`, (N, 512)."""
    build = _Builder()
    x, taken = build.prelu(build.conv("data", 3, 64, 3, 1), 64), 64
    for made, blocks in STAGES:
        for block in range(blocks):
            stride = 1 if block else 2
            shortcut = x if block else build.conv(x, taken, made, 1, stride)
            y = build.prelu(build.conv(build.batch_norm(x, taken), taken, made, 3, 1), made)
            x, taken = build.add("Add", build.conv(y, made, made, 3, stride), shortcut), made
    left = SIDE >> len(STAGES)
    x = build.product(build.add("Flatten", build.batch_norm(x, taken)), taken * left * left, DIMENSION)
    build.batch_norm(x, DIMENSION)
    build.nodes[-1].output[0] = "fc1"
    data = helper.make_tensor_value_info("data", onnx.TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    fc1 = helper.make_tensor_value_info("fc1", onnx.TensorProto.FLOAT, ["n", DIMENSION])
    graph = helper.make_graph(build.nodes, "iresnet50", [data], [fc1], build.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
