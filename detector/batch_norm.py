"""Folds batch normalisation into the convolution or product before it: one operator instead of two, in float64."""

import numpy as np
from onnx import helper

from detector.network import Network


def fold_batch_norm(network: Network) -> None:
    """Every BatchNormalization whose input a convolution or product by constants makes for it alone."""
    makers = network.scalable_makers()
    kept = []
    for node in network.nodes:
        before = makers.get(node.input[0]) if node.op_type == "BatchNormalization" else None
        if before is None:
            kept.append(node)
            continue
        scale, shift, mean, variance = (network.constants[name].astype(np.float64) for name in node.input[1:5])
        epsilon = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "epsilon"), 1e-5)
        factors = scale / np.sqrt(variance + epsilon)
        network.scale_outputs(before, factors, shift - mean * factors)
        before.output[0] = node.output[0]
    network.nodes = kept
