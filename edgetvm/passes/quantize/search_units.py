"""The parts of a quantized graph that can be quantized or not: each becomes one kernel."""

from __future__ import annotations

from dataclasses import dataclass

from edgetvm.importers.graph import Graph, Node

from .places import Places, is_move, operands


@dataclass(frozen=True, eq=False)
class Unit:
    """A node that computes, and the bias or activation that lives in its kernel.

    reads    the activations that it computes with
    output   its result
    """

    nodes: tuple[Node, ...]
    reads: tuple[str, ...]
    output: str

    @property
    def name(self) -> str:
        """The name of its first node."""
        return self.nodes[0].name

    @property
    def operator(self) -> str:
        return self.nodes[0].operator

    @property
    def names(self) -> frozenset[str]:
        """The names of its nodes, as ``float_nodes`` and ``int16_nodes`` take them."""
        return frozenset(node.name for node in self.nodes)


def find_units(graph: Graph, places: Places) -> list[Unit]:
    """Every unit of the nodes that `places` makes integer, in order. Nodes that only move numbers are no units."""
    users = {name: node for node in graph.nodes for name in node.inputs}
    taken: set[int] = set()
    units = []
    for node in graph.nodes:
        if node.outputs[0] not in places.nodes or id(node) in taken or is_move(node):
            continue
        nodes = [node]
        while nodes[-1].outputs[0] not in places.group:  # it lives inside the kernel of its only reader
            nodes.append(users[nodes[-1].outputs[0]])
        taken.update(id(inner) for inner in nodes)
        inside = {inner.outputs[0] for inner in nodes}
        reads = dict.fromkeys(value for inner in nodes for value in operands(graph, inner) if value not in inside)
        units.append(Unit(tuple(nodes), tuple(reads), nodes[-1].outputs[0]))
    return units
