"""What the quantization of one part costs the outputs, all else in float.

What lies before the part is computed once, in float, and kept: a candidate runs only from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgetvm.importers.graph import Graph, Node
from edgetvm.oracle.dataset import Array, Dataset

from .places import FIXED, is_move
from .session import Session

Progress = Callable[[str, int, int], None]  # (what, done, total)

_KEPT = 256 << 20  # bytes of float values held at a time
_PAIR = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class Damage:
    """Errors of the outputs: SQNR in dB of the worst output, and the largest error of any.

    noise  over signal, of the worst output: what adds up over independent causes
    """

    noise: float
    max_abs: float

    @property
    def sqnr_db(self) -> float:
        """Infinite without noise."""
        return decibels(self.noise)


def decibels(noise: float) -> float:
    """Signal to noise in dB from noise over signal."""
    return float("inf") if noise <= 0 else float(-10 * np.log10(noise))


def some(data: Dataset, most: int) -> Dataset:
    """At most so many samples, evenly chosen."""
    count = min(most, len(data))
    return Dataset(data.source, count, lambda i: data.fetch(i * len(data) // count))


def measured_values(graph: Graph) -> list[str]:
    """What an error is measured at: the outputs, or what goes into a softmax or sigmoid before them.

    Probabilities of a right and a wrong answer look alike where the function saturates; their logits do not.
    """
    producers = {value: node for node in graph.nodes for value in node.outputs if value}
    found = []
    for _, value in graph.outputs:
        node = producers.get(value)
        while node is not None and (is_move(node) or node.op in FIXED) and node.inputs[0] in producers:
            value = node.inputs[0]
            node = producers[value]
        found.append(value)
    return [value for value in dict.fromkeys(found) if value in producers]


def dequantized(graph: Graph, value: str) -> str:
    """What the readers of `value` get: behind its pair if it has one."""
    codes = {node.inputs[0]: node.outputs[0] for node in graph.nodes if node.op == "QuantizeLinear"}
    real = {node.inputs[0]: node.outputs[0] for node in graph.nodes if node.op == "DequantizeLinear"}
    return real.get(codes.get(value, ""), value)


def damages(
    graph: Graph, candidates: Mapping[str, Graph], data: Dataset, progress: Progress | None = None
) -> dict[str, Damage]:
    """The damage that each candidate, the float `graph` with some of it quantized, does on `data`."""
    values = measured_values(graph)
    parts = {name: _changed(graph, candidate) for name, candidate in candidates.items()}
    needed = dict.fromkeys([*values, *(value for _, inputs in parts.values() for value in inputs)])
    computed = [value for value in needed if value not in graph.inputs]
    session = Session(graph, graph.nodes, graph.inputs, computed)
    held = sum(4 * graph.types[value].size for value in computed)
    chunk = max(1, _KEPT // max(1, held))
    errors = {name: _Errors(values) for name in candidates}
    for start in range(0, len(data), chunk):
        samples = [data.fetch(index) for index in range(start, min(start + chunk, len(data)))]
        floats = [{**sample, **session.run(sample)} for sample in samples]
        for number, (name, candidate) in enumerate(candidates.items()):
            nodes, inputs = parts[name]
            made = {value for node in nodes for value in node.outputs}
            outputs = {value: out for value in values if (out := dequantized(candidate, value)) in made}
            if not outputs:
                continue
            part = Session(candidate, nodes, inputs, list(dict.fromkeys(outputs.values())))
            for known in floats:
                results = part.run(known)
                errors[name].add({v: (known[v], results[out]) for v, out in outputs.items()})
            if progress is not None:
                progress("layers", start * len(candidates) + (number + 1) * len(samples), len(data) * len(candidates))
        for error in errors.values():
            error.count(floats)
    return {name: error.damage() for name, error in errors.items()}


class Reference:
    """The float `graph` on `data`: its values are computed once, for any number of quantized graphs."""

    def __init__(self, graph: Graph, data: Dataset) -> None:
        self.graph, self.data = graph, data
        self.values = measured_values(graph)
        session = Session(graph, graph.nodes, graph.inputs, self.values)
        self.known = [session.run(sample) for sample in data]

    def damage(self, quantized: Graph) -> Damage:
        """The damage of a graph in which anything may be quantized."""
        outputs = {value: dequantized(quantized, value) for value in self.values}
        session = Session(quantized, quantized.nodes, quantized.inputs, list(dict.fromkeys(outputs.values())))
        errors = _Errors(self.values)
        errors.count(self.known)
        for sample, known in zip(self.data, self.known, strict=True):
            results = session.run(sample)
            errors.add({value: (known[value], results[out]) for value, out in outputs.items()})
        return errors.damage()


class _Errors:
    def __init__(self, values: Sequence[str]) -> None:
        self.signal = dict.fromkeys(values, 0.0)
        self.noise = dict.fromkeys(values, 0.0)
        self.largest = 0.0

    def count(self, floats: Sequence[Mapping[str, Array]]) -> None:
        for value in self.signal:
            self.signal[value] += sum(float((known[value].astype(np.float64) ** 2).sum()) for known in floats)

    def add(self, pairs: Mapping[str, tuple[Array, Array]]) -> None:
        for value, (wanted, got) in pairs.items():
            error = got.astype(np.float64) - wanted.astype(np.float64)
            self.noise[value] += float((error**2).sum())
            self.largest = max(self.largest, float(np.abs(error).max(initial=0.0)))

    def damage(self) -> Damage:
        ratios = [self.noise[v] / max(self.signal[v], 1e-30) for v in self.signal]
        return Damage(max(ratios, default=0.0), self.largest)


def _changed(graph: Graph, candidate: Graph) -> tuple[list[Node], list[str]]:
    """The nodes of `candidate` whose values may differ from `graph`'s, and the values of `graph` that they read."""
    before = {node.outputs[0]: node.inputs for node in graph.nodes}
    changed: set[str] = set()
    nodes = []
    for node in candidate.nodes:
        if node.op in _PAIR or before.get(node.outputs[0]) != node.inputs or not changed.isdisjoint(node.inputs):
            nodes.append(node)
            changed.update(node.outputs)
    inputs = [v for node in nodes for v in node.inputs if v and v not in changed and v not in candidate.constants]
    return nodes, list(dict.fromkeys(inputs))
