"""An ONNX file -> a checked ModelProto with local functions inlined."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.external_data_helper
import onnx.inliner
from google.protobuf.message import DecodeError

from edgetvm.errors import ModelError

MINIMUM_OPSET = 7
NEWEST_OPSET = onnx.defs.onnx_opset_version()


def load_model(path: Path) -> onnx.ModelProto:
    """Read `path`, its external data too, and refuse what is no usable ONNX model."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path.name}: cannot be read: {error.strerror or error}") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise ModelError(
            f"{path.name}: not an ONNX model, or truncated ({len(data)} bytes)",
            hint="the file must be an ONNX protobuf, as written by onnx.save",
        ) from error
    if not model.HasField("graph") or not model.opset_import or not model.graph.output:
        raise ModelError(f"{path.name}: not an ONNX model: it has no graph with outputs and opset")
    _check_text(path.name, model.graph)
    _check_opset(path.name, model)
    _load_external_data(path, model)
    if model.functions:
        try:
            model = onnx.inliner.inline_local_functions(model, True)
        except Exception as error:  # the inliner throws bare RuntimeError and conversion errors
            raise ModelError(f"{path.name}: its local functions cannot be inlined: {error}") from error
    return model


def _check_text(name: str, graph: onnx.GraphProto) -> None:
    """Names are UTF-8: protobuf lets others pass, as bytes or as an error when they are read."""
    try:
        texts: list[object] = [tensor.name for tensor in graph.initializer]
        for value in (*graph.input, *graph.output, *graph.value_info):
            texts += [value.name, *(dim.dim_param for dim in value.type.tensor_type.shape.dim)]
        for node in graph.node:
            texts += [node.name, node.op_type, node.domain, *node.input, *node.output]
            texts += [attribute.name for attribute in node.attribute]
        damaged = not all(isinstance(text, str) for text in texts)
    except UnicodeDecodeError:
        damaged = True
    if damaged:
        raise ModelError(f"{name}: a name in it is not UTF-8 text", hint="the file is damaged: export it again")


def _check_opset(name: str, model: onnx.ModelProto) -> None:
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            continue
        if opset.version < MINIMUM_OPSET:
            raise ModelError(
                f"{name}: uses opset {opset.version}; the oldest supported is {MINIMUM_OPSET}",
                hint="convert it with onnx.version_converter",
            )
        if opset.version > NEWEST_OPSET:
            raise ModelError(
                f"{name}: uses opset {opset.version}; the newest supported is {NEWEST_OPSET}",
                hint="export it with an older opset, or install a newer onnx",
            )


def _load_external_data(path: Path, model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if not onnx.external_data_helper.uses_external_data(tensor):
            continue
        try:
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
        except Exception as error:  # missing, outside the folder, too short: several classes
            raise ModelError(
                f"{path.name}: external data of initializer '{tensor.name}' cannot be read: {error}",
                hint="keep the model's data files in the folder that it was saved to",
            ) from error
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
