"""Parts of a quantized graph made otherwise, out of what its quantization found: no calibration and no learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgetvm.importers.graph import Graph

from .affine import LIMITS, Affine, affine_of_range
from .choose_calibrator import one_choice
from .insert_pairs import insert_pairs
from .layers import Layer
from .options import QuantizeOptions
from .places import Places, place
from .quantization import Quantization
from .search_units import Unit
from .weights import LayerWeights, bias_scale, channel_scales, round_bias, round_weights

_LARGEST_BIAS = 2.0**30


@dataclass(frozen=True)
class Mix:
    """Nodes in float, nodes of int16 activations, and activations with a calibrator of their own."""

    float_nodes: frozenset[str] = frozenset()
    int16_nodes: frozenset[str] = frozenset()
    tensor_calibrators: tuple[tuple[str, str], ...] = ()

    def options(self, before: QuantizeOptions) -> QuantizeOptions:
        """The options that quantize so from the start."""
        others = tuple(pair for pair in before.tensor_calibrators if pair[0] not in dict(self.tensor_calibrators))
        return replace(
            before,
            float_nodes=before.float_nodes | self.float_nodes,
            int16_nodes=before.int16_nodes | self.int16_nodes,
            tensor_calibrators=(*others, *self.tensor_calibrators),
        )


def only(made: Quantization, unit: Unit, mix: Mix | None = None) -> Graph:
    """The graph in which `unit` is quantized and all else is float; `mix` says what of the unit is otherwise."""
    mix = mix or Mix()
    others = frozenset(node.name for node in made.graph.nodes) - unit.names
    return mixed_graph(made, replace(mix, float_nodes=others))


def mixed_graph(made: Quantization, mix: Mix) -> Graph:
    """`made.result` with what `mix` says made otherwise, all else as it was."""
    options = mix.options(made.options)
    wide = options.scheme == "int8x16"
    places = place(made.graph, dict(made.layers), options.float_nodes, options.int16_nodes, wide=wide)
    layers = {key: layer for key, layer in made.layers.items() if key in places.nodes}
    affines = _affines(made, places, dict(mix.tensor_calibrators))
    weights = {}
    for key, layer in layers.items():
        value = layer.node.inputs[0]
        before, after = made.affines[made.places.group[value]], affines[places.group[value]]
        weights[key] = rescaled(made.graph, layer, made.weights[key], before.scale, after.scale)
    return insert_pairs(made.graph, places, layers, affines, weights)


def rescaled(graph: Graph, layer: Layer, weights: LayerWeights, before: float, after: float) -> LayerWeights:
    """Weights whose bias is in steps of another input scale. Rounded anew if that bias would leave int32."""
    if weights.bias is None or before == after:
        return weights
    bias = weights.bias * bias_scale(weights.scale, before).astype(np.float64)
    scale, integers = weights.scale, weights.integers
    if np.abs(bias / bias_scale(scale, after)).max(initial=0.0) > _LARGEST_BIAS:
        real = graph.constants[layer.weights]
        scale = channel_scales(real, layer.axis, bias, after, weights.bits)
        integers = round_weights(real, scale, layer.axis, weights.bits)
    return LayerWeights(integers, scale, weights.axis, round_bias(bias, scale, after), weights.bits)


def _affines(made: Quantization, places: Places, calibrators: Mapping[str, str]) -> dict[str, Affine]:
    members: dict[str, list[str]] = {}
    for value, group in places.group.items():
        members.setdefault(group, []).append(value)
    found = {}
    for group, values in members.items():
        before = sorted({made.places.group[value] for value in values})
        asked = [calibrators[value] for value in values if value in calibrators]
        bits = 16 if group in places.wide else 8
        if group in places.fixed:
            found[group] = places.fixed[group]
        elif len(before) == 1 and made.affines[before[0]].bits == bits and not asked:
            found[group] = made.affines[before[0]]
        else:
            ends = [_ends(made, old, bits, asked) for old in before]
            found[group] = affine_of_range(min(low for low, _ in ends), max(high for _, high in ends), bits)
    return found


def _ends(made: Quantization, group: str, bits: int, calibrators: list[str]) -> tuple[float, float]:
    """The range of a group as it was quantized: by another calibrator, or whole where int16 resolves it."""
    histogram = made.histograms.get(group)
    if histogram is not None and bits == 16:
        return histogram.low, histogram.high
    if histogram is not None and calibrators:
        choice = one_choice(histogram, calibrators[0])
        return choice.low, choice.high
    affine = made.affines[group]
    least, most = LIMITS[affine.bits]
    return (least - affine.zero_point) * affine.scale, (most - affine.zero_point) * affine.scale
