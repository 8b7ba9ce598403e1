"""Kernels that store elements as they load them, and the same kernels for elements of another type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tvm
import tvm_ffi
from tvm import s_tir, te, tirx
from tvm.ir import TensorLoad

from edgetvm.cost.loads import loads_in
from edgetvm.oracle.kernels import blocks_of

Code = Callable[[float], int]  # of a number that stands in a kernel


def stored_numbers(func: tirx.PrimFunc) -> list[float] | None:
    """The numbers that a kernel stores beside what it loads; None for one that does more than move elements.

    Raises UnreadableError for a kernel that `blocks_of` refuses.
    """
    numbers: list[float] = []

    def moves(value: Any) -> bool:
        if isinstance(value, TensorLoad):
            return _is_float(value) and not any(map(_reads_floats, value.indices))
        if isinstance(value, tirx.FloatImm):
            numbers.append(float(value.value))
            return True
        choice = _choice(value)
        return choice is not None and not _reads_floats(choice[0]) and moves(choice[1]) and moves(choice[2])

    return numbers if all(moves(block.body.value) for block in blocks_of(func)) else None


def _choice(value: Any) -> tuple[Any, Any, Any] | None:
    """Condition, and what is stored where it holds and where not."""
    if isinstance(value, tirx.Select):
        return value.condition, value.true_value, value.false_value
    if isinstance(value, tvm.ir.Call) and isinstance(value.op, tvm.ir.Op) and value.op.name.endswith("if_then_else"):
        return value.args[0], value.args[1], value.args[2]
    return None


def _is_float(expr: Any) -> bool:
    return str(expr.ty.dtype).startswith("float")


def _reads_floats(expr: Any) -> bool:
    return any(map(_is_float, loads_in(expr)))


def retyped(func: tirx.PrimFunc, dtype: str, code: Code) -> Callable[..., te.Tensor]:
    """The TE form of a kernel that moves floats, for elements of `dtype`."""

    def compute(*arguments: te.Tensor) -> te.Tensor:
        tensors: dict[Any, te.Tensor] = dict(zip(func.params, arguments, strict=False))
        for block in blocks_of(func):
            store = block.body
            shape = [tirx.const(int(extent), "int64") for extent in store.buffer.shape]
            element = _element(block, tensors, dtype, code)
            tensors[store.buffer] = te.compute(shape, element, name=str(block.name_hint))
        return tensors[func.params[-1]]

    return compute


def _element(block: s_tir.SBlock, tensors: Mapping[Any, te.Tensor], dtype: str, code: Code) -> Callable[..., Any]:
    def element(*index: Any) -> Any:
        axes = dict(zip([axis.var for axis in block.iter_vars], index, strict=True))

        def rebuilt(value: Any) -> Any:
            if isinstance(value, TensorLoad):
                return tensors[value.source](*map(plain, value.indices))
            if isinstance(value, tirx.FloatImm):
                return tirx.const(code(float(value.value)), dtype)
            condition, yes, no = _choice(value)  # type: ignore[misc]
            return tirx.if_then_else(plain(condition), rebuilt(yes), rebuilt(no))

        def plain(expr: Any) -> Any:
            placed = tvm_ffi.structural_map(expr, (tvm.ir.Var, lambda var: axes.get(var, var)))
            return tvm_ffi.structural_map(placed, (TensorLoad, lambda load: tensors[load.source](*load.indices)))

        return rebuilt(block.body.value)

    return element
