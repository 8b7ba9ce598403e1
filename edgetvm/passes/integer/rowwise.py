"""Softmax and layer norm of quantized tensors: operators of rows, which requantize inside."""

from __future__ import annotations

import math

import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.operators.fixed_point import multiplier_and_shift
from edgetvm.operators.softmax import PROBABILITY_BITS, powers
from edgetvm.operators.softmax import softmax as softmax_rows
from edgetvm.passes.integer.context import Context, constant, dtype_of, shape_of
from edgetvm.passes.integer.real import Goal, Nodes, Pending, Quantized, Value


def softmax(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """Softmax along any axis of 8-bit codes."""
    (x,) = operands
    if not isinstance(x, Quantized) or dtype_of(x.expr) != "int8":
        return None
    table = constant(powers(x.scale), "int32")
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
