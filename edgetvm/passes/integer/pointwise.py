"""Elementwise operators of quantized tensors: clips, sums, products, and tables for everything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.operators.lookup import CODES
from edgetvm.passes.integer.context import Context, Handler, constant, dtype_of, joined, shape_of
from edgetvm.passes.integer.emit import as_sum, quantized
from edgetvm.passes.integer.real import (
    INFINITE,
    Accumulated,
    Constant,
    Floats,
    Goal,
    Lazy,
    Nodes,
    Pending,
    Quantized,
    Sum,
    Table,
    Term,
    Value,
    clipped,
)

Function = Callable[[Floats], Floats]
# Beyond this the sums of a convolution and its bias no longer fit int32.
_INT32 = 1 << 31


def clip(low: float, high: float) -> Handler:
    """A handler of ``clip(x, low, high)``."""

    def handle(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
        del call
        return clip_value(context, operands[0], low, high)

    return handle


def clip_by_attributes(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """`relax.clip`."""
    bounds = [arg.value for arg in call.args[1:]]
    return clip_value(context, operands[0], float(bounds[0]), float(bounds[1]))


def extreme(largest: bool) -> Handler:
    """A handler of `maximum` or `minimum` with a number."""

    def handle(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
        x, limit = operands if isinstance(operands[1], Constant) else reversed(operands)
        if isinstance(x, Lazy) and isinstance(limit, Lazy):
            return _extreme_of_two(context, call, [x, limit])
        if not isinstance(limit, Constant) or limit.values.size != 1:
            return None
        number = float(limit.values.reshape(()))
        return clip_value(context, x, *((number, INFINITE) if largest else (-INFINITE, number)))

    return handle


def _extreme_of_two(context: Context, call: tvm.ir.Call, operands: list[Lazy]) -> Value:
    """Rounding keeps order: the extreme of two tensors has the extreme of their codes."""

    def emit(goal: Goal, nodes: Nodes) -> Expr:
        codes = [quantized(context, operand, goal) for operand in operands]
        return context.emit(relax.Call(call.op, codes), nodes)

    return Pending(emit, joined([*(operand.nodes for operand in operands), context.nodes]))


def clip_value(context: Context, x: Value, low: float, high: float) -> Value | None:
    """``clip(x, low, high)``: nothing, if the codes of `x` reach no further; else kept for the codes to come."""
    match x:
        case Quantized(expr, scale, zero):
            info = np.iinfo(dtype_of(expr))
            if scale * (info.min - zero) >= low and scale * (info.max - zero) <= high:
                return x
            return replace(clipped(as_sum(x), low, high), nodes=(*x.nodes, *context.nodes))
        case Accumulated() | Sum() | Pending():
            return replace(clipped(x, low, high), nodes=(*x.nodes, *context.nodes))
        case Table(expr, values):
            return Table(expr, np.asarray(np.clip(values, low, high), np.float64), (*x.nodes, *context.nodes))
    return None


def table(function: Function) -> Handler:
    """A handler of an operator that computes `function` of each element."""

    def handle(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
        del call
        values = table_of(operands[0])
        if values is None:
            return None
        with np.errstate(all="ignore"):
            results = np.asarray(function(values.values), np.float64)
        # The code that stands for no finite result would be arbitrary.
        return None if np.isnan(results).any() else Table(values.expr, results, (*values.nodes, *context.nodes))

    return handle


def table_of(value: Value) -> Table | None:
    """The numbers that the codes of one 8-bit tensor stand for."""
    if isinstance(value, Table):
        return value
    if not isinstance(value, Quantized) or dtype_of(value.expr) != "int8":
        return None
    codes = np.arange(CODES) - CODES // 2
    # In single precision, as the model has them: a function may jump between two neighbours.
    numbers = (value.scale * (codes - value.zero)).astype(np.float32).astype(np.float64)
    return Table(value.expr, numbers, value.nodes)


def add(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """Sum of two tensors, or of a tensor and constants: a bias joins the accumulators."""
    return _add(context, call, operands, 1.0)


def subtract(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """Difference."""
    return _add(context, call, operands, -1.0)


def _add(context: Context, call: tvm.ir.Call, operands: list[Value], sign: float) -> Value | None:
    a, b = operands
    rank = len(call.ty.shape)
    if isinstance(a, Accumulated) and isinstance(b, Constant) and shape_of(a.expr) == shape_of(call):
        return _bias(context, a, b, sign, rank)
    if isinstance(b, Accumulated) and isinstance(a, Constant) and sign > 0 and shape_of(b.expr) == shape_of(call):
        return _bias(context, b, a, 1.0, rank)
    same = _of_same_codes(context, operands, np.add if sign > 0 else np.subtract)
    if same is not None:
        return same
    sides = [_scaled(operand, factor, rank) for operand, factor in ((a, 1.0), (b, sign))]
    if None in sides or all(isinstance(operand, Constant) for operand in operands):
        return None
    terms = [term for side in sides if side is not None for term in side.terms]
    offset = sum((side.constant for side in sides if side is not None), np.zeros((1,) * rank))
    nodes = joined([*(side.nodes for side in sides if side is not None), context.nodes])
    return Sum(tuple(terms), np.asarray(offset), nodes)


def _bias(context: Context, acc: Accumulated, bias: Constant, sign: float, rank: int) -> Accumulated | None:
    if (acc.low, acc.high) != (-INFINITE, INFINITE) or not acc.scale.all():
        return None
    values = sign * bias.values.reshape([1] * (rank - bias.values.ndim) + list(bias.values.shape))
    steps = np.rint(values / acc.scale)
    if not np.isfinite(steps).all() or np.abs(steps).max(initial=0) >= 1 << 40:
        return None
    expr, bound = acc.expr, acc.bound + int(np.abs(steps).max(initial=0))
    if bound >= _INT32 and dtype_of(expr) == "int32":
        expr = context.emit(relax.op.astype(expr, "int64"))
    offset = acc.offset + steps.astype(np.int64)
    return replace(acc, expr=expr, offset=offset, bound=bound, nodes=(*acc.nodes, *context.nodes))


def multiply(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """Product of two tensors, or of a tensor and constants: those join its scale."""
    a, b = operands
    same = _of_same_codes(context, operands, np.multiply)
    if same is not None:
        return same
    if isinstance(a, Constant) or isinstance(b, Constant):
        factor, x = (a, b) if isinstance(a, Constant) else (b, a)
        return _times(context, x, factor, call) if isinstance(factor, Constant) else None
    if not isinstance(a, Quantized) or not isinstance(b, Quantized):
        return None
    reach = [_reach(side) for side in (a, b)]
    bound = reach[0] * reach[1]
    dtype = "int32" if bound < _INT32 else "int64"
    sides = []
    for side in (a, b):
        wide = context.emit(relax.op.astype(side.expr, dtype))
        zero = constant(np.asarray(side.zero), dtype)
        sides.append(context.emit(relax.op.subtract(wide, zero)) if side.zero else wide)
    acc = context.emit(relax.op.multiply(*sides))
    ones = (1,) * len(acc.ty.shape)
    scale = np.full(ones, a.scale * b.scale)
    return Accumulated(acc, scale, np.zeros(ones, np.int64), bound, (*a.nodes, *b.nodes, *context.nodes))


def _reach(x: Quantized) -> int:
    """How far a code can lie from the zero point."""
    info = np.iinfo(dtype_of(x.expr))
    return max(abs(int(info.min) - x.zero), abs(int(info.max) - x.zero))


def divide(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """Quotient by constants, or of constants by a tensor."""
    a, b = operands
    if isinstance(b, Constant) and b.values.all():
        return multiply(context, call, [a, Constant(1.0 / b.values)])
    return _of_same_codes(context, operands, np.divide)


def _times(context: Context, x: Value, factor: Constant, call: tvm.ir.Call) -> Value | None:
    rank = len(call.ty.shape)
    nodes = (*getattr(x, "nodes", ()), *context.nodes)
    single = factor.values.size == 1
    match x:
        case Quantized(_, scale, _) if single and float(factor.values.reshape(())) > 0 and rank == len(x.expr.ty.shape):
            return replace(x, scale=scale * float(factor.values.reshape(())), nodes=nodes)
        case Accumulated() if (x.low, x.high) == (-INFINITE, INFINITE) and shape_of(x.expr) == shape_of(call):
            return replace(x, scale=x.scale * _spread(factor.values, rank), nodes=nodes)
        case Quantized() | Sum():
            side = _scaled(x, _spread(factor.values, rank), rank)
            return None if side is None else replace(side, nodes=nodes)
    return None


def _spread(values: Floats, rank: int) -> Floats:
    return values.reshape([1] * (rank - values.ndim) + list(values.shape))


def _scaled(value: Value, factor: float | Floats, rank: int) -> Sum | None:
    """`factor` times a value, as a sum of `rank` dimensions."""
    if isinstance(value, Constant):
        return Sum((), _spread(value.values, rank) * factor)
    if not isinstance(value, Quantized | Sum):
        return None
    parts = as_sum(value)
    if (parts.low, parts.high) != (-INFINITE, INFINITE):
        return None
    terms = tuple(Term(term.expr, _spread(term.factor, rank) * factor, term.zero) for term in parts.terms)
    return Sum(terms, _spread(parts.constant, rank) * factor, parts.nodes)


def _of_same_codes(
    context: Context, operands: list[Value], function: Callable[[Floats, Floats], Floats]
) -> Table | None:
    """Both operands follow from one 8-bit tensor, or one is a number: so does the result."""
    tables = [table_of(operand) for operand in operands]
    known = [found for found in tables if found is not None]
    if not known or any(not found.expr.same_as(known[0].expr) for found in known):
        return None
    if len(known) == 1 and not any(isinstance(operand, Table) for operand in operands):
        return None  # a quantized tensor and a number stay a sum, which needs no table
    values = []
    for operand, found in zip(operands, tables, strict=True):
        if found is not None:
            values.append(found.values)
        elif isinstance(operand, Constant) and operand.values.size == 1:
            values.append(np.full(CODES, float(operand.values.reshape(()))))
        else:
            return None
    with np.errstate(all="ignore"):
        results = np.asarray(function(*values), np.float64)
    if np.isnan(results).any():
        return None
    return Table(known[0].expr, results, joined([*(found.nodes for found in known), context.nodes]))
