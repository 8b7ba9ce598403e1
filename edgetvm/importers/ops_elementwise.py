"""Operators that work element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tvm import relax
from tvm.ir import Expr

from .convert import Call, Converter


def unary(operator: Callable[[Expr], Expr]) -> Converter:
    """A converter of a one-to-one operator."""
    return lambda call: operator(call.x())


def binary(operator: Callable[[Expr, Expr], Expr]) -> Converter:
    """A converter of a broadcasting operator of two operands."""
    return lambda call: operator(operand(call, 0, 1), operand(call, 1, 0))


def operand(call: Call, index: int, other: int) -> Expr:
    """Input `index`; a constant of one element becomes a scalar, which kernels hold as an immediate."""
    value = call.value(index)
    if value is not None and value.size == 1 and call.out().shape == call.type(other).shape:
        if value.dtype != np.uint64:  # immediates are int64
            return call.constant(value.reshape(()))
    return call.x(index)


def cast(call: Call) -> Expr:
    """Cast between numbers and bool."""
    return relax.op.astype(call.x(), call.out().dtype)


def clip(call: Call) -> Expr:
    """Clip with constant bounds to one clip."""
    if call.node.version < 11:
        low, high = call.attr("min"), call.attr("max")
    else:
        low = call.need(1, "lower bound").reshape(-1)[0].item() if call.has(1) else None
        high = call.need(2, "upper bound").reshape(-1)[0].item() if call.has(2) else None
    dtype = call.out().dtype
    info = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    low = float(info.min) if low is None else low
    high = float(info.max) if high is None else high
    return relax.op.clip(call.x(), low, high)
