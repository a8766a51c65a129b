"""Lets the heads of a detector that read one grid run as one: YuNet has four of them at each of its three strides.

A head is a 1x1 convolution to a few channels, a 3x3 one of each of these alone, and their values cell by cell. A class,
an objectness, a box and five landmarks are 1 + 1 + 4 + 10 channels, which together fill one of ONNX Runtime's blocks
of 16; one by one, each takes a block for itself and is carried to that layout and back.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from detector.network import Network

HEAD = ("Conv", "Conv", "Transpose", "Reshape", "Sigmoid")
"""Operators from the grid to an output; the last is not in all heads."""


def join_heads(network: Network) -> None:
    """Every two or more heads that read one tensor. Outputs keep their names, shapes and values."""
    makers = {node.output[0]: node for node in network.nodes}
    by_grid = defaultdict(list)
    for output in sorted(network.outputs & makers.keys()):
        nodes = _back_to_the_grid(output, makers)
        if _is_head(network, nodes):
            by_grid[nodes[0].input[0], _kind(nodes)].append(nodes)
    for heads in by_grid.values():
        if len(heads) > 1:
            gone = [id(node) for head in heads for node in head]
            network.nodes = [node for node in network.nodes if id(node) not in gone]
            network.nodes += _joined(network, heads)


def _back_to_the_grid(output: str, makers: Mapping[str, onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes that make `output`, first to last, as many as a head has and of its operators."""
    nodes: list[onnx.NodeProto] = []
    wanted = list(HEAD) if makers[output].op_type == HEAD[-1] else list(HEAD[:-1])
    node = makers.get(output)
    while wanted and node is not None and node.op_type == wanted.pop():
        nodes.insert(0, node)
        node = makers.get(node.input[0])
    return nodes


def _is_head(network: Network, nodes: Sequence[onnx.NodeProto]) -> bool:
    if tuple(node.op_type for node in nodes) not in (HEAD, HEAD[:-1]):
        return False
    constant = all(len(node.input) == 3 and {*node.input[1:]} <= network.constants.keys() for node in nodes[:2])
    return constant and network.constants[nodes[1].input[1]].shape[1] == 1


def _kind(nodes: Sequence[onnx.NodeProto]) -> bytes:
    """What heads that run as one have in common: all attributes but the number of channels."""
    attributes = [attribute for node in nodes[:3] for attribute in node.attribute if attribute.name != "group"]
    return b"".join(sorted(attribute.SerializeToString() for attribute in attributes))


def _joined(network: Network, heads: Sequence[Sequence[onnx.NodeProto]]) -> list[onnx.NodeProto]:
    mixing, spatial, order, shape = (onnx.NodeProto.FromString(node.SerializeToString()) for node in heads[0][:4])
    widths = [network.constants[head[1].input[1]].shape[0] for head in heads]
    for place in (1, 2):
        for step, node in enumerate((mixing, spatial)):
            parts = [network.constants[head[step].input[place]] for head in heads]
            network.set_constant(node, place, np.concatenate(parts))
    next(a for a in spatial.attribute if a.name == "group").i = sum(widths)
    grid = mixing.input[0]
    cells, sizes = f"{grid}_cells", f"{grid}_widths"
    network.constants[f"{grid}_shape"] = np.array([1, -1, sum(widths)])
    network.constants[sizes] = np.array(widths)
    shape.input[1], shape.output[0] = f"{grid}_shape", cells
    ends = [head[4:] for head in heads]
    outputs = [end[0].input[0] if end else head[3].output[0] for head, end in zip(heads, ends, strict=True)]
    split = helper.make_node("Split", [cells, sizes], outputs, axis=2)
    return [mixing, spatial, order, shape, split, *(node for end in ends for node in end)]
