"""Operators that move elements without computing."""

from __future__ import annotations

from tvm import relax
from tvm.ir import Expr

from .convert import Call, normal_axis


def reshape(call: Call) -> Expr:
    """Reshape, Flatten, Squeeze, Unsqueeze: the output's shape says all."""
    return relax.op.reshape(call.x(), call.out().shape)


def transpose(call: Call) -> Expr:
    """Transpose."""
    rank = len(call.type().shape)
    return relax.op.permute_dims(call.x(), list(call.attr("perm", range(rank - 1, -1, -1))))


def concat(call: Call) -> Expr:
    """Concat; empty operands contribute nothing."""
    axis = normal_axis(call.attr("axis"), len(call.out().shape))
    return relax.op.concat([call.x(i) for i in range(call.count) if call.type(i).size], axis)


def slice_(call: Call) -> Expr:
    """Slice with constant bounds."""
    shape = call.type().shape
    if call.node.version < 10:
        starts, ends = call.attr("starts"), call.attr("ends")
        axes = call.attr("axes", range(len(starts)))
        steps = [1] * len(starts)
    else:
        starts, ends = call.need_ints(1, "start"), call.need_ints(2, "end")
        axes = call.need_ints(3, "axes") if call.has(3) else range(len(starts))
        steps = call.need_ints(4, "steps") if call.has(4) else [1] * len(starts)
    axes = [normal_axis(a, len(shape)) for a in axes]
    begin, end = [], []
    for axis, start, stop, step in zip(axes, starts, ends, steps, strict=True):
        first, last, _ = slice(start, stop, step).indices(shape[axis])
        begin.append(first)
        end.append(last)
    return relax.op.strided_slice(call.x(), axes, begin, end, steps)


def pad(call: Call) -> Expr:
    """Pad with constant widths."""
    pads = call.attr("pads") if call.node.version < 11 else call.need_ints(1, "padding")
    rank = len(call.type().shape)
    widths = [int(pads[i + side * rank]) for i in range(rank) for side in (0, 1)]
    return relax.op.nn.pad(call.x(), widths, "constant", 0.0)


def gather(call: Call) -> Expr:
    """Gather."""
    axis = normal_axis(call.attr("axis", 0), len(call.type().shape))
    return relax.op.take(call.x(), call.x(1), axis, "wrap")
