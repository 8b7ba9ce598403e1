"""Looking around in a flat graph, and replacing nodes in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .graph import Array, Graph, Node, array_type


class View:
    """Who makes and who uses each value; made anew after each rewrite."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.producers = {output: node for node in graph.nodes for output in node.outputs if output}
        self.uses = Counter(name for node in graph.nodes for name in node.inputs if name)
        self.uses.update(value for _, value in graph.outputs)

    def producer(self, name: str, *operators: str) -> Node | None:
        """The node that makes `name`, if it is one of these operators of the default domain."""
        node = self.producers.get(name)
        return node if node is not None and node.op in operators and not node.domain else None

    def sole(self, name: str, *operators: str) -> Node | None:
        """The same, if `name` has no other use."""
        return self.producer(name, *operators) if self.uses[name] == 1 else None

    def number(self, name: str) -> float | None:
        """The value of a constant of one element."""
        array = self.graph.constants.get(name)
        return (
            float(array.reshape(-1)[0]) if array is not None and array.size == 1 and array.dtype.kind in "fiu" else None
        )


def replace_nodes(graph: Graph, replacements: dict[int, Node], removed: Iterable[Node]) -> None:
    """Swap nodes, by the identity of the old one, and drop others."""
    gone = {id(node) for node in removed}
    graph.nodes = [replacements.get(id(node), node) for node in graph.nodes if id(node) not in gone]


def drop_dead(graph: Graph) -> None:
    """Remove what no output needs."""
    wanted = {value for _, value in graph.outputs}
    kept = []
    for node in reversed(graph.nodes):
        if not wanted.isdisjoint(name for name in node.outputs if name):
            kept.append(node)
            wanted.update(node.inputs)
    graph.nodes = kept[::-1]
    graph.constants = {name: array for name, array in graph.constants.items() if name in wanted}


def new_constant(graph: Graph, hint: str, array: Array) -> str:
    """Add a constant under a name not yet taken."""
    name, count = hint, 0
    while name in graph.types:
        count += 1
        name = f"{hint}_{count}"
    graph.constants[name] = array
    graph.types[name] = array_type(array)
    return name
