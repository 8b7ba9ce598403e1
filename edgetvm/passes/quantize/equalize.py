"""Cross-layer equalization: channels of small range are scaled up in one layer and down again in the next.

``B(relu(A(x)))`` with one number s for each channel between them equals ``(B / s)(relu((s A)(x)))``. An
activation has one scale for all its channels, so a channel that uses little of the range is resolved
badly; weights have a scale for each output channel, so A does not mind, nor does B where it is depthwise.

After Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
2019, section 4.1, with two differences: ranges are those of calibration data, and a clip (ReLU6) stays what it is.
A channel is scaled across a clip only if the data never come near its upper bound, and only as far as leaves that so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetvm.importers.graph import Graph, Node
from edgetvm.importers.rewrite import View, new_constant, replace_nodes
from edgetvm.oracle.dataset import Array, Dataset

from .layers import Layer, find_layers
from .places import clip_bounds, is_rectifier
from .statistics import channel_maxima

MARGIN = 2.0  # the largest value on calibration data, times this, is taken as the largest there is
MOST = 16.0  # the largest factor
BALANCE = 0.5  # of a next layer that mixes channels: 1 would even out its inputs, at the cost of its weights


@dataclass(frozen=True)
class Chain:
    """Two layers and the rectifier between them, which read nothing else and are read by nothing else."""

    first: Layer
    between: Node
    second: Layer
    bound: float  # of the rectifier; infinity if it has none


def equalize(graph: Graph, data: Dataset) -> list[str]:
    """Rewrite the weights of every chain of `graph` in place; returns a note on each."""
    chains = find_chains(graph)
    if not chains:
        return []
    maxima = channel_maxima(graph, [chain.between.outputs[0] for chain in chains], data)
    nodes: dict[str, Node] = {chain.first.key: chain.first.node for chain in chains}
    nodes |= {chain.second.key: chain.second.node for chain in chains}
    notes = []
    for chain in chains:
        first, second = nodes[chain.first.key], nodes[chain.second.key]
        weights = graph.constants[second.inputs[1]]
        balance = 1.0 if chain.second.depthwise else BALANCE
        factors = channel_factors(maxima[chain.between.outputs[0]], chain.bound, balance)
        scaled = [
            *scale_outputs(graph.constants[first.inputs[1]], graph.constants[first.inputs[2]], factors),
            scale_inputs(weights, factors, chain.second.groups),
        ]
        hints = (f"{first.name}_weights", f"{first.name}_bias", f"{second.name}_weights")
        names = [new_constant(graph, hint, array) for hint, array in zip(hints, scaled, strict=True)]
        nodes[chain.first.key] = _with_inputs(first, (first.inputs[0], names[0], names[1]))
        nodes[chain.second.key] = _with_inputs(second, (second.inputs[0], names[2], *second.inputs[2:]))
        if factors.max() > 1.0:
            notes.append(f"{first.name} and {second.name}: channels between them scaled by up to {factors.max():.3g}")
    replace_nodes(graph, {id(n): nodes[n.outputs[0]] for n in graph.nodes if n.outputs[0] in nodes}, ())
    return notes


def find_chains(graph: Graph) -> list[Chain]:
    """Every Conv, Relu or Clip from 0, Conv in a row, in order."""
    view = View(graph)
    layers = find_layers(graph)
    chains = []
    for second in layers.values():
        between = view.sole(second.node.inputs[0], "Relu", "Clip")
        if second.node.op != "Conv" or between is None or not is_rectifier(graph, between):
            continue
        producer = view.sole(between.inputs[0], "Conv")
        first = layers.get(producer.outputs[0]) if producer is not None else None
        bound = np.inf if between.op == "Relu" else clip_bounds(graph, between)[1]
        if first is not None and first.bias is not None and bound is not None and bound > 0:
            chains.append(Chain(first, between, second, bound))
    return chains


def channel_factors(maxima: Array, bound: float, balance: float) -> Array:
    """By what each channel between two layers is multiplied: 1 to `MOST`, float64.

    maxima   of each channel, on calibration data
    bound    where the rectifier clips
    balance  1 takes every channel as far as it goes
    """
    reach = maxima * MARGIN
    top = bound if np.isfinite(bound) else maxima.max(initial=0.0)
    room = np.where(reach > 0, top / np.maximum(reach, max(top / MOST, 1e-30)), 1.0)
    factors: Array = np.maximum(room, 1.0) ** balance
    return factors


def scale_outputs(weights: Array, bias: Array, factors: Array) -> tuple[Array, Array]:
    """Weights ``[O, ...]`` and bias ``[O]`` of a convolution whose outputs become `factors` times as large."""
    each = factors.reshape([-1] + [1] * (weights.ndim - 1))
    return (weights * each).astype(np.float32), (bias * factors).astype(np.float32)


def scale_inputs(weights: Array, factors: Array, groups: int) -> Array:
    """Weights ``[O, C / groups, ...]`` of a convolution whose inputs are `factors` times as large."""
    outputs, inputs = weights.shape[:2]
    grouped = weights.reshape(groups, outputs // groups, inputs, *weights.shape[2:])
    each = factors.reshape(groups, 1, inputs, *[1] * (weights.ndim - 2))
    return (grouped / each).reshape(weights.shape).astype(np.float32)


def _with_inputs(node: Node, inputs: tuple[str, ...]) -> Node:
    return Node(
        node.op, node.domain, node.version, node.name, node.sources, inputs, node.outputs, dict(node.attributes)
    )
