"""The figure of a flat graph on labelled data, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgetvm.errors import DataError
from edgetvm.importers.graph import Graph
from edgetvm.oracle.dataset import Array, Dataset
from edgetvm.passes.quantize.session import Session
from edgetvm.report.evaluate import check_labels, figure, sample_value

METRICS = ("top1", "auc")
BETTER = 1e-9  # rounding of a mean


@dataclass(frozen=True)
class Judge:
    """What a graph is judged by: labelled data, a metric of `METRICS`, and the output that is scored."""

    data: Dataset
    metric: str
    labels: Array | None
    output: str

    def value(self, graph: Graph) -> float:
        """The figure of a graph with these inputs and outputs, over all of the data."""
        values = [*self._values(graph)]
        return figure(self.metric, self._means(values), self.labels)

    def holds(self, graph: Graph, limit: float) -> bool:
        """Whether the figure is `limit` at least; top-1 stops at the first sample too many that is wrong."""
        if self.metric != "top1" or self.labels is None:
            return self.value(graph) >= limit - BETTER
        wrong = 0
        for value, label in zip(self._values(graph), self.labels, strict=True):
            wrong += value != label
            if 1 - wrong / self.data.count < limit - BETTER:
                return False
        return True

    def _values(self, graph: Graph) -> Iterator[float]:
        value = dict(graph.outputs)[self.output]
        session = Session(graph, graph.nodes, graph.inputs, [value])
        for index, sample in enumerate(self.data):
            given = sample[graph.inputs[0]]
            wanted = None if self.labels is None else self.labels[index // self.data.windows]
            yield sample_value(self.metric, given, session.run(sample)[value], wanted, self.output)

    def _means(self, values: list[float]) -> Array:
        """One number a labelled sample: the mean over its windows."""
        means: Array = np.asarray(values, np.float64).reshape(self.data.count, self.data.windows).mean(axis=1)
        return means


def judge(data: Dataset, graph: Graph, metric: str, output: str | None = None) -> Judge:
    """A judge of `graph` and what is made of it. Raises DataError without labels, or with labels that do not fit."""
    if metric not in METRICS:
        raise DataError(f"unknown metric '{metric}'", hint="metrics are " + ", ".join(METRICS))
    names = dict(graph.outputs)
    name = output or graph.outputs[0][0]
    if name not in names:
        raise DataError(f"the model has no output '{name}'", hint="its outputs are " + ", ".join(names))
    return Judge(data, metric, check_labels(data, metric, graph.types[names[name]].shape), name)
