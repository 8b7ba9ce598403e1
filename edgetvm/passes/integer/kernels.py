"""Kernels of the importer's own (`call_tir`): functions of one element become tables, moves move codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tvm
from tvm import relax, s_tir, tirx
from tvm.ir import Expr, TensorLoad

from edgetvm.oracle.kernels import UnreadableError, blocks_of, evaluate
from edgetvm.passes.integer.context import Context, dtype_of, joined
from edgetvm.passes.integer.moving_kernel import Code, retyped, stored_numbers
from edgetvm.passes.integer.pointwise import table_of
from edgetvm.passes.integer.real import Constant, Goal, Integer, Nodes, Pending, Quantized, Table, Value


def kernel_of(context: Context, call: tvm.ir.Call) -> tirx.PrimFunc:
    """The PrimFunc that a `call_tir` calls."""
    return context.builder.get()[call.args[0]]


def unmarked(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """A kernel of which the importer says nothing: what its loops do says what it is."""
    if isinstance(call.ty, relax.TupleType) or len(call.args) != 2:
        return None
    func = kernel_of(context, call)
    try:
        blocks = blocks_of(func)
    except UnreadableError:
        return None
    found = _table(context, func, blocks, operands)
    return found if found is not None else _moved(context, call, func, operands)


def _table(
    context: Context, func: tirx.PrimFunc, blocks: Sequence[s_tir.SBlock], operands: list[Value]
) -> Value | None:
    """The function of one element that `func` applies to an 8-bit tensor, evaluated for all its codes."""
    known = [table_of(operand) for operand in operands]
    tables = [found for found in known if found is not None]
    singles = all(isinstance(operand, Constant) and operand.values.size == 1 for operand in _without(operands, known))
    if len(blocks) != 1 or not tables or not singles or not all(one.expr.same_as(tables[0].expr) for one in tables):
        return None
    (block,) = blocks
    shape = [int(extent) for extent in block.body.buffer.shape]

    def load(node: TensorLoad) -> Any:
        position = next(i for i, param in enumerate(func.params) if param.same_as(node.source))
        found, operand = known[position], operands[position]
        if found is None and isinstance(operand, Constant):
            return operand.values.reshape(())
        own = [index.same_as(axis.var) for index, axis in zip(node.indices, block.iter_vars, strict=False)]
        if found is None or len(own) != len(shape) or [int(extent) for extent in node.source.shape] != shape:
            raise UnreadableError("it broadcasts")
        if not all(same or extent == 1 for same, extent in zip(own, shape, strict=True)):
            raise UnreadableError("it reads another place")
        return found.values

    try:
        with np.errstate(all="ignore"):
            values = np.asarray(evaluate(block.body.value, {}, load), np.float64)
    except UnreadableError:
        return None
    if np.isnan(values).any() or not str(block.body.buffer.dtype).startswith("float"):
        return None
    values = np.broadcast_to(values, tables[0].values.shape)
    return Table(tables[0].expr, values, joined([*(one.nodes for one in tables), context.nodes]))


def _without(operands: list[Value], known: Sequence[Table | None]) -> list[Value]:
    return [operand for operand, found in zip(operands, known, strict=True) if found is None]


def _moved(context: Context, call: tvm.ir.Call, func: tirx.PrimFunc, operands: list[Value]) -> Value | None:
    """A kernel that stores elements as it loads them: the same on codes. Numbers in it become their codes."""
    data = [operand for operand in operands if not isinstance(operand, Integer | Constant)]
    whole = [operand for operand in operands if isinstance(operand, Integer)]
    numbers = stored_numbers(func)
    nodes = joined([*(getattr(operand, "nodes", ()) for operand in data), context.nodes])
    if numbers is None or not data or any(operand.shift for operand in whole):
        return None
    if any(isinstance(operand, Constant) and operand.values.dtype.kind == "f" for operand in operands):
        return None
    arguments = call.args[1].fields

    def emit(codes: Sequence[Expr], code: Code, names: Nodes) -> Expr:
        queue = list(codes)
        given = [
            queue.pop(0) if not isinstance(operand, Integer | Constant) else argument
            for operand, argument in zip(operands, arguments, strict=True)
        ]
        plain = [
            operand.expr if isinstance(operand, Integer) else expr
            for operand, expr in zip(operands, given, strict=True)
        ]
        name = call.args[0].name_hint
        return context.emit(
            context.builder.call_te(retyped(func, dtype_of(codes[0]), code), *plain, primfunc_name_hint=name), names
        )

    first = data[0]
    match first:
        case Quantized(expr, scale, zero):
            for other in data:
                if not isinstance(other, Quantized) or (other.scale, other.zero) != (scale, zero):
                    return None
            goal = _goal(first)
            if any(abs(scale * (goal.code(number) - zero) - number) > scale / 2 for number in numbers):
                return None
            return replace(first, expr=emit([one.expr for one in data], goal.code, nodes), nodes=())  # type: ignore[union-attr]
        case Table(expr) if len(data) == 1 and not numbers:
            return replace(first, expr=emit([expr], int, nodes), nodes=())
        case Pending(source, _, low, high) if len(data) == 1 and all(low <= number <= high for number in numbers):
            return replace(first, emit=lambda goal, names: emit([source(goal, names)], goal.code, names), nodes=nodes)
    return None


def _goal(x: Quantized) -> Goal:
    info = np.iinfo(dtype_of(x.expr))
    return Goal(x.scale, x.zero, dtype_of(x.expr), int(info.min), int(info.max))
