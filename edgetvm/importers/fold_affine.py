"""A scale and shift for each channel, behind a layer with constant weights, become part of the weights.

``conv(x, W) + b`` followed by BatchNormalization, or by Mul, Add, Sub or Div with one constant
for each channel, becomes ``conv(x, W * scale) + (b * scale + shift)``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .graph import Array, Graph, Node
from .rewrite import View, drop_dead, new_constant, replace_nodes

LAYERS = ("Conv", "ConvTranspose", "Gemm")
AFFINE = ("BatchNormalization", "Mul", "Add", "Sub", "Div")


def fold_affine(graph: Graph) -> None:
    """Fold until nothing folds any more."""
    while _fold_one_round(graph):
        drop_dead(graph)


def _fold_one_round(graph: Graph) -> bool:
    view = View(graph)
    replacements: dict[int, Node] = {}
    removed: list[Node] = []
    for node in graph.nodes:
        if node.op not in AFFINE or node.domain or graph.types[node.outputs[0]].dtype not in ("float32", "float64"):
            continue
        for side in (0, 1) if node.op in ("Mul", "Add") else (0,):
            layer = view.sole(node.inputs[side], *LAYERS)
            if layer is None or any(layer is gone for gone in removed) or any(node is gone for gone in removed):
                continue
            folded = _folded(graph, layer, node, side)
            if folded is not None:
                # The merged node stands where the later one stood; the layer's place is left.
                replacements[id(node)] = folded
                removed.append(layer)
                break
    # A node that was merged into must not be merged again from a stale view.
    replace_nodes(graph, replacements, removed)
    return bool(removed)


def _folded(graph: Graph, layer: Node, node: Node, side: int) -> Node | None:
    channels = graph.types[layer.outputs[0]].shape[1]
    terms = _scale_and_shift(graph, node, side, channels)
    weights = graph.constants.get(layer.inputs[1])
    if terms is None or weights is None or graph.types[node.outputs[0]] != graph.types[layer.outputs[0]]:
        return None
    bias = _bias(graph, layer, channels)
    axis = _output_axis(layer)
    if bias is None or axis is None:
        return None
    scale, shift = terms
    along = [1] * weights.ndim
    along[axis] = channels
    dtype = weights.dtype
    scaled = (weights.astype(np.float64) * scale.reshape(along)).astype(dtype)
    total = (bias * scale + shift).astype(dtype)
    names = [
        new_constant(graph, f"{layer.name}_{what}", array) for what, array in (("weights", scaled), ("bias", total))
    ]
    attributes = {name: value for name, value in layer.attributes.items() if name != "beta"}
    return replace(
        layer,
        sources=(*layer.sources, *(s for s in node.sources if s not in layer.sources)),
        inputs=(layer.inputs[0], *names),
        outputs=node.outputs[:1],
        attributes=attributes,
    )


def _scale_and_shift(graph: Graph, node: Node, side: int, channels: int) -> tuple[Array, Array] | None:
    """The node as ``x * scale + shift``, each of one value for every channel."""
    ones, zeros = np.ones(channels), np.zeros(channels)
    if node.op == "BatchNormalization":
        values = [graph.constants.get(name) for name in node.inputs[1:5]]
        if node.attributes.get("training_mode", 0) or len([o for o in node.outputs if o]) > 1:
            return None
        if any(value is None for value in values):
            return None
        gamma, beta, mean, variance = (np.asarray(value, np.float64) for value in values)
        scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
        return scale, beta - mean * scale
    value = graph.constants.get(node.inputs[1 - side])
    if value is None:
        return None
    each = _by_channel(value, len(graph.types[node.outputs[0]].shape), channels)
    if each is None or (node.op == "Div" and not each.all()):
        return None
    return {
        "Mul": (each, zeros),
        "Div": (1 / each if node.op == "Div" else ones, zeros),
        "Add": (ones, each),
        "Sub": (ones, -each),
    }[node.op]


def _by_channel(value: Array, rank: int, channels: int) -> Array | None:
    """A constant that broadcasts along axis 1 only, as one value for each channel."""
    if value.size == 1:
        return np.full(channels, float(value.reshape(-1)[0]))
    shape = (1,) * (rank - value.ndim) + value.shape
    if len(shape) != rank or shape[1] != channels or value.size != channels:
        return None
    return value.astype(np.float64).reshape(channels)


def _bias(graph: Graph, layer: Node, channels: int) -> Array | None:
    if len(layer.inputs) < 3 or not layer.inputs[2]:
        return np.zeros(channels)
    value = graph.constants.get(layer.inputs[2])
    beta = float(layer.attributes.get("beta", 1.0)) if layer.op == "Gemm" else 1.0
    each = None if value is None else _by_channel(value, 2, channels) if value.ndim <= 2 else None
    return None if each is None else each * beta


def _output_axis(layer: Node) -> int | None:
    """The axis of the weights that counts output channels."""
    if layer.op == "Conv":
        return 0
    if layer.op == "Gemm":
        return 0 if layer.attributes.get("transB", 0) else 1
    return 1 if layer.attributes.get("group", 1) == 1 else None
