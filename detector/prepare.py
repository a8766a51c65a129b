"""Makes a published ONNX file run in ONNX Runtime, and fast.

1. Constant folding: block-quantised weights (DequantizeLinear with a block_size, then Reshape) become float32
   initializers; ONNX Runtime refuses the former per tensor.
2. Initializers are no longer graph inputs, so the runtime may treat them as constants and fuse batch normalisation.
3. Operators that the runtime runs slowly become others with the same values: batch_norm.py, blocked_prelu.py,
   joined_heads.py.
4. The batch axis, or all of batch, height and width, become dynamic.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from detector.batch_norm import fold_batch_norm
from detector.blocked_prelu import replace_prelu
from detector.joined_heads import join_heads
from detector.network import Network


def prepare_graph(source: bytes, dynamic_axes: Sequence[int] = (), *, fast: bool = True) -> bytes:
    """The ONNX file `source`, prepared; the same bytes for the same input and version of the onnx package.

    `dynamic_axes`: axes of the graph's one input (N, C, H, W) that become free. Outputs are (N, ...) of an embedder
    or (N, positions, values) of a detector, and follow. `fast`: False leaves the operators of 3 as they are published.
    """
    model = onnx.load_from_string(source)
    graph = model.graph
    _fold_constants(graph)
    if fast:
        network = Network.of(graph)
        fold_batch_norm(network)
        replace_prelu(network)
        join_heads(network)
        network.write_to(graph)
    _keep_real_inputs(graph)
    _free_axes(graph, dynamic_axes)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _fold_constants(graph: onnx.GraphProto) -> None:
    known = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type in ("DequantizeLinear", "Reshape") and all(name in known for name in node.input):
            value = _evaluate(node, [known[name] for name in node.input])
            known[node.output[0]] = numpy_helper.from_array(value, node.output[0])
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensor for name, tensor in known.items() if name in used)


def _evaluate(node: onnx.NodeProto, inputs: Sequence[onnx.TensorProto]) -> np.ndarray:
    outputs = [helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "constant", [], outputs, inputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    (value,) = ReferenceEvaluator(model).run(None, {})
    return np.ascontiguousarray(value, dtype=np.float32)


def _keep_real_inputs(graph: onnx.GraphProto) -> None:
    initializers = {tensor.name for tensor in graph.initializer}
    used = {name for node in graph.node for name in node.input}
    real = [value for value in graph.input if value.name not in initializers and value.name in used]
    del graph.input[:]
    graph.input.extend(real)


def _free_axes(graph: onnx.GraphProto, axes: Sequence[int]) -> None:
    del graph.value_info[:]
    for axis in axes:
        graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"axis{axis}"
    for value in graph.output:
        batch, *positions = value.type.tensor_type.shape.dim
        if 0 in axes:
            batch.dim_param = "axis0"
        if 2 in axes:
            positions[0].dim_param = f"{value.name}_positions"
