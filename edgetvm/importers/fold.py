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
_LARGE = 1 << 16  # elements
# How weights are stored and brought into shape: numpy does these at once, for every element type.
_WINDOWED = ("Conv", "Pool", "Resize", "Upsample", "Col2Im", "RoiAlign", "GridSample", "LRN", "LSTM", "GRU", "RNN")
_QUICK = ("Cast", "Concat", "DequantizeLinear", "Reshape", "Slice", "Transpose", "Unsqueeze")


def evaluate(
    node: onnx.NodeProto, inputs: dict[str, Array], opset_imports: Sequence[onnx.OperatorSetIdProto]
) -> list[Array] | None:
    """Outputs of `node` by ONNX's reference implementation or ONNX Runtime; None if neither has an answer.

    Such a node is left to the kernels, or refused by them. So is a layer with a window: what runs
    over a window of a size that the model chose may take forever.
    """
    if any(part in node.op_type for part in _WINDOWED):
        return None
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
    large = sum(np.asarray(value).size for value in inputs.values()) > _LARGE
    # The reference loops in Python over the elements of some operators, and lacks old versions of others.
    ways = [_by_reference, _by_runtime]
    if large:
        ways = [_by_runtime, _by_reference] if node.op_type in _QUICK else [_by_runtime]
    for way in ways:
        outputs = way(model, inputs)
        if outputs is not None:
            return outputs
    return None


def _by_reference(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array] | None:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return _arrays(list(ReferenceEvaluator(model).run(None, inputs)))
    except Exception:  # many classes, for what it lacks and for what is wrong with the node
        return None


def _by_runtime(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array] | None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    model.ir_version = min(model.ir_version, _RUNTIME_IR_VERSION)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return _arrays(session.run(None, {name: np.asarray(value) for name, value in inputs.items()}))
    except Exception:
        return None


def _arrays(outputs: Sequence[object]) -> list[Array] | None:
    """The outputs if all are tensors."""
    if not all(isinstance(output, np.ndarray | np.generic) for output in outputs):
        return None
    return [np.asarray(output) for output in outputs]
