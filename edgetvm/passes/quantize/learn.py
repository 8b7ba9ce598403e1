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
from .least_squares import choose_ridge, corrected_weights, held_error
from .moments import Moments
from .options import QuantizeOptions
from .patches import Patches
from .places import Places
from .segments import cut, peak_bytes, run_segments
from .weights import LARGEST, LayerWeights, bias_scale, channel_scales, round_bias

_BUDGET = 700 << 20  # bytes of activations held between two layers, of all samples
_POSITIONS = 64  # rows for each input of a layer that its statistics want, over all samples
_HELD = 4  # every so many samples one is kept to judge what the others taught
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
        fit, held = gather(graph, patches, affine, pairs, count, options, number)
        weights[layer.key] = solve(graph, layer, patches, fit, held, weights[layer.key], affine, options)
        _store(quantized, nodes, layer, weights[layer.key], affine)
        if progress is not None:
            progress("layers", number + 1, len(walked))


def gather(
    graph: Graph,
    patches: Patches,
    affine: Affine,
    pairs: Iterator[tuple[Array, Array]],
    count: int,
    options: QuantizeOptions,
    number: int,
) -> tuple[Moments, Moments]:
    """Moments of a layer from `count` pairs of quantized input and float output, each at some of its positions.

    Every `_HELD`-th pair goes into the second moments, by which the first are judged.
    """
    layer = patches.layer
    width = patches.width
    second = options.adaround and width <= _WIDEST
    most = max(256, -(-_POSITIONS * width // count))
    channels = graph.types[layer.output].shape[1 if layer.node.op == "Conv" else -1] // layer.groups
    fit = held = Moments(layer.groups, width, channels, second)
    for index, (integers, output) in enumerate(pairs):
        positions = patches.choose(most, np.random.default_rng((options.seed, number, index)))
        x = patches.inputs((integers.astype(np.int32) - affine.zero_point).astype(np.float32), positions)
        x = x * np.float32(affine.scale)
        if index == 0:
            origin = x.mean(axis=1, keepdims=True)
            fit, held = (Moments(layer.groups, width, channels, second, origin) for _ in range(2))
        moments = held if index % _HELD == _HELD - 1 else fit
        moments.add(x, patches.outputs(output, positions))
    return fit, held


def solve(
    graph: Graph,
    layer: Layer,
    patches: Patches,
    fit: Moments,
    held: Moments,
    before: LayerWeights,
    affine: Affine,
    options: QuantizeOptions,
) -> LayerWeights:
    """The layer's integers: rounding learned if asked for, the bias such that the mean output is the float one.

    What is learned from `fit` must do better on `held` than the nearest integers; then it is learned from both.
    """
    rounded, scale = patches.matrix(before.integers).astype(np.float64), before.scale
    bias = None if layer.bias is None else graph.constants[layer.bias.inputs[layer.bias_input]].astype(np.float64)
    moments = fit.merged(held)

    def learned(given: Moments, ridge: float) -> tuple[Array, Array]:
        """Integers and scales for the weights that the moments ask for."""
        real = corrected_weights(floats, given, ridge)
        scales = channel_scales(patches.unmatrix(real), layer.axis, bias, affine.scale, before.bits)
        grid = scales.astype(np.float64).reshape(layer.groups, -1)
        return learned_rounding(real, given.covariance_xx, grid, largest=LARGEST[before.bits]), scales

    if options.adaround and patches.width <= _WIDEST:
        floats = patches.matrix(graph.constants[layer.weights]).astype(np.float64)
        ridge = choose_ridge(floats, fit, held)
        tried = _reals(layer, *learned(fit, ridge))
        if not held.count or held_error(tried, held) < held_error(_reals(layer, rounded, scale), held):
            rounded, scale = learned(moments, ridge)
    integers = patches.unmatrix(rounded).astype(np.int8)
    if bias is None:
        return LayerWeights(integers, scale, layer.axis, bits=before.bits)
    quantized_mean = (_reals(layer, rounded, scale) @ moments.mean_x[:, :, None])[:, :, 0].ravel() + bias
    bias = empirical_bias(bias, moments.mean_y.ravel(), quantized_mean)
    return LayerWeights(integers, scale, layer.axis, round_bias(bias, scale, affine.scale), before.bits)


def _reals(layer: Layer, integers: Array, scale: Array) -> Array:
    """Weights ``[groups, N, K]`` that integers stand for."""
    return integers * scale.astype(np.float64).reshape(layer.groups, -1, 1)


def _store(graph: Graph, nodes: Mapping[str, Node], layer: Layer, weights: LayerWeights, affine: Affine) -> None:
    """Put a layer's integers into the quantized graph."""
    held, scale, _ = nodes[nodes[layer.key].inputs[1]].inputs
    graph.constants[held], graph.constants[scale] = weights.held, weights.scale
    if layer.bias is not None and weights.bias is not None:
        held, scale, _ = nodes[nodes[layer.bias.outputs[0]].inputs[layer.bias_input]].inputs
        graph.constants[held], graph.constants[scale] = weights.bias, bias_scale(weights.scale, affine.scale)
