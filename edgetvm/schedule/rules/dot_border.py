"""The block that copies an image into a larger one with a constant around it."""

from __future__ import annotations

from dataclasses import dataclass

import tvm
from tvm import s_tir, sym, tirx
from tvm.ir import TensorLoad

from edgetvm.schedule import analysis as facts


@dataclass(frozen=True)
class Border:
    """`padded` [N, H', W', C] holds `image` [N, H, W, C] from row `top` and column `left` on, elsewhere `fill`."""

    image: tirx.Buffer
    padded: tirx.Buffer
    top: int
    left: int
    fill: int


def border_of(block: s_tir.SBlock) -> Border | None:
    """What the block does, if it is that."""
    store = facts.store_of(block)
    if store is None or len(store.indices) != 4 or len(block.iter_vars) != 4:
        return None
    axes = [axis.var for axis in block.iter_vars]
    if not all(index.same_as(axis) for index, axis in zip(store.indices, axes, strict=True)):
        return None
    choice = store.value
    if not isinstance(choice, tvm.ir.Call) or getattr(choice.op, "name", "") != "prim.if_then_else":
        return None
    condition, inside, outside = choice.args
    if not isinstance(inside, TensorLoad) or not isinstance(outside, tirx.IntImm | tirx.FloatImm):
        return None
    if not float(outside.value).is_integer():
        return None
    shape = [int(extent) for extent in inside.source.shape]
    before = [_shift(index, axis) for index, axis in zip(inside.indices, axes, strict=True)]
    if len(shape) != 4 or None in before or before[0] or before[3]:
        return None
    limits = _limits(condition, axes)
    if limits is None:
        return None
    for axis, (low, high), start, size in zip(block.iter_vars, limits, before, shape, strict=True):
        assert start is not None
        # What no comparison limits is limited by the loop itself.
        if max(low, 0) != start or min(high, facts.extent(axis)) != start + size:
            return None
    return Border(inside.source, store.buffer, before[1] or 0, before[2] or 0, int(outside.value))


def _shift(index: tirx.Expr, axis: tvm.ir.Var) -> int | None:
    """d of ``axis - d``."""
    difference = sym.Analyzer().simplify(axis - index)
    return int(difference.value) if isinstance(difference, tirx.IntImm) else None


def _limits(condition: tirx.Expr, axes: list[tvm.ir.Var]) -> list[tuple[int, int]] | None:
    """The range of each axis, of a conjunction of comparisons with constants."""
    limits = [(-(2**31), 2**31)] * len(axes)
    pending = [condition]
    while pending:
        term = pending.pop()
        if isinstance(term, tirx.And):
            pending += [term.a, term.b]
            continue
        low, high = -(2**31), 2**31
        if isinstance(term, tirx.LE) and isinstance(term.a, tirx.IntImm):
            variable, low = term.b, int(term.a.value)
        elif isinstance(term, tirx.GE) and isinstance(term.b, tirx.IntImm):
            variable, low = term.a, int(term.b.value)
        elif isinstance(term, tirx.LT) and isinstance(term.b, tirx.IntImm):
            variable, high = term.a, int(term.b.value)
        else:
            return None
        place = next((i for i, axis in enumerate(axes) if axis.same_as(variable)), None)
        if place is None:
            return None
        limits[place] = (max(limits[place][0], low), min(limits[place][1], high))
    return limits
