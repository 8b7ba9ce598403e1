"""Dead channels take over part of the channels whose rounding hurts most: finer steps.

A channel whose activation is always 0 becomes a copy of a channel c, whose weights in the next mixing layer the copies
share. Left alone it is computed for nothing, or not at all (`passes/dead_channels`): so it is made a copy only where
that takes more of the noise than it adds to the work. Their biases differ by fractions of the activation's step, so
that n copies round at n times as many places, and their mean errs 1/n as much as one alone:
``relu(z) = (relu(z + s/4) + relu(z - s/4)) / 2`` wherever ``|z| >= s/4``, s the step.

Copies of channels are from Zhao et al., "Improving Neural Network Quantization without Retraining
using Outlier Channel Splitting", 2019, who add channels to shrink outliers; here nothing is added.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgetvm.importers.graph import Graph, Node
from edgetvm.importers.rewrite import new_constant, replace_nodes
from edgetvm.oracle.dataset import Array, Dataset

from .equalize import Chain, find_chains
from .layers import Layer
from .statistics import channel_maxima

MOST_COPIES = 4
PAYS = 2.0  # a copy takes at least this many times the share of the noise that it adds to the channels


@dataclass(frozen=True)
class Row:
    """A mixing layer, any number of depthwise layers, and the next mixing layer, with rectifiers between."""

    layers: tuple[Layer, ...]
    activations: tuple[str, ...]  # behind each layer but the last


def split_channels(graph: Graph, data: Dataset) -> list[str]:
    """Rewrite every row of `graph` that has dead channels, in place; returns a note on each."""
    rows = find_rows(find_chains(graph))
    if not rows:
        return []
    maxima = channel_maxima(graph, sorted({name for row in rows for name in row.activations}), data)
    notes = []
    nodes: dict[str, Node] = {}
    for row in rows:
        dead = np.flatnonzero(maxima[row.activations[-1]] == 0.0)
        live = np.flatnonzero(maxima[row.activations[-1]] > 0.0)
        if not dead.size or not live.size:
            continue
        current = [nodes.get(layer.key, layer.node) for layer in row.layers]
        weights = [graph.constants[node.inputs[1]] for node in current]
        biases = [graph.constants[node.inputs[2]] for node in current[:-1]]
        steps = [float(maxima[name].max()) / 255 for name in row.activations]
        sources = choose_sources(noise_gains(weights, steps), live, dead)
        copies = int((sources[dead] != dead).sum())
        if not copies:
            continue
        first, bias, last = copy_channels(weights[0], biases[0], weights[-1], sources, steps[0])
        inner = [w[sources] for w in weights[1:-1]]
        inner_biases = [b[sources] for b in biases[1:]]
        for node, layer, w, b in zip(
            current, row.layers, [first, *inner, last], [bias, *inner_biases, None], strict=True
        ):
            nodes[layer.key] = _with_parameters(graph, node, w, b)
        notes.append(f"{row.layers[0].node.name}: {copies} of {dead.size} dead channels refine others")
    replace_nodes(graph, {id(n): nodes[n.outputs[0]] for n in graph.nodes if n.outputs[0] in nodes}, ())
    return notes


def find_rows(chains: list[Chain]) -> list[Row]:
    """The rows in chains of two layers, in order."""
    following = {chain.first.key: chain for chain in chains}
    rows = []
    for chain in chains:
        if chain.first.groups != 1:
            continue
        layers, activations = [chain.first], []
        link: Chain | None = chain
        while link is not None:
            layers.append(link.second)
            activations.append(link.between.outputs[0])
            link = following.get(link.second.key) if link.second.depthwise else None
        if layers[-1].groups == 1:
            rows.append(Row(tuple(layers), tuple(activations)))
    return rows


def noise_gains(weights: list[Array], steps: list[float]) -> Array:
    """Noise power that each channel of a row sends into the last layer, ``[channels]``, up to a common factor.

    Every activation adds ``step^2`` of it; a depthwise layer passes on the sum of its squared weights. The
    last layer weighs it by the share that the channel has in each output's squared weights.
    """
    noise = np.full(len(weights[0]), steps[0] ** 2)
    for depthwise, step in zip(weights[1:-1], steps[1:], strict=True):
        noise = noise * (depthwise.reshape(len(depthwise), -1) ** 2).sum(axis=1) + step**2
    last = (weights[-1].reshape(len(weights[-1]), len(noise), -1) ** 2).sum(axis=2)  # [O, C]
    total = last.sum(axis=1, keepdims=True)
    shares: Array = (last / np.where(total > 0, total, 1.0)).sum(axis=0)
    return noise * shares


def choose_sources(gains: Array, live: Array, dead: Array) -> Array:
    """For each channel the one it shall be a copy of, ``int [channels]``; a live one is its own source.

    One dead channel after another goes where most noise is left, of which n copies leave 1 / n^2, while that pays.
    """
    sources = np.arange(len(gains))
    copies = np.zeros(len(gains))
    copies[live] = 1
    for channel in dead:
        left = np.where(copies > 0, gains / np.maximum(copies, 1) ** 2, 0.0)
        best = int(np.where(copies < MOST_COPIES, left, 0.0).argmax())
        taken = left[best] * (1 - (copies[best] / (copies[best] + 1)) ** 2)
        if taken == 0 or taken / left.sum() < PAYS / copies.sum():
            break
        sources[channel] = best
        copies[best] += 1
    return sources


def copy_channels(weights: Array, bias: Array, last: Array, sources: Array, step: float) -> tuple[Array, Array, Array]:
    """Weights ``[C, ...]`` and bias ``[C]`` of the first layer, weights ``[O, C, ...]`` of the last, with copies."""
    counts = np.bincount(sources, minlength=len(sources))
    shifted = bias[sources].astype(np.float64)
    for source in np.flatnonzero(counts > 1):
        copies = np.flatnonzero(sources == source)
        shifted[copies] += (np.arange(len(copies)) - (len(copies) - 1) / 2) * step / len(copies)
    shares = counts[sources].reshape([1, -1] + [1] * (last.ndim - 2))
    return weights[sources], shifted.astype(np.float32), (last[:, sources] / shares).astype(np.float32)


def _with_parameters(graph: Graph, node: Node, weights: Array, bias: Array | None) -> Node:
    names = [new_constant(graph, f"{node.name}_weights", weights)]
    names += [node.inputs[2]] if bias is None else [new_constant(graph, f"{node.name}_bias", bias)]
    return replace(node, inputs=(node.inputs[0], *names))
