"""An ONNX graph while it is being prepared: its operators in order, and its constants as arrays."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

PLAIN_PRODUCT = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}


@dataclass(slots=True)
class Network:
    """Nodes in the order in which they run, and the tensors that never change, by name.

    A step of preparing changes both in place. A changed constant gets a new name, since others may share the old one.
    """

    nodes: list[onnx.NodeProto]
    constants: dict[str, NDArray[Any]]
    outputs: frozenset[str]

    @classmethod
    def of(cls, graph: onnx.GraphProto) -> Self:
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        return cls(list(graph.node), constants, frozenset(value.name for value in graph.output))

    def write_to(self, graph: onnx.GraphProto) -> None:
        """Make `graph` this one; constants that no node takes are left out."""
        used = {name for node in self.nodes for name in node.input}
        tensors = [numpy_helper.from_array(value, name) for name, value in self.constants.items() if name in used]
        nodes = list(self.nodes)
        del graph.node[:], graph.initializer[:]
        graph.node.extend(nodes)
        graph.initializer.extend(tensors)

    def takers(self, tensor: str) -> list[onnx.NodeProto]:
        return [node for node in self.nodes if tensor in node.input]

    def scalable_makers(self) -> dict[str, onnx.NodeProto]:
        """By tensor, the convolution or product by constants that makes it for one taker alone: who changes that
        taker may change the maker with it."""
        taken = Counter(name for node in self.nodes for name in node.input) + Counter(self.outputs)
        return {node.output[0]: node for node in self.nodes if taken[node.output[0]] == 1 and self._is_scalable(node)}

    def _is_scalable(self, node: onnx.NodeProto) -> bool:
        given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        product = node.op_type == "Gemm" and {"alpha": 1.0, "beta": 1.0, "transA": 0, **given} == PLAIN_PRODUCT
        return (product or node.op_type == "Conv") and all(name in self.constants for name in node.input[1:] if name)

    def scale_outputs(
        self, node: onnx.NodeProto, factors: NDArray[np.float64], shift: NDArray[np.float64] | None = None
    ) -> None:
        """Let a scalable `node` give what it gave times `factors` plus `shift`, each (channels,)."""
        weight = self.constants[node.input[1]]
        has_bias = len(node.input) > 2 and node.input[2]
        bias = self.constants[node.input[2]] * factors if has_bias else np.zeros(len(factors))
        self.set_constant(node, 1, weight * factors.reshape(-1, *[1] * (weight.ndim - 1)))
        if has_bias or shift is not None:
            self.set_constant(node, 2, bias if shift is None else bias + shift)

    def set_constant(self, node: onnx.NodeProto, place: int, value: NDArray[np.float64]) -> None:
        """Let `node` take `value`, as float32, at input `place`."""
        name = f"{node.output[0]}_constant_{place}"
        self.constants[name] = np.ascontiguousarray(value, np.float32)
        node.input.extend([""] * (place + 1 - len(node.input)))
        node.input[place] = name
