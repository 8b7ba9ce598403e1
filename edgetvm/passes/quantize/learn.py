"""Layer by layer, from the first to the last: correct a layer for the errors that quantization made before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from edgetvm.importers.graph import Graph, Node
from edgetvm.oracle.dataset import Array, Dataset

from .affine import Affine
from .correct_bias import empirical_bias
from .insert_pairs import insert_pairs
from .layers import Layer
from .learn_rounding import learned_rounding
from .least_squares import corrected_weights
from .moments import Moments
from .options import QuantizeOptions
from .patches import Patches
from .places import Places
from .segments import cut, peak_bytes, run_segments
from .weights import LayerWeights, bias_scale, channel_scales, round_bias

_BUDGET = 700 << 20  # bytes of activations held between two layers, of all samples
_POSITIONS = 64  # rows for each input of a layer that its statistics want, over all samples
_WIDEST = 4608  # inputs of a layer whose covariance is still held (170 MB)


def learn_layers(
    graph: Graph,
    places: Places,
    layers: Mapping[str, Layer],
    affines: Mapping[str, Affine],
    weights: dict[str, LayerWeights],
    data: Dataset,
    options: QuantizeOptions,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Replace `weights` of every Conv, Gemm and MatMul by what data say; nothing is learned for other layers.

    A float and a quantized model walk side by side. Both hold only what lies between two layers,
    of as many samples, evenly chosen, as fit into memory.
    """
    walked = [layer for layer in layers.values() if layer.node.op != "ConvTranspose" and layer.axis is not None]
    if not walked:
        return
    quantized = insert_pairs(graph, places, layers, affines, weights)
    nodes = {node.outputs[0]: node for node in quantized.nodes}
    codes = [nodes[nodes[layer.key].inputs[0]].inputs[0] for layer in walked]
    steps = cut(graph, [layer.output for layer in walked]), cut(quantized, codes)
    most = max(8, _BUDGET // max(1, peak_bytes(graph, steps[0]) + peak_bytes(quantized, steps[1])))
    count = min(options.samples, most, len(data))
    chosen = [data.fetch(index * len(data) // count) for index in range(count)]
    floats, integers = [dict(sample) for sample in chosen], [dict(sample) for sample in chosen]
    walk = zip(run_segments(graph, steps[0], floats), run_segments(quantized, steps[1], integers), strict=True)
    for number, (layer, code, _) in enumerate(zip(walked, codes, walk, strict=True)):
        affine = affines[places.group[layer.node.inputs[0]]]
        patches = Patches(graph, layer)
        pairs = ((q[code], f[layer.output]) for q, f in zip(integers, floats, strict=True))
        moments = gather(patches, affine, pairs, count, options, number)
        weights[layer.key] = solve(graph, layer, patches, moments, weights[layer.key], affine, options)
        _store(quantized, nodes, layer, weights[layer.key], affine)
        if progress is not None:
            progress("layers", number + 1, len(walked))


def gather(
    patches: Patches,
    affine: Affine,
    pairs: Iterator[tuple[Array, Array]],
    count: int,
    options: QuantizeOptions,
    number: int,
) -> Moments:
    """Moments of a layer from `count` pairs of quantized input and float output, each at some of its positions."""
    layer = patches.layer
    width = patches.width
    second = options.adaround and width <= _WIDEST
    most = max(256, -(-_POSITIONS * width // count))
    moments: Moments | None = None
    for index, (integers, output) in enumerate(pairs):
        positions = patches.choose(most, np.random.default_rng((options.seed, number, index)))
        x = patches.inputs((integers.astype(np.int32) - affine.zero_point).astype(np.float32), positions)
        y = patches.outputs(output, positions)
        if moments is None:
            moments = Moments(layer.groups, width, y.shape[-1], second)
        moments.add(x * np.float32(affine.scale), y)
    assert moments is not None  # data hold samples
    return moments


def solve(
    graph: Graph,
    layer: Layer,
    patches: Patches,
    moments: Moments,
    before: LayerWeights,
    affine: Affine,
    options: QuantizeOptions,
) -> LayerWeights:
    """The layer's integers: rounding learned if asked for, the bias such that the mean output is the float one."""
    rounded = patches.matrix(before.integers).astype(np.float64)
    scale = before.scale
    bias = None if layer.bias is None else graph.constants[layer.bias.inputs[layer.bias_input]].astype(np.float64)
    if options.adaround and patches.width <= _WIDEST:
        real = corrected_weights(patches.matrix(graph.constants[layer.weights]).astype(np.float64), moments)
        scale = channel_scales(patches.unmatrix(real), layer.axis, bias, affine.scale)
        grid = scale.astype(np.float64).reshape(layer.groups, -1)
        rounded = learned_rounding(real, moments.covariance_xx, grid)
    integers = patches.unmatrix(rounded).astype(np.int8)
    if bias is None:
        return LayerWeights(integers, scale, layer.axis)
    reals = rounded * scale.astype(np.float64).reshape(layer.groups, -1, 1)
    quantized_mean = (reals @ moments.mean_x[:, :, None])[:, :, 0].ravel() + bias
    bias = empirical_bias(bias, moments.mean_y.ravel(), quantized_mean)
    return LayerWeights(integers, scale, layer.axis, round_bias(bias, scale, affine.scale))


def _store(graph: Graph, nodes: Mapping[str, Node], layer: Layer, weights: LayerWeights, affine: Affine) -> None:
    """Put a layer's integers into the quantized graph."""
    held, scale, _ = nodes[nodes[layer.key].inputs[1]].inputs
    graph.constants[held], graph.constants[scale] = weights.integers, weights.scale
    if layer.bias is not None and weights.bias is not None:
        held, scale, _ = nodes[nodes[layer.bias.outputs[0]].inputs[layer.bias_input]].inputs
        graph.constants[held], graph.constants[scale] = weights.bias, bias_scale(weights.scale, affine.scale)
