"""Run a flat graph, or a part of it, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnxruntime

from edgetvm.importers.export import export_graph
from edgetvm.importers.graph import Graph, Node
from edgetvm.oracle.dataset import Array


class Session:
    """Computes `outputs` from `inputs`, values of `graph`; both keep their order."""

    def __init__(
        self, graph: Graph, nodes: Sequence[Node], inputs: Sequence[str], outputs: Sequence[str], threads: int = 0
    ) -> None:
        part = replace(graph, inputs=list(inputs), outputs=[(name, name) for name in outputs], nodes=list(nodes))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        # Nothing that changes numbers: a rewrite of quantize and dequantize would hide what they do.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.inputs, self.outputs = list(inputs), list(outputs)
        self._session = onnxruntime.InferenceSession(
            export_graph(part, "part").SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def run(self, values: dict[str, Array]) -> dict[str, Array]:
        """The outputs by name."""
        results = self._session.run(self.outputs, {name: values[name] for name in self.inputs})
        return dict(zip(self.outputs, results, strict=True))
