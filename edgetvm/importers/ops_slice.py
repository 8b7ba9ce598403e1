"""Slice and Pad, with bounds known at compile time or at run time."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from .convert import Call, normal_axis
from .graph import RefusedError
from .te_pointwise import indexed, inside


def slice_(call: Call) -> Expr:
    """Slice; bounds given at run time are clamped to the tensor."""
    shape = call.type().shape
    if call.node.version >= 10 and any(call.has(i) and call.value(i) is None for i in (1, 2, 3, 4)):
        return _slice_at_run_time(call)
    if call.node.version < 10:
        starts, ends = call.attr("starts"), call.attr("ends")
        axes = call.attr("axes", range(len(starts)))
        steps = [1] * len(starts)
    else:
        starts, ends = call.need_ints(1, "start"), call.need_ints(2, "end")
        axes = call.need_ints(3, "axes") if call.has(3) else range(len(starts))
        steps = call.need_ints(4, "steps") if call.has(4) else [1] * len(starts)
    origin, stride = [0] * len(shape), [1] * len(shape)
    for axis, start, stop, step in zip(axes, starts, ends, steps, strict=True):
        axis = normal_axis(axis, len(shape))
        origin[axis], stride[axis] = slice(start, stop, step).indices(shape[axis])[0], step
    if min(stride) > 0:
        ends = [o + (n - 1) * s + 1 for o, n, s in zip(origin, call.out().shape, stride, strict=True)]
        cut = [a for a in range(len(shape)) if origin[a] or ends[a] != shape[a] or stride[a] != 1]
        if not cut:
            return call.x()
        return relax.op.strided_slice(
            call.x(), cut, [origin[a] for a in cut], [ends[a] for a in cut], [stride[a] for a in cut]
        )

    def compute(index: tuple[Any, ...], x: te.Tensor) -> Any:
        return x(*[o + i * s for o, i, s in zip(origin, index, stride, strict=True)])

    return indexed(call, compute, call.x(), name="slice")


def _slice_at_run_time(call: Call) -> Expr:
    """Origin and step of each axis are read from the operands; the end is the output's shape."""
    shape = call.type().shape
    rank = len(shape)
    given = [index for index in (1, 3, 4) if call.has(index)]
    count = call.type(1).size

    def compute(index: tuple[Any, ...], x: te.Tensor, *operands: te.Tensor) -> Any:
        tensors = dict(zip(given, operands, strict=True))
        place = []
        for axis, extent in enumerate(shape):
            start, step = tirx.const(0, "int64"), tirx.const(1, "int64")
            for entry in range(count):
                here = tirx.const(axis == entry, "bool")
                if 3 in tensors:
                    here = tirx.floormod(tensors[3](entry).astype("int64"), tirx.const(rank, "int64")) == axis
                start = tirx.Select(here, tensors[1](entry).astype("int64"), start)
                if 4 in tensors:
                    step = tirx.Select(here, tensors[4](entry).astype("int64"), step)
            start = tirx.Select(start < 0, start + extent, start)
            top = tirx.Select(step < 0, tirx.const(extent - 1, "int64"), tirx.const(extent, "int64"))
            start = tirx.max(tirx.min(start, top), tirx.const(0, "int64"))
            place.append(inside(start + index[axis] * step, extent))
        return x(*place)

    return indexed(call, compute, call.x(), *[call.x(index) for index in given], name="slice")


def pad(call: Call) -> Expr:
    """Pad: constant, edge, reflect or wrap; negative widths crop."""
    shape = call.type().shape
    rank = len(shape)
    mode = call.attr("mode", "constant")
    widths = _widths_before(call)
    if widths is None:
        return _pad(call, mode, [], call.x(1), call.x(3) if call.has(3) else None)
    after = [o - i - b for o, i, b in zip(call.out().shape, shape, widths, strict=True)]
    value = _pad_value(call)
    if mode == "constant" and isinstance(value, float) and min([*widths, *after]) >= 0:
        pairs = [int(w) for axis in range(rank) for w in (widths[axis], after[axis])]
        return relax.op.nn.pad(call.x(), pairs, "constant", value)
    return _pad(call, mode, widths, None, None)


def _widths_before(call: Call) -> list[int] | None:
    """Elements to add before each axis; None if that is known at run time only."""
    rank = len(call.type().shape)
    if call.node.version < 11:
        return [int(p) for p in call.attr("pads", call.attr("paddings"))[:rank]]
    if call.value(1) is None or (call.has(3) and call.value(3) is None):
        return None
    pads = call.need_ints(1, "padding")
    axes = call.need_ints(3, "axes") if call.has(3) else list(range(rank))
    before = [0] * rank
    for entry, axis in enumerate(axes):
        before[normal_axis(axis, rank)] = pads[entry]
    return before


def _pad_value(call: Call) -> float | Expr:
    """The constant, or the tensor that holds it."""
    if call.node.version < 11:
        return float(call.attr("value", 0.0))
    if not call.has(2):
        return 0.0
    value = call.value(2)
    if value is None or (abs(float(value.reshape(-1)[0])) > 2**52 and np.isfinite(value.reshape(-1)[0])):
        return call.x(2)
    return float(value.reshape(-1)[0])


def _pad(call: Call, mode: str, widths: list[int], pads: Expr | None, axes: Expr | None) -> Expr:
    shape = call.type().shape
    rank = len(shape)
    value = _pad_value(call) if mode == "constant" else 0.0
    tensors = [t for t in (pads, axes, value) if isinstance(t, Expr)]
    if mode not in ("constant", "edge", "reflect", "wrap"):
        raise RefusedError(f"mode {mode} is not supported")

    def before(axis: int, operands: list[te.Tensor]) -> Any:
        if pads is None:
            return tirx.const(widths[axis], "int64")
        if axes is None:
            return operands[0](axis).astype("int64")
        width = tirx.const(0, "int64")
        for entry in range(int(operands[1].shape[0])):
            named = tirx.floormod(operands[1](entry).astype("int64"), tirx.const(rank, "int64")) == axis
            width = tirx.Select(named, operands[0](entry).astype("int64"), width)
        return width

    def compute(index: tuple[Any, ...], x: te.Tensor, *operands: te.Tensor) -> Any:
        raw = [i - before(axis, list(operands)) for axis, i in enumerate(index)]
        place = [_source(p, extent, mode) for p, extent in zip(raw, shape, strict=True)]
        if mode != "constant":
            return x(*place)
        fill = tirx.const(value, x.dtype) if isinstance(value, float) else operands[-1](*[0] * len(operands[-1].shape))
        inner = [tirx.all(p >= 0, p < extent) for p, extent in zip(raw, shape, strict=True)]
        return tirx.if_then_else(tirx.all(*inner), x(*place), fill) if rank else x()

    return indexed(call, compute, call.x(), *tensors, name="pad")


def _source(place: Any, extent: int, mode: str) -> Any:
    """Where the element at `place`, counted from the tensor's origin, comes from."""
    if mode == "wrap":
        return tirx.floormod(place, tirx.const(extent, "int64"))
    if mode == "reflect" and extent > 1:
        period = tirx.const(2 * (extent - 1), "int64")
        folded = tirx.floormod(place, period)
        place = tirx.min(folded, period - folded)
    return inside(place, extent)
