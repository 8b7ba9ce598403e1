"""Operators that rearrange a tensor as a whole."""

from __future__ import annotations

from typing import Any

from tvm import relax, te
from tvm.ir import Expr

from .convert import Call, normal_axis
from .graph import RefusedError
from .te_pointwise import indexed


def reshape(call: Call) -> Expr:
    """Reshape, Flatten, Squeeze, Unsqueeze: the output's shape says all."""
    if call.out().size != call.type().size:
        raise RefusedError(f"{list(call.type().shape)} cannot be reshaped to {list(call.out().shape)}")
    return call.x() if call.out() == call.type() else relax.op.reshape(call.x(), call.out().shape)


def transpose(call: Call) -> Expr:
    """Transpose."""
    rank = len(call.type().shape)
    return relax.op.permute_dims(call.x(), list(call.attr("perm", range(rank - 1, -1, -1))))


def concat(call: Call) -> Expr:
    """Concat; empty operands contribute nothing."""
    axis = normal_axis(call.attr("axis", 1), len(call.out().shape))
    parts = [call.x(index) for index in range(call.count) if call.type(index).size]
    return parts[0] if len(parts) == 1 else relax.op.concat(parts, axis)


def split(call: Call) -> list[Expr | None]:
    """Split; the outputs' shapes say where."""
    axis = normal_axis(call.attr("axis", 0), len(call.type().shape))
    results: list[Expr | None] = []
    begin = 0
    for index in range(len(call.node.outputs)):
        if not call.wants(index):
            raise RefusedError("an output of it is left out")
        end = begin + call.out(index).shape[axis]
        results.append(call.emit(relax.op.strided_slice(call.x(), [axis], [begin], [end])))
        begin = end
    if begin != call.type().shape[axis]:
        raise RefusedError(f"its parts have {begin} elements, the axis has {call.type().shape[axis]}")
    return results


def expand(call: Call) -> Expr:
    """Expand; the output's shape says how."""
    return call.x() if call.out() == call.type() else relax.op.broadcast_to(call.x(), call.out().shape)


def tile(call: Call) -> Expr:
    """Tile; the output's shape says how often."""
    shape = call.type().shape

    def compute(index: tuple[Any, ...], x: te.Tensor) -> Any:
        return x(*[te.indexmod(i, extent) for i, extent in zip(index, shape, strict=True)])

    return indexed(call, compute, call.x(), name="tile")


def depth_to_space(call: Call) -> Expr:
    """DepthToSpace, blocks by depth-column-row or column-row-depth."""
    n, c, h, w = call.type().shape
    b = call.attr("blocksize")
    column_first = call.attr("mode", "DCR") == "CRD"
    blocks = (n, c // (b * b), b, b, h, w) if column_first else (n, b, b, c // (b * b), h, w)
    order = [0, 1, 4, 2, 5, 3] if column_first else [0, 3, 4, 1, 5, 2]
    split_ = call.emit(relax.op.reshape(call.x(), blocks))
    return relax.op.reshape(call.emit(relax.op.permute_dims(split_, order)), call.out().shape)


def space_to_depth(call: Call) -> Expr:
    """SpaceToDepth, the inverse of DepthToSpace in either mode."""
    n, c, h, w = call.type().shape
    b = call.attr("blocksize")
    column_first = call.attr("mode", "DCR") == "CRD"
    split_ = call.emit(relax.op.reshape(call.x(), (n, c, h // b, b, w // b, b)))
    order = [0, 1, 3, 5, 2, 4] if column_first else [0, 3, 5, 1, 2, 4]
    return relax.op.reshape(call.emit(relax.op.permute_dims(split_, order)), call.out().shape)
