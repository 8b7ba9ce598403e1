"""Bias correction: rounded weights shift the mean of a layer's output; the bias takes the shift back.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019,
section 4.2: the shift of an output channel is ``E[W x] - E[Wq x]``.
"""

from __future__ import annotations

import numpy as np

from edgetvm.importers.graph import Graph
from edgetvm.oracle.dataset import Array

from .layers import Layer
from .weights import LayerWeights


def analytic_bias(graph: Graph, layer: Layer, weights: LayerWeights, mean: Array) -> Array | None:
    """The bias, float64 ``[channels]``, that gives the rounded layer the mean output of the float one.

    `mean` is the mean of each input channel of the float model (of each feature, for a dense
    layer); zeros of padding are taken as mean, too. None if the layer has no bias to correct.
    """
    if layer.bias is None:
        return None
    bias = graph.constants[layer.bias.inputs[layer.bias_input]].astype(np.float64)
    error = weights.real() - graph.constants[layer.weights]
    return bias - mean_output(error, layer, mean)


def mean_output(weights: Array, layer: Layer, mean: Array) -> Array:
    """What a layer with these weights gives on an input that is `mean` everywhere, float64 ``[channels]``."""
    if layer.node.op in ("Gemm", "MatMul"):
        result: Array = weights @ mean if layer.axis == 0 else mean @ weights
        return result
    taps = weights.sum(axis=tuple(range(2, weights.ndim)))  # Conv [O, I/g], ConvTranspose [I, O/g]
    inputs = mean.reshape(layer.groups, -1)
    if layer.node.op == "Conv":
        result = np.einsum("goi,gi->go", taps.reshape(layer.groups, -1, taps.shape[1]), inputs)
    else:
        result = np.einsum("gio,gi->go", taps.reshape(layer.groups, -1, taps.shape[1]), inputs)
    return result.ravel()


def empirical_bias(bias: Array, float_mean: Array, quantized_mean: Array) -> Array:
    """The bias that moves a layer's mean output, ``[channels]``, from the quantized model's to the float model's."""
    return bias + float_mean - quantized_mean
