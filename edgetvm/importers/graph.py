"""The importer's own graph: flat, typed, every shape static."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

Array = npt.NDArray[Any]

# Element types that kernels can hold. Others may appear in constants only, and must fold away.
DTYPES = frozenset(
    ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
)
LARGEST_TENSOR = 1 << 28  # elements
FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Tensor:
    """Type of a value: element type by its numpy name, and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Node:
    """One operator application. Inputs and outputs are value names, "" where one is left out.

    ``version`` is the opset in force at the node; ``sources`` are the ONNX nodes it stands for.
    """

    op: str
    domain: str
    version: int
    name: str
    sources: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def operator(self) -> str:
        return f"{self.domain}.{self.op}" if self.domain else self.op


@dataclass
class Graph:
    """Nodes in topological order over named values."""

    inputs: list[str] = field(default_factory=list)
    outputs: list[tuple[str, str]] = field(default_factory=list)  # the model's name, the value
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    types: dict[str, Tensor] = field(default_factory=dict)


class RefusedError(Exception):
    """Raised where a node cannot be compiled, with the reason."""


def dtype_name(elem_type: int) -> str:
    """Numpy name of an ONNX element type (``bfloat16`` and the like as ml_dtypes names them)."""
    if elem_type == onnx.TensorProto.STRING:
        return "string"
    if elem_type not in onnx.TensorProto.DataType.values() or elem_type == onnx.TensorProto.UNDEFINED:
        return "undefined"
    return str(onnx.helper.tensor_dtype_to_np_dtype(elem_type).name)


def elem_type(dtype: str) -> int:
    """Inverse of `dtype_name`, for the element types that kernels can hold."""
    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def array_type(array: Array) -> Tensor:
    """Type of a constant."""
    dtype = "string" if array.dtype.kind in "OUS" else array.dtype.name
    return Tensor(dtype, tuple(int(d) for d in array.shape))
