"""Softmax and layer norm of quantized tensors: operators of rows, which requantize inside."""

from __future__ import annotations

import math

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.operators.fixed_point import multiplier_and_shift
from edgetvm.operators.layer_norm import NORMAL_BITS, SQUARE_BITS
from edgetvm.operators.layer_norm import layer_norm as normalize_rows
from edgetvm.operators.softmax import PROBABILITY_BITS, powers
from edgetvm.operators.softmax import softmax as softmax_rows
from edgetvm.passes.integer.context import Context, constant, dtype_of, shape_of
from edgetvm.passes.integer.real import Constant, Goal, Nodes, Pending, Quantized, Value

# Of layer norm: with these the sum of product and offset fits 64 bits, and an offset that is cut still saturates.
_FACTOR_BITS = 30
_LARGEST_SHIFT = 40
_LONGEST_ROW = 1 << 16


def softmax(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """Softmax along any axis."""
    (x,) = operands
    if not isinstance(x, Quantized):
        return None
    table = constant(powers(x.scale, dtype_of(x.expr)), "int32")
    axis = int(call.attrs.axis)

    def emit(goal: Goal, nodes: Nodes) -> Expr:
        multiplier, shift = multiplier_and_shift(2.0**-PROBABILITY_BITS / goal.scale)
        scaled = {"multiplier": multiplier, "shift": shift, "zero_point": goal.zero}
        rows = as_rows(context, x.expr, axis)
        result = softmax_rows(rows, table, **scaled, low=goal.low, high=goal.high, dtype=goal.dtype)
        return from_rows(context, context.emit(result, nodes), shape_of(x.expr), axis)

    return Pending(emit, (*x.nodes, *context.nodes))


def as_rows(context: Context, x: Expr, axis: int) -> Expr:
    """`x` as [rows, elements along `axis`]."""
    shape = shape_of(x)
    order = _axis_last(len(shape), axis)
    if order != sorted(order):
        x = context.emit(relax.op.permute_dims(x, order), ())
    length = shape[order[-1]]
    return context.emit(relax.op.reshape(x, [math.prod(shape) // length, length]), ())


def from_rows(context: Context, rows: Expr, shape: tuple[int, ...], axis: int) -> Expr:
    """The inverse of `as_rows`."""
    order = _axis_last(len(shape), axis)
    x = context.emit(relax.op.reshape(rows, [shape[place] for place in order]), ())
    if order == sorted(order):
        return x
    return context.emit(relax.op.permute_dims(x, [order.index(place) for place in range(len(shape))]), ())


def _axis_last(rank: int, axis: int) -> list[int]:
    return [place for place in range(rank) if place != axis % rank] + [axis % rank]


def layer_norm(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """Layer normalization over the trailing axes, with constant scale and shift."""
    x, gamma, beta = operands
    if not isinstance(x, Quantized) or not isinstance(gamma, Constant) or not isinstance(beta, Constant):
        return None
    shape = shape_of(x.expr)
    axes = sorted(int(axis) % len(shape) for axis in call.attrs.axes)
    if axes != list(range(len(shape) - len(axes), len(shape))):
        return None
    length = math.prod(shape[axis] for axis in axes)
    bits = (30 if dtype_of(x.expr) == "int16" else 14) + 2 * (length - 1).bit_length()
    ratio = float(call.attrs.epsilon) * (length / x.scale) ** 2
    # The fraction's bits that W leaves free, to its own sum of V and E.
    fraction = (SQUARE_BITS - 2 - max(bits, math.frexp(ratio)[1])) // 2
    if fraction < 0 or length >= _LONGEST_ROW:
        return None
    epsilon = max(round(math.ldexp(ratio, 2 * fraction)), 1)
    factors = gamma.values.astype(np.float64).reshape(-1) if call.attrs.scale else np.ones(length)
    offsets = beta.values.astype(np.float64).reshape(-1) if call.attrs.center else np.zeros(length)

    def emit(goal: Goal, nodes: Nodes) -> Expr:
        largest = float(np.abs(factors).max()) / goal.scale
        spare = _FACTOR_BITS + NORMAL_BITS - (math.frexp(largest)[1] if largest else 0)
        shift = min(spare, _LARGEST_SHIFT)
        if shift < 1:
            raise ValueError(f"the factor {largest} is not below 2^{_FACTOR_BITS + NORMAL_BITS - 1}")
        scaled = np.rint(np.ldexp(factors / goal.scale, shift - NORMAL_BITS)).astype(np.int64)
        fixed = np.rint(np.ldexp(offsets / goal.scale, shift)) + ((goal.zero << shift) + (1 << (shift - 1)))
        # Beyond this every result saturates, whatever is added to it.
        fixed = np.clip(fixed, -(2.0**61), 2.0**61).astype(np.int64)
        rows = context.emit(relax.op.reshape(x.expr, [math.prod(shape) // length, length]), ())
        result = normalize_rows(
            rows,
            constant(scaled, "int32"),
            constant(fixed, "int64"),
            fraction=fraction,
            epsilon=epsilon,
            shift=shift,
            low=goal.low,
            high=goal.high,
            dtype=goal.dtype,
        )
        return context.emit(relax.op.reshape(context.emit(result, nodes), shape), ())

    return Pending(emit, (*x.nodes, *context.nodes))
