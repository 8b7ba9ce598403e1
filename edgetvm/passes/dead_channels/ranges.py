"""What every integer tensor of a graph can hold, whatever the input: intervals, operator by operator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.operators import convolve, lookup, prelu, reduce_sum, requantize, scaled_sum, window_sum
from edgetvm.oracle.integer import OWN
from edgetvm.passes.dead_channels.intervals import (
    Array,
    Interval,
    corners,
    exactly,
    fits,
    picked,
    products,
    whole,
)
from edgetvm.passes.integer.calls import name_of, tensors
from edgetvm.passes.integer.context import dtype_of, shape_of

LARGEST = 1 << 31  # of operands: no product of two leaves int64

Ranges = Mapping[relax.Var, Interval]
Rule = Callable[[tvm.ir.Call, Sequence[Interval]], Interval]


def ranges_of(func: relax.Function) -> dict[relax.Var, Interval]:
    """The interval of every tensor of integers; whole where an operator is not known here."""
    found: dict[relax.Var, Interval] = {p: whole(dtype_of(p), len(shape_of(p))) for p in func.params if _integers(p)}
    for block in func.body.blocks:
        for binding in block.bindings:
            if _integers(binding.var):
                found[binding.var] = _range(binding.value, found)
    return found


def _range(expr: Expr, found: Ranges) -> Interval:
    anything = whole(dtype_of(expr), len(shape_of(expr)))
    if isinstance(expr, relax.Var):
        return found[expr]
    rule = RULES.get(name_of(expr))
    operands = [field for argument in expr.args for field in tensors(argument)] if rule else []
    if rule is None or not all(map(_integers, operands)):
        return anything
    intervals = [_operand(operand, found) for operand in operands]
    if max(int(np.abs(side).max()) for x in intervals for side in (x.low, x.high)) > LARGEST:
        return anything
    interval = rule(expr, intervals)
    return interval.compressed() if fits(interval, dtype_of(expr)) else anything


def _operand(expr: Expr, found: Ranges) -> Interval:
    return exactly(expr.value.numpy()) if isinstance(expr, tvm.ir.GenericConst) else found[expr]


def _integers(expr: Expr) -> bool:
    return isinstance(expr.ty, relax.TensorType) and dtype_of(expr).startswith("int")


def _corners(meaning: Callable[..., Array]) -> Rule:
    return lambda _, operands: corners(meaning, operands)


def _own(call: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    meaning = OWN[name_of(call)]
    return corners(lambda *values: meaning(values, call.attrs), operands)


def _clip(call: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    low, high = (int(argument.value) for argument in call.args[1:3])
    return operands[0].moved(lambda side: side.clip(low, high))


def _prelu(call: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    """Monotone on either side of the zero point."""
    x, negative = operands
    zero = int(call.attrs["zero"])
    below = Interval(x.low, np.minimum(x.high, np.maximum(x.low, zero)))
    above = Interval(np.maximum(x.low, np.minimum(x.high, zero)), x.high)
    parts = [_own(call, [part, negative]) for part in (below, above)]
    return Interval(np.minimum(*(part.low for part in parts)), np.maximum(*(part.high for part in parts)))


def _lookup(_: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    return picked(operands[0], operands[1].low)


def _convolve(call: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    x, weights = operands[0].along(3), operands[1].low
    if any(int(side) for side in call.attrs["padding"]):
        x = x.with_value(int(call.attrs["pad_value"]))
    flat = weights.reshape(-1, *weights.shape[2:])
    return products(x, flat, int(call.attrs["groups"])).moved(lambda side: side.reshape(1, 1, 1, -1))


def _matmul(call: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    rank = len(shape_of(call))
    if not isinstance(call.args[1], tvm.ir.GenericConst) or operands[1].low.ndim != 2:
        return whole(dtype_of(call), rank)
    sums = products(operands[0].along(operands[0].low.ndim - 1), operands[1].low[None], 1)
    return sums.moved(lambda side: side.reshape([1] * (rank - 1) + [-1]))


def _window_sum(call: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    count = math.prod(int(size) for size in call.attrs["window"])
    x = operands[0].along(3)
    if any(int(side) for side in call.attrs["padding"]):
        x = x.with_value(int(call.attrs["pad_value"]))
    return x.moved(lambda side: side.reshape(1, 1, 1, -1) * count)


def _reduce_sum(call: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    shape = shape_of(call.args[0])
    axes = tuple(int(axis) for axis in call.attrs["axes"])
    keepdims = bool(int(call.attrs["keepdims"]))

    def total(side: Array) -> Array:
        repeats = math.prod(shape[axis] for axis in axes if side.shape[axis] == 1)
        return np.asarray(side.sum(axes, keepdims=keepdims) * repeats)

    return operands[0].moved(total)


def _max_pool(_: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    return operands[0].along(3).moved(lambda side: side.reshape(1, 1, 1, -1))


def _permute(call: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    axes = None if call.attrs.axes is None else [int(axis) for axis in call.attrs.axes]
    return operands[0].moved(lambda side: side.transpose(axes))


def _reshape(call: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    old, new = shape_of(call.args[0]), shape_of(call)
    return operands[0].moved(lambda side: np.broadcast_to(side, old).reshape(new))


def _concat(call: tvm.ir.Call, operands: Sequence[Interval]) -> Interval:
    axis = int(call.attrs.axis) % len(shape_of(call))
    shapes = [shape_of(field) for field in call.args[0].fields]

    def joined(sides: Sequence[Array]) -> Array:
        return np.concatenate([np.broadcast_to(side, shape) for side, shape in zip(sides, shapes, strict=True)], axis)

    return Interval(joined([x.low for x in operands]), joined([x.high for x in operands]))


RULES: Mapping[str, Rule] = {
    "relax.add": _corners(np.add),
    "relax.subtract": _corners(np.subtract),
    "relax.multiply": _corners(np.multiply),
    "relax.maximum": _corners(np.maximum),
    "relax.minimum": _corners(np.minimum),
    "relax.astype": _corners(np.asarray),
    "relax.clip": _clip,
    "relax.concat": _concat,
    "relax.matmul": _matmul,
    "relax.nn.max_pool2d": _max_pool,
    "relax.permute_dims": _permute,
    "relax.reshape": _reshape,
    convolve.NAME: _convolve,
    lookup.NAME: _lookup,
    prelu.NAME: _prelu,
    reduce_sum.NAME: _reduce_sum,
    requantize.NAME: _own,
    scaled_sum.NAME: _own,
    window_sum.NAME: _window_sum,
}
