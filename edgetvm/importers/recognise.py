"""Activations that exporters spell out in simpler operators become one node again.

- ``x * 0.5 * (1 + erf(x / sqrt(2)))`` in any order of its factors: Gelu
- ``x * clip(x + 3, 0, 6) / 6`` and ``x * HardSigmoid(x, 1/6, 1/2)``: HardSwish
- ``x * sigmoid(x)``: Swish
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose, sqrt
from typing import Any

from .graph import FLOATS, Graph, Node
from .rewrite import View, drop_dead, replace_nodes

FIRST_OPSET = {"Gelu": 20, "HardSwish": 14, "Swish": 24}


def recognise(graph: Graph) -> None:
    """Find all patterns, each by its last node."""
    for find in (_gelu, _hard_swish, _swish):
        view = View(graph)
        replacements = {}
        for node in graph.nodes:
            if node.op in ("Mul", "Div") and not node.domain and graph.types[node.outputs[0]].dtype in FLOATS:
                found = find(view, node)
                if found is not None:
                    replacements[id(node)] = found
        replace_nodes(graph, replacements, ())
        drop_dead(graph)


def _one(operator: str, x: str, parts: list[Node], attributes: Mapping[str, Any] | None = None) -> Node:
    last = parts[-1]
    sources = tuple(dict.fromkeys(source for part in parts for source in part.sources))
    version = max(last.version, FIRST_OPSET[operator])
    return Node(operator, "", version, last.name, sources, (x,), last.outputs, attributes or {})


def _factors(view: View, node: Node) -> tuple[list[str], list[Node]]:
    """The operands of a product of products, and the Mul and Div nodes that it consists of."""
    names: list[str] = []
    nodes: list[Node] = []
    for name in node.inputs:
        inner = view.sole(name, "Mul")
        if inner is not None:
            more, deeper = _factors(view, inner)
            names += more
            nodes += [*deeper, inner]
        else:
            names.append(name)
    return names, nodes


def _gelu(view: View, node: Node) -> Node | None:
    if node.op != "Mul":
        return None
    names, parts = _factors(view, node)
    numbers = [value for value in map(view.number, names) if value is not None]
    values = [name for name in names if view.number(name) is None]
    if len(numbers) != 1 or len(values) != 2 or not isclose(numbers[0], 0.5, rel_tol=1e-6):
        return None
    for x, other in (values, values[::-1]):
        add = view.sole(other, "Add")
        pair = _with_number(view, add)
        if add is None or pair is None or not isclose(pair[1], 1.0, rel_tol=1e-6):
            continue
        erf = view.sole(pair[0], "Erf")
        scaled = view.sole(erf.inputs[0], "Div", "Mul") if erf is not None else None
        pair = _with_number(view, scaled)
        if erf is None or scaled is None or pair is None or pair[0] != x:
            continue
        factor = 1 / pair[1] if scaled.op == "Div" else pair[1]
        if isclose(factor, 1 / sqrt(2), rel_tol=1e-6) and view.graph.types[node.outputs[0]] == view.graph.types[x]:
            return _one("Gelu", x, [scaled, erf, add, *parts, node])
    return None


def _hard_swish(view: View, node: Node) -> Node | None:
    if node.op == "Mul":
        for x, other in (node.inputs, node.inputs[::-1]):
            gate = view.sole(other, "HardSigmoid")
            if gate is not None and gate.inputs[0] == x and _is_sixth(gate):
                return _one("HardSwish", x, [gate, node])
    names, parts = _factors(view, node) if node.op == "Mul" else ([], [])
    sixth = [name for name in names if _close(view.number(name), 1 / 6)]
    values = [name for name in names if view.number(name) is None]
    if node.op == "Div" and _close(view.number(node.inputs[1]), 6.0):
        inner = view.sole(node.inputs[0], "Mul")
        if inner is None:
            return None
        sixth, values, parts = [node.inputs[1]], list(inner.inputs), [inner]
        names = [*values, *sixth]
    if len(sixth) != 1 or len(values) != 2 or len(names) != 3:
        return None
    for x, other in (values, values[::-1]):
        clip = view.sole(other, "Clip")
        if clip is None or not _bounds(view, clip, 0.0, 6.0):
            continue
        add = view.sole(clip.inputs[0], "Add")
        pair = _with_number(view, add)
        if add is not None and pair is not None and pair[0] == x and _close(pair[1], 3.0):
            return _one("HardSwish", x, [add, clip, *parts, node])
    return None


def _swish(view: View, node: Node) -> Node | None:
    if node.op != "Mul":
        return None
    for x, other in (node.inputs, node.inputs[::-1]):
        gate = view.sole(other, "Sigmoid")
        if gate is not None and gate.inputs[0] == x:
            return _one("Swish", x, [gate, node], {"alpha": 1.0})
    return None


def _with_number(view: View, node: Node | None) -> tuple[str, float] | None:
    """The operands of a binary node of which one is a constant number; of Div the divisor."""
    if node is None:
        return None
    first, second = node.inputs
    value = view.number(second)
    if value is not None:
        return first, value
    value = view.number(first)
    return (second, value) if value is not None and node.op != "Div" else None


def _bounds(view: View, clip: Node, low: float, high: float) -> bool:
    if clip.version < 11:
        return clip.attributes.get("min") == low and clip.attributes.get("max") == high
    return len(clip.inputs) == 3 and view.number(clip.inputs[1]) == low and view.number(clip.inputs[2]) == high


def _is_sixth(gate: Node) -> bool:
    return _close(gate.attributes.get("alpha", 0.2), 1 / 6) and _close(gate.attributes.get("beta", 0.5), 0.5)


def _close(value: float | None, wanted: float) -> bool:
    return value is not None and isclose(value, wanted, rel_tol=1e-6)
