"""Static shapes of the model's inputs, from the file and from `--shape`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from edgetvm.errors import ModelError

from .graph import DTYPES, LARGEST_TENSOR, RefusedError, Tensor, dtype_name
from .types import Refusal


def runtime_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Inputs that are not merely the declaration of an initializer."""
    constants = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def freeze_inputs(
    file: str, graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int]]
) -> tuple[dict[str, Tensor], list[Refusal]]:
    """Type of every run-time input by name; those that no kernel can take are refused instead."""
    values = runtime_inputs(graph)
    names = [value.name for value in values]
    for name in shapes:
        if name not in names:
            raise ModelError(f"{file}: no input named '{name}'", hint=f"inputs: {', '.join(names)}")
    types: dict[str, Tensor] = {}
    refusals = []
    for value in values:
        try:
            types[value.name] = _freeze(file, value, shapes.get(value.name))
        except RefusedError as refused:
            refusals.append(Refusal(value.name, "input", str(refused)))
    return types, refusals


def _freeze(file: str, value: onnx.ValueInfoProto, given: Sequence[int] | None) -> Tensor:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise RefusedError(f"it is of kind {(kind or 'unknown').removesuffix('_type')}, not a tensor")
    tensor = value.type.tensor_type
    dtype = dtype_name(tensor.elem_type)
    if dtype not in DTYPES:
        raise RefusedError(f"element type {dtype} is not supported")
    declared = list(tensor.shape.dim) if tensor.HasField("shape") else None
    if declared is None and given is None:
        raise ModelError(f"{file}: input '{value.name}' has no shape", hint=f"give it: --shape {value.name}=1,...")
    if declared is not None and given is not None and len(declared) != len(given):
        raise ModelError(
            f"{file}: input '{value.name}' has {len(declared)} dimensions, the shape given has {len(given)}"
        )
    if declared is None:
        dims = [int(dim) for dim in given or ()]
    else:
        dims = [_dimension(file, value, index, given) for index in range(len(declared))]
    for index, dim in enumerate(dims):
        if dim <= 0:
            raise ModelError(f"{file}: dimension {index} of input '{value.name}' is {dim}; it must be at least 1")
    type_ = Tensor(dtype, tuple(dims))
    if type_.size > LARGEST_TENSOR:
        raise ModelError(f"{file}: input '{value.name}' of shape {dims} is too large")
    return type_


def _dimension(file: str, value: onnx.ValueInfoProto, index: int, given: Sequence[int] | None) -> int:
    dims = value.type.tensor_type.shape.dim
    dim = dims[index]
    fixed: int | None = dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else None
    if given is not None:
        if fixed is not None and fixed != given[index]:
            raise ModelError(
                f"{file}: dimension {index} of input '{value.name}' is {fixed}, the shape given has {given[index]}"
            )
        return int(given[index])
    if fixed is None:
        label = f" ('{dim.dim_param}')" if dim.dim_param else ""
        example = ",".join(str(d.dim_value if d.dim_value > 0 else 1) for d in dims)
        raise ModelError(
            f"{file}: dimension {index}{label} of input '{value.name}' is dynamic",
            hint=f"freeze it, for example: --shape {value.name}={example}",
        )
    return fixed
