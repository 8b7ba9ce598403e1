"""An ONNX model -> a Relax module."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx

from edgetvm.errors import ModelError, UnsupportedError

from .control import add_initializers
from .convert import identifier
from .converters import CONVERTERS
from .emit import emit_module
from .flatten import Flattener
from .fold_affine import fold_affine
from .fold_pad import fold_pad
from .freeze import freeze_inputs
from .graph import DTYPES, Graph, RefusedError, Tensor, dtype_name
from .load import load_model
from .recognise import recognise
from .rewrite import drop_dead
from .scope import UNKNOWN, Scope, subgraphs
from .types import ImportedModel, Refusal, TensorInfo
from .unfold_operators import is_quantized_operator


def import_onnx(path: Path, shapes: Mapping[str, Sequence[int]] = {}) -> ImportedModel:
    """Read the model at `path` and turn it into a Relax module, its dynamic dimensions frozen by `shapes`.

    Raises `ModelError` for a file that is no usable model, and `UnsupportedError` naming every
    node that cannot be compiled.
    """
    path = Path(path)
    return imported(path, *read_graph(path, shapes))


def imported(path: Path, graph: Graph, refusals: Sequence[Refusal]) -> ImportedModel:
    """The Relax module of a flat graph; raises `UnsupportedError` if anything was refused, here or before."""
    module, sources, more = emit_module(graph, CONVERTERS)
    if refusals or more:
        raise unsupported(path, [*refusals, *more])
    inputs, outputs = interface(graph)
    return ImportedModel(module, inputs, outputs, identifier(path.stem), sources)


def read_graph(path: Path, shapes: Mapping[str, Sequence[int]]) -> tuple[Graph, list[Refusal]]:
    """The flat graph of the model, cleaned, and the nodes that cannot be part of it.

    With a refusal the graph holds what could be read, uncleaned, and lacks the outputs that depend
    on what is refused.
    """
    return flatten_model(path, load_model(path), shapes)


def flatten_model(
    path: Path, model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], unknown: Collection[str] = ()
) -> tuple[Graph, list[Refusal]]:
    """The same for a model that came from `path`; it lacks the values `unknown`, whose makers were refused before."""
    _check_values(path, model.graph)
    inputs, refusals = freeze_inputs(path.name, model.graph, shapes)
    declared = {} if shapes else _declared_types(model.graph)
    flattener = Flattener(CONVERTERS, declared, keep_dequantize=_quantizes(model.graph))
    opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
    scope = Scope(dict.fromkeys((*unknown, *(refusal.node for refusal in refusals)), UNKNOWN), opsets)
    graph = flattener.graph
    for name, type_ in inputs.items():
        scope.names[name] = flattener.fresh(name)
        graph.inputs.append(scope.names[name])
        graph.types[scope.names[name]] = type_
    outputs = [value.name for value in model.graph.output]
    try:
        add_initializers(flattener, model.graph, scope)
        flattener.walk(model.graph.node, outputs, scope)
        results = [scope.resolve(name) for name in outputs]
    except RefusedError as refused:
        raise ModelError(f"{path.name}: {refused}") from refused
    refusals += flattener.refusals
    for name, result in zip(outputs, results, strict=True):
        if result in graph.types and graph.types[result].dtype in DTYPES and graph.types[result].size:
            graph.outputs.append((name, result))
        elif result != UNKNOWN:
            refusals.append(Refusal(name, "output", _why_no_output(graph.types.get(result))))
    if not refusals and not unknown:
        clean(graph)
    return graph, refusals


def clean(graph: Graph) -> None:
    """Rewrite the flat graph to fewer and simpler nodes."""
    drop_dead(graph)
    recognise(graph)
    fold_affine(graph)
    fold_pad(graph)


def _why_no_output(type_: Tensor | None) -> str:
    if type_ is None:
        return "it has no name"
    if type_.dtype not in DTYPES:
        return f"element type {type_.dtype} is not supported"
    return f"a tensor of shape {list(type_.shape)} is empty"


def interface(graph: Graph) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Inputs and outputs under the model's own names."""
    inputs = tuple(TensorInfo(n, graph.types[n].shape, graph.types[n].dtype) for n in graph.inputs)
    outputs = tuple(
        TensorInfo(name, graph.types[value].shape, graph.types[value].dtype) for name, value in graph.outputs
    )
    return inputs, outputs


def unsupported(path: Path, refusals: Sequence[Refusal]) -> UnsupportedError:
    """One error for all refused nodes: the first in the message, the others in the hint."""
    lines = [f"{r.node} ({r.operator}): {' '.join(r.reason.split())}" for r in refusals]
    count = "1 node" if len(lines) == 1 else f"{len(lines)} nodes"
    return UnsupportedError(f"{path.name}: {count} cannot be compiled: {lines[0]}", hint="\n".join(lines[1:]) or None)


def _check_values(path: Path, graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        if tensor.data_type not in (1, 10, 11, 16):
            continue
        try:
            array = onnx.numpy_helper.to_array(tensor)
        except Exception as error:  # bad sizes surface as several classes
            raise ModelError(f"{path.name}: initializer '{tensor.name}' is damaged: {error}") from error
        bad = int(np.isnan(array).sum())
        if bad:
            raise ModelError(
                f"{path.name}: initializer '{tensor.name}' holds {bad} NaN of {array.size} values",
                hint="the training diverged, or the file is damaged",
            )


def _quantizes(graph: onnx.GraphProto) -> bool:
    """Whether activations are quantized, and not weights stored in few bytes alone."""
    return any(
        is_quantized_operator(node) or any(_quantizes(inner) for inner in subgraphs(node)) for node in graph.node
    )


def _declared_types(graph: onnx.GraphProto) -> dict[str, Tensor]:
    """Types that the model declares in full for its outputs and inner values."""
    declared = {}
    for value in [*graph.value_info, *graph.output]:
        tensor = value.type.tensor_type
        dims = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
        if value.type.HasField("tensor_type") and tensor.HasField("shape") and all(d >= 0 for d in dims):
            declared[value.name] = Tensor(dtype_name(tensor.elem_type), tuple(dims))
    return declared
