"""Names: what a name inside a graph, a branch or a function body stands for in the flat graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import onnx

from .graph import RefusedError

UNKNOWN = "?"  # stands for a value that a refused node should have produced


@dataclass(frozen=True)
class Scope:
    """Where a list of nodes lies: what its names mean, its opsets, and whom its nodes came from.

    ``path`` prefixes node names inside branches and function bodies; ``sources`` is empty at
    the top level, where every node is its own source.
    """

    names: dict[str, str]
    opsets: Mapping[str, int]
    path: str = ""
    sources: tuple[str, ...] = ()

    def nested(self, path: str, sources: tuple[str, ...]) -> Scope:
        """A branch of this scope: sees its names, keeps its own to itself."""
        return replace(self, names=dict(self.names), path=path, sources=sources)

    def resolve(self, name: str) -> str:
        """The flat graph's name of `name`."""
        if name == "":
            return ""
        if name not in self.names:
            raise RefusedError(f"reads '{name}', which nothing before it produces")
        return self.names[name]


def needed_nodes(nodes: Iterable[onnx.NodeProto], outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """The nodes that `outputs` depend on, in their order."""
    wanted = set(outputs)
    kept = []
    for node in reversed(list(nodes)):
        if wanted.isdisjoint(name for name in node.output if name):
            continue
        wanted.update(reads(node))
        kept.append(node)
    return kept[::-1]


def reads(node: onnx.NodeProto) -> set[str]:
    """Names that a node reads, those that its subgraphs capture included."""
    names = {name for name in node.input if name}
    for graph in subgraphs(node):
        local = {value.name for value in graph.input} | {t.name for t in graph.initializer}
        for inner in graph.node:
            names |= reads(inner) - local
            local.update(inner.output)
        names |= {value.name for value in graph.output} - local
    return names


def subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Graphs among the attributes of a node."""
    found = []
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            found.append(attribute.g)
        found.extend(attribute.graphs)
    return found
