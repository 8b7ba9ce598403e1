"""Evaluate a node whose inputs are all constant."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from .graph import Array

_RUNTIME_IR_VERSION = 10  # what every ONNX Runtime of the last years reads


def evaluate(
    node: onnx.NodeProto, inputs: dict[str, Array], opset_imports: Sequence[onnx.OperatorSetIdProto]
) -> list[Array] | None:
    """Outputs of `node` by ONNX's reference implementation or ONNX Runtime; None if neither has an answer."""
    graph = onnx.helper.make_graph(
        [node],
        "fold",
        [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype), np.asarray(value).shape
            )
            for name, value in inputs.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
    )
    model = onnx.helper.make_model(graph, opset_imports=opset_imports)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            outputs = ReferenceEvaluator(model).run(None, inputs)
    except Exception:  # it lacks the older versions of some operators
        outputs = _by_runtime(model, inputs)
    if not all(isinstance(output, np.ndarray | np.generic) for output in outputs):
        return None
    return [np.asarray(output) for output in outputs]


def _by_runtime(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[object]:
    """The same by ONNX Runtime; [None] where it fails too: such a node is left to the kernels, or refused by them."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    model.ir_version = min(model.ir_version, _RUNTIME_IR_VERSION)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return list(session.run(None, {name: np.asarray(value) for name, value in inputs.items()}))
    except Exception:
        return [None]
