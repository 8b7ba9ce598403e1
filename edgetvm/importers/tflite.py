"""A .tflite model -> ONNX in QDQ form, and from there the road of every ONNX model.

TensorFlow Lite states the arithmetic of its quantized operators by the real numbers that their
integers stand for (https://ai.google.dev/edge/litert/models/quantization_spec): each becomes
DequantizeLinear, the float operator, its activation, QuantizeLinear. Operators that copy what is
stored (reshape, pad, maximum pool) keep the scale of their input, as the kernels do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import onnx
from onnx import helper

from edgetvm.errors import ModelError

from .graph import DTYPES, Graph, RefusedError, Tensor, elem_type
from .onnx import flatten_model, unsupported
from .tflite_call import Nodes, TfliteCall, check_tensor
from .tflite_converters import TFLITE_CONVERTERS
from .tflite_file import TfliteModel, TfliteOperator, TfliteTensor, read_tflite_file
from .types import Refusal

OPSET = 21  # the first that quantizes to int16
IR_VERSION = 10


def read_tflite(path: Path, shapes: Mapping[str, Sequence[int]]) -> tuple[Graph, list[Refusal]]:
    """The flat graph of the model, cleaned, and the operators that cannot be part of it. Sources are named CONV_2D_3.

    Raises `ModelError` for a file that is no usable model.
    """
    model = read_tflite_file(path)
    _check_shapes(path.name, model, shapes)
    proto, refusals = _convert(path.stem, model)
    graph, more = flatten_model(path, proto, {}, unknown=_unknown(model, refusals))
    refusals += more
    if not refusals:
        refusals += _mismatches(model, graph)
    graph.nodes = [
        replace(node, sources=tuple(dict.fromkeys(source.split("/")[0] for source in node.sources)))
        for node in graph.nodes
    ]
    return graph, refusals


def tflite_to_onnx(path: Path) -> onnx.ModelProto:
    """The model at `path` as ONNX in QDQ form, inputs and outputs as the file has them.

    Raises `ModelError` for a file that is no usable model, `UnsupportedError` naming every refused operator.
    """
    path = Path(path)
    model = read_tflite_file(path)
    _check_shapes(path.name, model, {})
    proto, refusals = _convert(path.stem, model)
    if refusals:
        raise unsupported(path, refusals)
    return proto


def _convert(name: str, model: TfliteModel) -> tuple[onnx.ModelProto, list[Refusal]]:
    nodes = Nodes(model)
    refusals = []
    written = set(model.inputs)
    for operator in model.operators:
        reason = _convert_operator(nodes, operator, written)
        if reason is not None:
            refusals.append(Refusal(operator.name, operator.kind, reason))
    for index in model.outputs:
        nodes.stored(index)
    graph = helper.make_graph(
        nodes.nodes,
        name,
        [_value(model.tensors[index]) for index in model.inputs],
        [_value(model.tensors[index]) for index in model.outputs],
        list(nodes.initializers.values()),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION), refusals


def _convert_operator(nodes: Nodes, operator: TfliteOperator, written: set[int]) -> str | None:
    """Append the nodes of one operator; gives the reason if it is refused."""
    before = len(nodes.nodes)
    try:
        converter = TFLITE_CONVERTERS.get(operator.kind)
        if converter is None:
            raise RefusedError("the operator is not supported")
        for index in (*operator.inputs, *operator.outputs):
            if index >= 0:
                check_tensor(nodes.model.tensors[index])
        for index in operator.outputs:
            if index in written or (index >= 0 and nodes.model.tensors[index].data is not None):
                raise RefusedError(f"it writes '{nodes.model.tensors[index].name}', which has a value already")
        converter(TfliteCall(nodes, operator))
    except RefusedError as refused:
        reason = str(refused)
    except Exception as error:  # what a malformed operator breaks, in the flatbuffer or here, refuses that operator
        reason = f"it is malformed: {error!r}"
    else:
        written.update(operator.outputs)
        return None
    made = {output for node in nodes.nodes[before:] for output in node.output}
    nodes.reals = {index: name for index, name in nodes.reals.items() if name not in made}
    del nodes.nodes[before:]
    return reason


def _check_shapes(file: str, model: TfliteModel, shapes: Mapping[str, Sequence[int]]) -> None:
    """The inputs are tensors that kernels can hold, of the shape that is asked for: the file fixes every shape."""
    inputs = {model.tensors[index].name: model.tensors[index] for index in model.inputs}
    for name, shape in shapes.items():
        if name not in inputs:
            raise ModelError(f"{file}: no input named '{name}'", hint=f"inputs: {', '.join(inputs)}")
        if tuple(shape) != inputs[name].shape:
            raise ModelError(
                f"{file}: input '{name}' has the shape {list(inputs[name].shape)}, the shape given is {list(shape)}",
                hint="a .tflite file fixes its shapes: convert the model again with others",
            )
    for name, tensor in inputs.items():
        if min(tensor.shape, default=1) < 1:
            raise ModelError(
                f"{file}: input '{name}' has the dynamic shape {list(tensor.shape)}",
                hint="convert the model again with a fixed shape",
            )


def _unknown(model: TfliteModel, refusals: Sequence[Refusal]) -> set[str]:
    """Tensors that refused operators should have written."""
    refused = {refusal.node for refusal in refusals}
    return {
        model.tensors[index].name
        for operator in model.operators
        if operator.name in refused
        for index in operator.outputs
        if index >= 0
    }


def _mismatches(model: TfliteModel, graph: Graph) -> list[Refusal]:
    """Operators whose output is not what the file says: refuse, never miscompile."""
    refusals = []
    for operator in model.operators:
        for tensor in (model.tensors[index] for index in operator.outputs if index >= 0):
            found = graph.types.get(tensor.name)
            if found is not None and found != Tensor(tensor.dtype, tensor.shape):
                reason = (
                    f"its output '{tensor.name}' works out to {found.dtype}{list(found.shape)} "
                    f"where the file has {tensor.dtype}{list(tensor.shape)}"
                )
                refusals.append(Refusal(operator.name, operator.kind, reason))
    return refusals


def _value(tensor: TfliteTensor) -> onnx.ValueInfoProto:
    kind = elem_type(tensor.dtype) if tensor.dtype in DTYPES else onnx.TensorProto.UNDEFINED
    return helper.make_tensor_value_info(tensor.name, kind, tensor.shape)
