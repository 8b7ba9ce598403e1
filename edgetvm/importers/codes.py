"""Operands of 8 bits that are constant or known at run time: what is constant is computed at import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from edgetvm.operators.reduce_sum import reduce_sum

from .convert import Call
from .graph import Array, RefusedError
from .te_kernel import kernel

Operand: TypeAlias = Array | Expr

_HALF = 128  # of the range of uint8


def codes_and_zero(call: Call, operand: int, zero: int, axis: int) -> tuple[Operand, Operand | None]:
    """Input `operand` and its zero point, at input `zero`, in int32; None where that is 0.

    A vector of zero points goes along `axis`. Constant codes that fit int8 without their zero point lose it.
    """
    codes, value = call.value(operand), call.value(zero)
    if call.has(zero) and call.type(zero).dtype != call.type(operand).dtype:
        name = call.node.inputs[zero]
        raise RefusedError(f"its zero point '{name}' is {call.type(zero).dtype}, not {call.type(operand).dtype}")
    given: Operand = call.x(operand) if codes is None else codes
    if not call.has(zero) or (value is not None and not value.any()):
        return given, None
    if value is None:
        return given, call.emit(relax.op.astype(call.x(zero), "int32"))
    shift = value.astype(np.int32)
    if codes is None:
        return given, shift
    vector = shift.ndim == 1 and shift.size > 1
    along = shift.reshape([-1 if d == axis % codes.ndim else 1 for d in range(codes.ndim)]) if vector else shift
    rest = codes.astype(np.int32) - along
    if rest.shape == codes.shape and rest.min(initial=0) >= -128 and rest.max(initial=0) <= 127:
        return rest.astype(np.int8), None
    return codes, shift


def made_signed(call: Call, index: int, zero: Operand | None) -> tuple[Operand, Operand]:
    """uint8 codes that are known at run time, and their zero point, both less 128: kernels multiply int8."""

    def less(codes: te.Tensor) -> te.Tensor:
        def element(*place: Any) -> Any:
            return (codes(*place).astype("int16") - tirx.const(_HALF, "int16")).astype("int8")

        return kernel(codes.shape, element, name="signed")

    codes = call.once("signed", index, lambda: call.te(less, call.x(index), name="signed"))
    return codes, _combined(
        call, np.subtract, np.zeros((), np.int32) if zero is None else zero, np.array(_HALF, np.int32)
    )


def less_zero_points(
    call: Call,
    acc: Expr,
    depth: int,
    zeros: tuple[Operand | None, Operand | None],
    sums: tuple[Callable[[], Operand], Callable[[], Operand]],
) -> Expr:
    """``sum (a - p)(b - q)`` of `depth` products from `acc` = ``sum a b``, p and q, and the sums of a and of b."""
    p, q = zeros
    if p is not None:
        rest = sums[1]()
        if q is not None:
            rest = _combined(call, np.subtract, rest, _combined(call, np.multiply, q, np.array(depth, np.int32)))
        acc = call.emit(relax.op.subtract(acc, expression(call, _combined(call, np.multiply, p, rest))))
    if q is not None:
        acc = call.emit(relax.op.subtract(acc, expression(call, _combined(call, np.multiply, sums[0](), q))))
    return acc


def _combined(call: Call, function: np.ufunc, a: Operand, b: Operand) -> Operand:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.asarray(function(a, b), np.int32)
    return call.emit(getattr(relax.op, function.__name__)(expression(call, a), expression(call, b)))


def summed(call: Call, codes: Operand, axis: int) -> Operand:
    """int32 sums along an axis, which stays as one of length 1."""
    if isinstance(codes, np.ndarray):
        return np.asarray(codes.sum(axis, keepdims=True, dtype=np.int32))
    return call.emit(reduce_sum(codes, axes=[axis % len(shape_of(codes))], keepdims=True, dtype="int32"))


def reshaped(call: Call, codes: Operand, shape: tuple[int, ...]) -> Operand:
    """The same elements in the same order."""
    if isinstance(codes, np.ndarray):
        return codes.reshape(shape)
    return codes if shape_of(codes) == shape else call.emit(relax.op.reshape(codes, shape))


def permuted(call: Call, codes: Operand, axes: list[int]) -> Operand:
    """The axes in another order."""
    return codes.transpose(axes) if isinstance(codes, np.ndarray) else call.emit(relax.op.permute_dims(codes, axes))


def expression(call: Call, codes: Operand) -> Expr:
    """The operand in Relax."""
    return call.constant(codes) if isinstance(codes, np.ndarray) else codes


def shape_of(codes: Operand) -> tuple[int, ...]:
    """The static shape."""
    return tuple(int(extent) for extent in (codes.shape if isinstance(codes, np.ndarray) else codes.ty.shape))


def dtype_of(codes: Operand) -> str:
    """The element type."""
    return str(codes.dtype if isinstance(codes, np.ndarray) else codes.ty.dtype)
