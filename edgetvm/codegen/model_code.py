"""All that the C text of a model is made from, and how C names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgetvm.codegen.lower import LoweredKernel
from edgetvm.codegen.memory import MemoryPlan, Place
from edgetvm.codegen.program import Program, Value
from edgetvm.errors import UnsupportedError
from edgetvm.target.types import Variant

# Storage in C and name in edgetvm.h of every element type that a model's border may have.
C_TYPES = {
    "bool": ("bool", "EDGETVM_BOOL"),
    "int8": ("int8_t", "EDGETVM_INT8"),
    "uint8": ("uint8_t", "EDGETVM_UINT8"),
    "int16": ("int16_t", "EDGETVM_INT16"),
    "uint16": ("uint16_t", "EDGETVM_UINT16"),
    "int32": ("int32_t", "EDGETVM_INT32"),
    "uint32": ("uint32_t", "EDGETVM_UINT32"),
    "int64": ("int64_t", "EDGETVM_INT64"),
    "uint64": ("uint64_t", "EDGETVM_UINT64"),
    "float16": ("uint16_t", "EDGETVM_FLOAT16"),
    "float32": ("float", "EDGETVM_FLOAT32"),
    "float64": ("double", "EDGETVM_FLOAT64"),
}


@dataclass(frozen=True)
class Border:
    """An input or output as the user sees it: the model's own name, shape and dtype, and where it may lie.

    Of quantized integers ``scale * (code - zero_point)`` is the number that a code stands for.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    place: Place
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class VariantCode:
    """What replaces kernels of a model on cores that have `variant`.

    `kernels` are its own; `names` maps each kernel that is replaced to its own or an earlier variant's.
    """

    variant: Variant
    kernels: tuple[LoweredKernel, ...]
    names: Mapping[str, str]


@dataclass(frozen=True)
class ModelCode:
    """All that the C text of one model is made from."""

    name: str
    program: Program
    plan: MemoryPlan
    kernels: tuple[LoweredKernel, ...]
    inputs: tuple[Border, ...]
    outputs: tuple[Border, ...]
    arena_align: int
    variants: tuple[VariantCode, ...] = ()

    @property
    def all_kernels(self) -> tuple[LoweredKernel, ...]:
        """Those of every core."""
        return (*self.kernels, *(kernel for variant in self.variants for kernel in variant.kernels))

    def kernel(self, name: str) -> LoweredKernel:
        return next(kernel for kernel in self.all_kernels if kernel.name == name)


def c_type(dtype: str) -> str:
    """The C type that stores one element."""
    if dtype not in C_TYPES:
        raise UnsupportedError(f"element type {dtype} has no C type")
    return C_TYPES[dtype][0]


def check_types(values: Sequence[Value]) -> None:
    """Raise UnsupportedError for an element type that C cannot hold."""
    for value in values:
        c_type(value.dtype)


def weight_symbol(code: ModelCode, value: Value) -> str:
    """The C name of a constant."""
    return f"{code.name}_{value.name}"


def kernel_prototype(code: ModelCode, kernel: LoweredKernel) -> str:
    """`void NAME(const float *a, ..., float *out, ..., scratch)` in C."""
    replaced = {own: name for variant in code.variants for name, own in variant.names.items()}
    name = replaced.get(kernel.name, kernel.name)
    call = next(call for call in code.program.calls if call.kernel == name)
    values = code.program.values
    types = [f"const {c_type(values[i].dtype)} *" for i in call.inputs]
    types += [f"{c_type(values[i].dtype)} *" for i in call.outputs]
    types += [f"{c_type(dtype)} *" for dtype in kernel.workspace_types]
    arguments = ", ".join(f"{ctype}p{i}" for i, ctype in enumerate(types))
    return f"{'int32_t' if kernel.returns_status else 'void'} {kernel.name}({arguments})"
