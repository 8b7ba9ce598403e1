"""Where a model is quantized: which values become integers, and which share one scale.

A value gets a pair QuantizeLinear, DequantizeLinear if an integer kernel writes or reads it, unless it
lives inside a kernel: between a layer and the bias or activation that is its only reader, or
between a residual addition and its activation. Operators that only move numbers keep the scale of their input.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgetvm.importers.graph import Graph, Node
from edgetvm.importers.rewrite import View

from .affine import Affine
from .layers import OPERATORS, Layer

# Operators of which an output element is an input element, or 0.
MOVES = frozenset(
    [
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "GlobalMaxPool",
        "MaxPool",
        "Pad",
        "Reshape",
        "Resize",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    ]
)
# Operators with integer kernels, and how many of their inputs are numbers to compute with (0: all).
INPUTS = {
    **dict.fromkeys(MOVES, 1),
    **dict.fromkeys(OPERATORS, 2),
    **dict.fromkeys(("Add", "Sub", "Mul", "Concat", "Max", "Min"), 0),
    **dict.fromkeys(
        [
            "AveragePool",
            "GlobalAveragePool",
            "ReduceMean",
            "Relu",
            "Clip",
            "LeakyRelu",
            "PRelu",
            "HardSigmoid",
            "HardSwish",
        ],
        1,
    ),
    **dict.fromkeys(
        ["Swish", "Sigmoid", "Tanh", "Gelu", "Softmax", "LayerNormalization", "Elu", "Selu", "Softplus", "Mish", "Erf"],
        1,
    ),
}
MEANS = ("AveragePool", "GlobalAveragePool", "ReduceMean")
# Outputs whose range is known.
FIXED = {
    "Softmax": Affine(1 / 256, -128),
    "Sigmoid": Affine(1 / 256, -128),
    "HardSigmoid": Affine(1 / 256, -128),
    "Tanh": Affine(1 / 128, 0),
}
FIXED_16 = dict.fromkeys(FIXED, Affine(1 / 32768, 0, 16))


@dataclass
class Places:
    """Where pairs go.

    group    the group of every quantized value: values of one group share scale and zero point
    sources  the values of each group that bring new numbers, in order: those that calibration looks at
    fixed    groups whose `Affine` is known beforehand
    wide     groups held in int16
    nodes    outputs[0] of the nodes that become integer
    """

    group: dict[str, str] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)
    fixed: dict[str, Affine] = field(default_factory=dict)
    wide: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()


def place(
    graph: Graph,
    layers: dict[str, Layer],
    float_nodes: frozenset[str] = frozenset(),
    int16_nodes: frozenset[str] = frozenset(),
    wide: bool = False,
) -> Places:
    """Decide for the whole graph; nodes named in `float_nodes` stay float, `wide` makes every activation int16."""
    view = View(graph)
    integer = [node for node in graph.nodes if _is_integer(graph, node) and node.name not in float_nodes]
    integer = _without_idle_moves(graph, integer)
    keys = {node.outputs[0] for node in integer}
    inner = inner_values(graph, view, layers, keys)
    values = [v for node in integer for v in (*operands(graph, node), *node.outputs[:1]) if v not in inner]
    places = Places(nodes=frozenset(keys))
    parents = {value: value for value in values}
    origins: dict[str, Node] = {}
    for node in integer:
        out = node.outputs[0]
        if is_move(node):
            for value in node.outputs:
                if value:
                    parents.setdefault(value, value)
                    parents[_root(parents, value)] = _root(parents, node.inputs[0])
        elif out in parents:
            origins[out] = node
    for node in integer:
        if node.op == "Concat":
            _share_concat(graph, parents, origins, node, keys)
    places.group = {value: _root(parents, value) for value in parents}
    moved = {value for node in integer if is_move(node) or node.op == "Concat" for value in node.outputs}
    for value, group in places.group.items():
        source = value not in moved or not _covered(view, places, value)
        if source:
            places.sources.setdefault(group, []).append(value)
    wanted = {v for n in integer if n.name in int16_nodes for v in (*operands(graph, n), *n.outputs) if v not in inner}
    some = {places.group[value] for value in wanted} | _last_logits(graph, places)
    places.wide = frozenset(places.group.values() if wide else some)
    for value, node in origins.items():
        group = places.group[value]
        if node.op in FIXED and places.sources[group] == [value]:
            places.fixed[group] = (FIXED_16 if group in places.wide else FIXED)[node.op]
    return places


def operands(graph: Graph, node: Node) -> list[str]:
    """The values, not constant, that an integer kernel of `node` computes with."""
    count = INPUTS[node.op] or len(node.inputs)
    return [name for name in node.inputs[:count] if name and name not in graph.constants]


def output_groups(graph: Graph, places: Places) -> frozenset[str]:
    """Groups that hold an output of the model, or from which only a Softmax, a mean or moves lead to an output."""
    producers = {value: node for node in graph.nodes for value in node.outputs if value}
    found = set()
    for _, value in graph.outputs:
        current: str | None = value
        while current is not None:
            if current in places.group:
                found.add(places.group[current])
            node = producers.get(current)
            passes = node is not None and (is_move(node) or node.op in FIXED or node.op in MEANS)
            current = node.inputs[0] if node is not None and passes else None
    return frozenset(found)


def _last_logits(graph: Graph, places: Places) -> set[str]:
    """Groups that only a Softmax before an output of the model reads: in 8 bits the best classes often tie."""
    outputs = {value for _, value in graph.outputs}
    found = set()
    for node in graph.nodes:
        if node.op == "Softmax" and node.outputs[0] in outputs & places.nodes:
            group = places.group[node.inputs[0]]
            members = {value for value, own in places.group.items() if own == group}
            readers = [user for user in graph.nodes if not members.isdisjoint(user.inputs)]
            made = members.isdisjoint({*graph.inputs, *outputs})
            if made and all(user is node or is_move(user) for user in readers):
                found.add(group)
    return found


def inner_values(graph: Graph, view: View, layers: dict[str, Layer], keys: set[str]) -> set[str]:
    """Values that exist only inside a kernel."""
    biases = {id(layer.bias) for layer in layers.values()}
    users = _only_users(graph, view)
    inner = set()
    for node in graph.nodes:
        out = node.outputs[0]
        user = users.get(out)
        if out not in keys or user is None or user.outputs[0] not in keys:
            continue
        adds = node.op in ("Add", "Sub")
        if ((node.op in OPERATORS or adds) and is_rectifier(graph, user)) or (
            node.op == "MatMul" and id(user) in biases
        ):
            inner.add(out)
    return inner


def is_move(node: Node) -> bool:
    """Whether outputs are inputs in other places."""
    return node.op in MOVES and (node.op != "Resize" or node.attributes.get("mode", b"nearest") == b"nearest")


def is_rectifier(graph: Graph, node: Node) -> bool:
    """Relu, or a Clip from 0: what saturation at a zero point does too."""
    if node.op == "Relu":
        return True
    return node.op == "Clip" and clip_bounds(graph, node)[0] == 0.0


def clip_bounds(graph: Graph, node: Node) -> tuple[float | None, float | None]:
    """The constant bounds of a Clip; infinities where it has none, None where it is not constant."""
    found: list[float | None] = []
    for index, (name, otherwise) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        if node.version < 11:
            found.append(float(node.attributes.get(name, otherwise)))
        elif len(node.inputs) <= index or not node.inputs[index]:
            found.append(otherwise)
        else:
            value = graph.constants.get(node.inputs[index])
            found.append(None if value is None else float(value.reshape(-1)[0]))
    return found[0], found[1]


def _is_integer(graph: Graph, node: Node) -> bool:
    if node.domain or node.op not in INPUTS or not operands(graph, node):
        return False
    if any(graph.types[v].dtype != "float32" for v in (*operands(graph, node), node.outputs[0])):
        return False
    if len([value for value in node.outputs if value]) > 1 and node.op != "Split":
        return False
    if node.op == "Resize":
        return node.attributes.get("mode", b"nearest") in (b"nearest", b"linear")
    if node.op == "Pad":
        value = graph.constants.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else np.zeros(1)
        mode = node.attributes.get("mode", b"constant")
        return mode != b"constant" or (value is not None and not value.any())
    if node.op == "Gemm":
        return not node.attributes.get("transA", 0)
    if node.op == "Clip":
        return None not in clip_bounds(graph, node)
    return True


def _without_idle_moves(graph: Graph, nodes: list[Node]) -> list[Node]:
    """Drop moves that have no computing kernel before or behind them: moving floats is as good."""
    computing = [node for node in nodes if not is_move(node) and node.op != "Concat"]
    touched = {value for node in computing for value in (*operands(graph, node), *node.outputs)}
    kept = {id(node) for node in computing}
    changed = True
    while changed:
        changed = False
        for node in nodes:
            if id(node) in kept:
                continue
            if not touched.isdisjoint((*operands(graph, node), *node.outputs)):
                kept.add(id(node))
                touched.update((*operands(graph, node), *node.outputs))
                changed = True
    return [node for node in nodes if id(node) in kept]


def _only_users(graph: Graph, view: View) -> dict[str, Node]:
    return {name: node for node in graph.nodes for name in node.inputs if name and view.uses[name] == 1}


def _share_concat(graph: Graph, parents: dict[str, str], origins: dict[str, Node], node: Node, keys: set[str]) -> None:
    """Let inputs of a Concat take its output's scale, unless another kernel reads them too."""
    out = _root(parents, node.outputs[0])
    for name in operands(graph, node):
        root = _root(parents, name)
        members = {value for value in parents if _root(parents, value) == root}
        readers = [user for user in graph.nodes if not members.isdisjoint(user.inputs)]
        fixed = any(origins[value].op in FIXED for value in members & set(origins))
        if not fixed and all(user is node or (is_move(user) and user.outputs[0] in keys) for user in readers):
            parents[root] = out
            out = _root(parents, out)


def _covered(view: View, places: Places, value: str) -> bool:
    """Whether a moved value holds only numbers of other values of its group."""
    node = view.producers[value]
    if node.op != "Concat":
        return True
    return all(places.group.get(name) == places.group[value] for name in node.inputs)


def _root(parents: dict[str, str], value: str) -> str:
    while parents[value] != value:
        value = parents[value]
    return value
