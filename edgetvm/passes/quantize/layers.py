"""Layers with constant weights: where they are, and how their parameters lie in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgetvm.importers.graph import Graph, Node
from edgetvm.importers.rewrite import View, new_constant, replace_nodes
from edgetvm.oracle.dataset import Array

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Layer:
    """A node whose input 1 is constant.

    bias       the node that adds the bias: the layer itself, the Add behind a MatMul, or None
    axis       the axis of the weights that has one scale for each entry; None: one scale for all
    groups     independent groups of output channels
    depthwise  each input channel makes one output channel
    """

    node: Node
    bias: Node | None
    axis: int | None
    groups: int
    depthwise: bool = False

    @property
    def key(self) -> str:
        """The layer's output: a name no other layer has."""
        return self.node.outputs[0]

    @property
    def weights(self) -> str:
        return self.node.inputs[1]

    @property
    def bias_input(self) -> int:
        """Which input of `bias` the bias is."""
        return 2 if self.bias is self.node else 1

    @property
    def output(self) -> str:
        """The value with the bias added."""
        return self.key if self.bias is None else self.bias.outputs[0]


def find_layers(graph: Graph) -> dict[str, Layer]:
    """All layers of float32, by `Layer.key`, in order."""
    view = View(graph)
    layers = {}
    for node in graph.nodes:
        if node.op not in OPERATORS or node.domain or node.inputs[1] not in graph.constants:
            continue
        if graph.types[node.outputs[0]].dtype != "float32" or node.inputs[0] in graph.constants:
            continue
        layer = _layer(graph, view, node)
        layers[layer.key] = layer
    return layers


def _layer(graph: Graph, view: View, node: Node) -> Layer:
    weights = graph.constants[node.inputs[1]]
    groups = int(node.attributes.get("group", 1))
    if node.op == "MatMul":
        return Layer(node, _bias_add(graph, view, node), 1 if weights.ndim == 2 else None, 1)
    bias = node if len(node.inputs) > 2 and node.inputs[2] in graph.constants else None
    if node.op == "Gemm":
        return Layer(node, bias, 0 if node.attributes.get("transB", 0) else 1, 1)
    if node.op == "Conv":
        return Layer(node, bias, 0, groups, groups > 1 and groups == weights.shape[0] and weights.shape[1] == 1)
    return Layer(node, bias, 1 if groups == 1 else None, groups)


def _bias_add(graph: Graph, view: View, node: Node) -> Node | None:
    """The Add of one constant for each column, the only reader of a MatMul."""
    users = [user for user in graph.nodes if node.outputs[0] in user.inputs]
    if view.uses[node.outputs[0]] != 1 or len(users) != 1 or users[0].op != "Add" or users[0].domain:
        return None
    add = users[0]
    bias = graph.constants.get(add.inputs[1])
    columns = graph.types[node.outputs[0]].shape[-1:]
    return add if bias is not None and bias.shape == columns and add.inputs[0] == node.outputs[0] else None


def normalise_layers(graph: Graph) -> None:
    """Give every layer the one form that the passes know.

    Gemm: alpha and beta become 1, the bias ``[N]``. Conv, ConvTranspose and Gemm: a bias, of zeros
    where there was none. Add behind a MatMul: the constant second.
    """
    replacements: dict[int, Node] = {}
    for node in graph.nodes:
        if node.domain or graph.types[node.outputs[0]].dtype != "float32":
            continue
        if node.op == "Add" and node.inputs[0] in graph.constants and node.inputs[1] not in graph.constants:
            replacements[id(node)] = replace(node, inputs=node.inputs[::-1])
        elif node.op in ("Conv", "ConvTranspose", "Gemm") and node.inputs[1] in graph.constants:
            replacements[id(node)] = _with_bias(graph, node)
    replace_nodes(graph, replacements, ())


def _with_bias(graph: Graph, node: Node) -> Node:
    name = node.inputs[2] if len(node.inputs) > 2 else ""
    if name and name not in graph.constants:
        return node
    channels = graph.types[node.outputs[0]].shape[1]
    bias: Array = np.zeros(channels, np.float32) if not name else graph.constants[name]
    attributes = dict(node.attributes)
    weights = graph.constants[node.inputs[1]]
    if node.op == "Gemm":
        alpha, beta = attributes.pop("alpha", 1.0), attributes.pop("beta", 1.0)
        if bias.size == 1:
            bias = np.broadcast_to(bias.reshape(1), (channels,))
        if bias.size != channels or bias.shape[-1] != channels:
            return node
        weights = (weights.astype(np.float64) * alpha).astype(np.float32) if alpha != 1.0 else weights
        bias = (bias.reshape(channels).astype(np.float64) * beta).astype(np.float32)
    names = [new_constant(graph, f"{node.name}_{what}", a) for what, a in (("weights", weights), ("bias", bias))]
    return replace(node, inputs=(node.inputs[0], *names), attributes=attributes)
