"""A graph cut into the parts that compute one value after another, each from what the parts before left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edgetvm.importers.graph import Graph, Node
from edgetvm.oracle.dataset import Array

from .session import Session


@dataclass
class Segment:
    """nodes, in order; what they read of earlier segments; what they leave; what later segments still need of all."""

    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    alive: frozenset[str] = frozenset()


def cut(graph: Graph, targets: Sequence[str]) -> list[Segment]:
    """One segment for each of `targets`, in topological order, which computes it.

    Dequantized activations never cross a border: a segment repeats the DequantizeLinear, and the integers cross.
    """
    producers = {output: node for node in graph.nodes for output in node.outputs if output}
    order = {id(node): index for index, node in enumerate(graph.nodes)}
    done: set[int] = set()
    available = set(graph.inputs)
    segments = []
    for target in targets:
        segment = Segment()
        taken: set[int] = set()
        pending = [target]
        while pending:
            value = pending.pop()
            if not value or value in graph.constants:
                continue
            if value in available:
                if value not in segment.inputs:
                    segment.inputs.append(value)
                continue
            node = producers[value]
            if id(node) not in taken:
                taken.add(id(node))
                segment.nodes.append(node)
                pending += node.inputs
        segment.nodes.sort(key=lambda node: order[id(node)])
        done |= {id(node) for node in segment.nodes}
        needed = {target} | {
            _stored(graph, producers, name) for node in graph.nodes if id(node) not in done for name in node.inputs
        }
        made = [output for node in segment.nodes for output in node.outputs if output]
        segment.outputs = [value for value in made if value in needed and not _is_dequantized(graph, producers, value)]
        available |= set(segment.outputs)
        segments.append(segment)
    for segment, later in zip(segments, _later_inputs(segments), strict=True):
        segment.alive = later
    return segments


def run_segments(graph: Graph, segments: Sequence[Segment], samples: list[dict[str, Array]]) -> Iterator[None]:
    """Step through the segments; after each step every sample holds its target and what is still needed.

    The values lie in `samples`, which at first hold the graph's inputs. A segment takes the graph's constants
    as they are when its turn comes.
    """
    for segment in segments:
        session = Session(graph, segment.nodes, segment.inputs, segment.outputs) if segment.outputs else None
        for values in samples:
            if session is not None:
                values.update(session.run(values))
            for name in set(values) - segment.alive - {*segment.outputs, *segment.inputs}:
                del values[name]
        yield
        for values in samples:
            for name in set(values) - segment.alive:
                del values[name]


def peak_bytes(graph: Graph, segments: Sequence[Segment]) -> int:
    """The most that one sample holds at a time."""
    sizes = {"float32": 4, "int64": 8, "int32": 4, "int16": 2, "int8": 1}
    peak, made = 0, set(graph.inputs)
    for segment in segments:
        made.update(segment.outputs)
        held = {*(segment.alive & made), *segment.inputs, *segment.outputs}
        peak = max(peak, sum(graph.types[v].size * sizes.get(graph.types[v].dtype, 8) for v in held))
    return peak


def _later_inputs(segments: Sequence[Segment]) -> list[frozenset[str]]:
    found: list[frozenset[str]] = []
    needed: frozenset[str] = frozenset()
    for segment in reversed(segments):
        found.append(needed)
        needed |= frozenset(segment.inputs)
    return found[::-1]


def _is_dequantized(graph: Graph, producers: dict[str, Node], value: str) -> bool:
    node = producers.get(value)
    return node is not None and node.op == "DequantizeLinear" and node.inputs[0] not in graph.constants


def _stored(graph: Graph, producers: dict[str, Node], value: str) -> str:
    """What crosses a border for `value`."""
    return producers[value].inputs[0] if _is_dequantized(graph, producers, value) else value
