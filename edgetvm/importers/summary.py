"""What a model consists of, and what in it cannot be compiled, without compiling it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .convert import identifier
from .converters import CONVERTERS
from .emit import emit_module
from .graph import Graph
from .macs import macs
from .onnx import interface
from .read import read_model
from .types import ModelSummary, NodeSummary


def summarize(path: Path, shapes: Mapping[str, Sequence[int]] = {}) -> ModelSummary:
    """Nodes of the cleaned graph with their costs, and every unsupported node at once."""
    path = Path(path)
    graph, refusals = read_model(path, shapes)
    _, _, more = emit_module(graph, CONVERTERS)
    inputs, outputs = interface(graph)
    nodes = _nodes(graph)
    return ModelSummary(
        identifier(path.stem),
        inputs,
        outputs,
        nodes,
        (*refusals, *more),
        sum(node.macs for node in nodes),
        sum(node.parameters for node in nodes),
        sum(graph.constants[name].nbytes for name in _used(graph)),
    )


def _nodes(graph: Graph) -> tuple[NodeSummary, ...]:
    """A constant that several nodes share counts for the first of them."""
    nodes = []
    counted: set[str] = set()
    for node in graph.nodes:
        own = {name for name in node.inputs if name in graph.constants} - counted
        counted |= own
        shapes = tuple(graph.types[name].shape for name in node.outputs if name)
        parameters = sum(graph.constants[name].size for name in own)
        nodes.append(NodeSummary(node.name, node.operator, shapes, macs(node, graph.types), parameters))
    return tuple(nodes)


def _used(graph: Graph) -> set[str]:
    return {name for node in graph.nodes for name in node.inputs if name in graph.constants}
