"""Which integers a model's index inputs may hold: as many as the table they look up has rows."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgetvm.errors import EdgeTVMError, ModelError
from edgetvm.importers.tflite import tflite_to_onnx
from edgetvm.importers.tflite_file import is_tflite

# Operators through which an index reaches its Gather unchanged.
_PASS = {"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Expand", "Slice"}


def index_ranges(model: Path) -> dict[str, tuple[float, float]]:
    """The inclusive interval of every graph input that indexes a Gather of known extent."""
    try:
        given = tflite_to_onnx(model) if is_tflite(model) else onnx.load(str(model), load_external_data=False)
        proto = onnx.shape_inference.infer_shapes(given)
    except EdgeTVMError:
        raise
    except Exception as error:  # onnx raises protobuf's, its own and plain exceptions alike
        raise ModelError(f"{model} cannot be read as ONNX: {error}") from error
    graph = proto.graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input):
        shapes.setdefault(value.name, [d.dim_value for d in value.type.tensor_type.shape.dim])
    origin = {value.name: value.name for value in graph.input}
    found: dict[str, tuple[float, float]] = {}
    for node in graph.node:
        if node.op_type in _PASS and node.input[0] in origin:
            origin[node.output[0]] = origin[node.input[0]]
        elif node.op_type == "Gather" and node.input[1] in origin:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            shape = shapes.get(node.input[0], [])
            if -len(shape) <= axis < len(shape) and shape[axis] > 0:
                name, top = origin[node.input[1]], float(shape[axis] - 1)
                found[name] = (0.0, min(top, found.get(name, (0.0, top))[1]))
    return found
