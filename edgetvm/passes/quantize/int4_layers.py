"""Which dense layers and 1x1 convolutions get weights of 4 bits: as many as leave the outputs near the float ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from pathlib import Path

from edgetvm.errors import UnsupportedError
from edgetvm.importers.graph import Graph
from edgetvm.importers.rewrite import new_constant
from edgetvm.oracle.dataset import Array, Dataset

from .correct_bias import analytic_bias
from .layers import Layer
from .options import Int4Layer
from .search_damage import Progress, damages, some
from .statistics import channel_means
from .weights import LayerWeights, channel_scales, round_weights

# Over the signal of the outputs, that 4 bits may add in all: 15 dB, before learned rounding takes some of it away.
_NOISE = 0.03
SAMPLES = 32  # that noise is measured on


def narrow_layers(
    model: Path,
    graph: Graph,
    layers: Mapping[str, Layer],
    data: Dataset,
    int8_weights: Set[str] = frozenset(),
    progress: Progress | None = None,
) -> dict[str, Int4Layer]:
    """The layers that can have int4 weights, by their keys, and whether they get them.

    Each alone is rounded to the nearest int4, all else in float; what independent errors do to the outputs adds up.
    The layers that save most bytes for their noise come first; those of the nodes `int8_weights` get none.
    Raises `UnsupportedError` if no layer can have them.
    """
    able = {key: layer for key, layer in layers.items() if is_able(graph, layer)}
    if not able:
        raise UnsupportedError(
            f"{model.name} has no dense layer and no 1x1 convolution with constant weights to hold in 4 bits",
            hint="give --quantize int8",
        )
    few = some(data, SAMPLES)
    means = channel_means(graph, list(dict.fromkeys(_centred(graph, able.values()))), few)
    found = damages(graph, {key: _rounded(graph, layer, means) for key, layer in able.items()}, few, progress)
    saved = {key: graph.constants[layer.weights].size for key, layer in able.items()}
    chosen, total = set(), 0.0
    for key in sorted(able, key=lambda key: found[key].noise / saved[key]):
        if able[key].node.name not in int8_weights and total + found[key].noise <= _NOISE:
            chosen.add(key)
            total += found[key].noise
    return {
        key: Int4Layer(layer.node.name, layer.node.op, saved[key], key in chosen, found[key].sqnr_db)
        for key, layer in able.items()
    }


def is_able(graph: Graph, layer: Layer) -> bool:
    """Whether the layer is dense, or a convolution of one tap that sees all channels."""
    if layer.node.op == "Conv":
        return layer.groups == 1 and all(extent == 1 for extent in graph.constants[layer.weights].shape[2:])
    return layer.node.op in ("Gemm", "MatMul") and layer.axis is not None


def _centred(graph: Graph, layers: Iterable[Layer]) -> list[str]:
    """Inputs whose axis 1 is what weights are multiplied by, of layers with a bias to correct."""
    inputs = [layer.node.inputs[0] for layer in layers if layer.bias is not None]
    return [value for value in inputs if len(graph.types[value].shape) in (2, 4)]


def _rounded(graph: Graph, layer: Layer, means: Mapping[str, Array]) -> Graph:
    """The graph with this layer's weights rounded to int4, and its bias for the mean that this moves."""
    real = graph.constants[layer.weights]
    scale = channel_scales(real, layer.axis, None, 1.0, bits=4)
    held = LayerWeights(round_weights(real, scale, layer.axis, bits=4), scale, layer.axis, bits=4)
    result = replace(graph, nodes=list(graph.nodes), constants=dict(graph.constants), types=dict(graph.types))
    changed = {id(layer.node): {1: held.real()}}
    mean = means.get(layer.node.inputs[0])
    bias = None if mean is None else analytic_bias(graph, layer, held, mean)
    if bias is not None:
        changed.setdefault(id(layer.bias), {})[layer.bias_input] = bias
    for number, node in enumerate(result.nodes):
        inputs = list(node.inputs)
        for index, array in changed.get(id(node), {}).items():
            shape = graph.constants[inputs[index]].shape
            inputs[index] = new_constant(result, inputs[index], array.reshape(shape).astype("float32"))
        result.nodes[number] = replace(node, inputs=tuple(inputs))
    return result
