"""Evaluate a node whose inputs are all constant."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from .graph import Array


def evaluate(
    node: onnx.NodeProto, inputs: dict[str, Array], opset_imports: Sequence[onnx.OperatorSetIdProto]
) -> list[Array] | None:
    """Outputs of `node` by ONNX's reference implementation; None if it has no answer."""
    graph = onnx.helper.make_graph(
        [node],
        "fold",
        [onnx.ValueInfoProto(name=name) for name in inputs],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
    )
    model = onnx.helper.make_model(graph, opset_imports=opset_imports)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            outputs = ReferenceEvaluator(model).run(None, inputs)
    except Exception:  # whatever it cannot evaluate is left to the kernels, or refused by them
        return None
    if not all(isinstance(output, np.ndarray | np.generic) for output in outputs):
        return None
    return [np.asarray(output) for output in outputs]
