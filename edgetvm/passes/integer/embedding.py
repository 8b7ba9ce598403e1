"""Elements picked from a constant at places known at run time: the constant becomes codes."""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.oracle.kernels import UnreadableError
from edgetvm.passes.integer.context import Context, constant
from edgetvm.passes.integer.kernels import kernel_of, unmarked
from edgetvm.passes.integer.layers import code_type
from edgetvm.passes.integer.moving_kernel import stored_numbers
from edgetvm.passes.integer.real import Constant, Goal, Integer, Nodes, Pending, Quantized, Value


def picked(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """A kernel that picks elements of a constant, an embedding, at places known at run time: its codes are picked.

    A constant of floats takes the quantization of what is picked from it.
    """
    floats = [
        i for i, operand in enumerate(operands) if isinstance(operand, Constant) and operand.values.dtype.kind == "f"
    ]
    if len(floats) != 1 or not all(isinstance(operand, Integer | Constant) for operand in operands):
        return None
    if any(isinstance(operand, Integer) and operand.shift for operand in operands):
        return None
    (place,) = floats
    source = operands[place]
    assert isinstance(source, Constant)
    codes = _codes_of(source)

    def pick(x: Quantized) -> Value | None:
        return unmarked(context, call, [*operands[:place], x, *operands[place + 1 :]])

    def emit(goal: Goal, nodes: Nodes) -> Expr:
        steps = np.rint(source.values.astype(np.float32) / np.float32(goal.scale)) + goal.zero
        rows = constant(np.clip(steps, goal.low, goal.high).astype(np.int64), goal.dtype)
        found = pick(Quantized(rows, goal.scale, goal.zero, nodes))
        assert isinstance(found, Quantized)
        return found.expr

    if codes is not None:
        return pick(codes)
    if not np.isfinite(source.values).all() or not _only_moves(context, call):
        return None
    return Pending(emit, context.nodes)


def _only_moves(context: Context, call: tvm.ir.Call) -> bool:
    """Whether a kernel stores nothing but what it loads."""
    try:
        return (
            not isinstance(call.ty, relax.TupleType)
            and len(call.args) == 2
            and stored_numbers(kernel_of(context, call)) == []
        )
    except UnreadableError:
        return False


def _codes_of(operand: Constant) -> Quantized | None:
    """A constant of one scale as codes."""
    if operand.codes is None or operand.scale is None or operand.zero is None:
        return None
    scale, zero, dtype = np.unique(operand.scale), np.unique(operand.zero), code_type(operand.codes)
    if scale.size != 1 or zero.size != 1:
        return None
    return Quantized(constant(operand.codes, dtype), float(scale[0]), int(zero[0]))
