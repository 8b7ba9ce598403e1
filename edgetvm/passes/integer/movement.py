"""Operators that move elements and compute nothing: the same on codes as on the numbers they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.passes.integer.context import Context, Handler, dtype_of, joined, shape_of
from edgetvm.passes.integer.emit import quantized
from edgetvm.passes.integer.real import (
    Accumulated,
    Constant,
    Float,
    Goal,
    Integer,
    Nodes,
    Pending,
    Quantized,
    Sum,
    Table,
    Value,
)

Array = npt.NDArray[Any]
OnExpr = Callable[[Expr], Expr]
OnArray = Callable[[Array], Array]


def permute(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """`permute_dims`."""
    rank = len(call.ty.shape)
    axes = [int(axis) % rank for axis in call.attrs.axes] if call.attrs.axes is not None else list(range(rank))[::-1]
    return moved(context, operands[0], _repeat(call), lambda array: array.transpose(axes))


def reshape(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """`reshape`, `expand_dims`, `squeeze` and `flatten`: the same elements in the same order."""
    shape = shape_of(call)
    return moved(context, operands[0], lambda expr: relax.op.reshape(expr, shape), lambda array: array.reshape(shape))


def strided_slice(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """`strided_slice` of codes."""
    x = operands[0]
    if not isinstance(x, Quantized):
        return None
    rest = call.args[1:]
    expr = context.emit(relax.Call(call.op, [x.expr, *rest], call.attrs, call.ty_args), x.nodes, context.nodes)
    return replace(x, expr=expr, nodes=())


def take(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """`take` of codes at places known at run time or not."""
    x = operands[0]
    if not isinstance(x, Quantized) or not isinstance(operands[1], Integer | Constant):
        return None
    expr = context.emit(relax.Call(call.op, [x.expr, call.args[1]], call.attrs), x.nodes, context.nodes)
    return replace(x, expr=expr, nodes=())


def broadcast_to(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """`broadcast_to` of codes."""
    x = operands[0]
    if not isinstance(x, Quantized):
        return None
    expr = context.emit(relax.op.broadcast_to(x.expr, shape_of(call)), x.nodes, context.nodes)
    return replace(x, expr=expr, nodes=())


def pad(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """`nn.pad` with a number: its code."""
    x = operands[0]
    if not isinstance(x, Quantized) or str(call.attrs.pad_mode) != "constant":
        return None
    info = np.iinfo(dtype_of(x.expr))
    number = float(call.attrs.pad_value)
    code = Goal(x.scale, x.zero, dtype_of(x.expr), info.min, info.max).code(number)
    if abs(x.scale * (code - x.zero) - number) > x.scale / 2:
        return None
    widths = [int(width) for width in call.attrs.pad_width]
    expr = context.emit(relax.op.nn.pad(x.expr, widths, "constant", code), x.nodes, context.nodes)
    return replace(x, expr=expr, nodes=())


def split(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """`split`: the parts keep scale and zero point; `TupleGetItem` takes one."""
    x = operands[0]
    if not isinstance(x, Quantized):
        return None
    expr = context.emit(relax.Call(call.op, [x.expr], call.attrs), x.nodes, context.nodes)
    return replace(x, expr=expr, nodes=())


def concat(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """`concat`: of equal scales, the codes as they are; else each part is brought to the result's."""
    parts = [operand for operand in operands if not isinstance(operand, Float | Integer | Constant)]
    if len(parts) != len(operands):
        return None
    axis = int(call.attrs.axis)
    first = parts[0]
    if isinstance(first, Quantized) and all(
        isinstance(part, Quantized) and (part.scale, part.zero) == (first.scale, first.zero) for part in parts
    ):
        codes = [part.expr for part in parts if isinstance(part, Quantized)]
        expr = context.emit(relax.op.concat(codes, axis), *(part.nodes for part in parts), context.nodes)
        return replace(first, expr=expr, nodes=())

    def emit(goal: Goal, nodes: Nodes) -> Expr:
        return context.emit(relax.op.concat([quantized(context, part, goal) for part in parts], axis), nodes)

    return Pending(emit, joined([*(part.nodes for part in parts), context.nodes]))


def moved(context: Context, value: Value, on_expr: OnExpr, on_array: OnArray) -> Value | None:
    """Any value with its elements moved."""
    nodes = (*getattr(value, "nodes", ()), *context.nodes)
    match value:
        case Quantized(expr):
            return replace(value, expr=context.emit(on_expr(expr), nodes), nodes=())
        case Table(expr):
            return replace(value, expr=context.emit(on_expr(expr), nodes), nodes=())
        case Constant():
            return value.moved(on_array)
        case Accumulated(expr, scale, offset):
            shape = shape_of(expr)
            arrays = [on_array(np.broadcast_to(array, shape)) for array in (scale, offset)]
            return replace(value, expr=context.emit(on_expr(expr)), scale=arrays[0], offset=arrays[1], nodes=nodes)
        case Sum(terms, fixed) if all(shape_of(term.expr) == shape_of(terms[0].expr) for term in terms):
            shape = shape_of(terms[0].expr)
            if np.broadcast_shapes(fixed.shape, shape) != shape:
                return None
            new = tuple(
                replace(
                    term,
                    expr=context.emit(on_expr(term.expr)),
                    factor=on_array(np.broadcast_to(term.factor, shape)),
                )
                for term in terms
            )
            return replace(value, terms=new, constant=on_array(np.broadcast_to(fixed, shape)), nodes=nodes)
        case Pending(emit):
            return replace(value, emit=lambda goal, names: context.emit(on_expr(emit(goal, names))), nodes=nodes)
    return None


def _repeat(call: tvm.ir.Call) -> OnExpr:
    """The same call of another tensor."""
    return lambda expr: relax.Call(call.op, [expr, *call.args[1:]], call.attrs)


HANDLERS: dict[str, Handler] = {
    "relax.permute_dims": permute,
    "relax.reshape": reshape,
    "relax.expand_dims": reshape,
    "relax.squeeze": reshape,
    "relax.flatten": reshape,
    "relax.strided_slice": strided_slice,
    "relax.take": take,
    "relax.broadcast_to": broadcast_to,
    "relax.nn.pad": pad,
    "relax.split": split,
    "relax.concat": concat,
}
