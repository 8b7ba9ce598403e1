"""Operators that pick elements by index."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from .convert import Call, normal_axis
from .te_pointwise import indexed, inside, wrapped


def gather(call: Call) -> Expr:
    """Gather along one axis."""
    shape = call.type().shape
    axis = normal_axis(call.attr("axis", 0), len(shape))
    rank = len(call.type(1).shape)

    def compute(index: tuple[Any, ...], x: te.Tensor, which: te.Tensor) -> Any:
        place = wrapped(which(*index[axis : axis + rank]), shape[axis])
        return x(*index[:axis], place, *index[axis + rank :])

    return indexed(call, compute, call.x(), _indices(call, shape[axis]), name="gather")


def gather_elements(call: Call) -> Expr:
    """GatherElements."""
    shape = call.type().shape
    axis = normal_axis(call.attr("axis", 0), len(shape))

    def compute(index: tuple[Any, ...], x: te.Tensor, which: te.Tensor) -> Any:
        place = wrapped(which(*index), shape[axis])
        return x(*index[:axis], place, *index[axis + 1 :])

    return indexed(call, compute, call.x(), call.x(1), name="gather_elements")


def gather_nd(call: Call) -> Expr:
    """GatherND."""
    shape, indices = call.type().shape, call.type(1).shape
    batch = call.attr("batch_dims", 0)
    rank, depth = len(indices), indices[-1]

    def compute(index: tuple[Any, ...], x: te.Tensor, which: te.Tensor) -> Any:
        head = index[: rank - 1]
        chosen = [wrapped(which(*head, d), shape[batch + d]) for d in range(depth)]
        return x(*index[:batch], *chosen, *index[rank - 1 :])

    return indexed(call, compute, call.x(), call.x(1), name="gather_nd")


def _indices(call: Call, extent: int) -> Expr:
    """The index operand; a constant one is counted from the front."""
    value = call.value(1)
    if value is None:
        return call.x(1)
    return call.constant(np.where(value < 0, value + extent, value).astype(value.dtype))


def one_hot(call: Call) -> Expr:
    """OneHot; indices outside the depth give no hot element."""
    rank = len(call.out().shape)
    axis = normal_axis(call.attr("axis", -1), rank)
    depth = call.out().shape[axis]

    def compute(index: tuple[Any, ...], which: te.Tensor, values: te.Tensor) -> Any:
        hot = which(*index[:axis], *index[axis + 1 :]).astype("int64")
        hot = tirx.Select(hot < 0, hot + depth, hot)
        return tirx.Select(hot == index[axis], values(1), values(0))

    return indexed(call, compute, call.x(), call.x(2), name="one_hot")


def trilu(call: Call) -> Expr:
    """Trilu: keep one triangle, zero the other."""
    upper = bool(call.attr("upper", 1))
    tensors = [call.x(1)] if call.has(1) and call.value(1) is None else []
    fixed = call.need_ints(1, "diagonal")[0] if call.has(1) and not tensors else 0

    def compute(index: tuple[Any, ...], x: te.Tensor, *k: te.Tensor) -> Any:
        shift = k[0](*[0] * len(k[0].shape)) if k else tirx.const(fixed, "int64")
        column, row = index[-1].astype("int64"), index[-2].astype("int64")
        kept = column >= row + shift if upper else column <= row + shift
        return tirx.Select(kept, x(*index), tirx.const(0, x.dtype))

    return indexed(call, compute, call.x(), *tensors, name="trilu")


def eye_like(call: Call) -> Expr:
    """EyeLike: a constant."""
    rows, columns = call.out().shape
    return call.constant(np.eye(rows, columns, call.attr("k", 0)), call.out().dtype)


def constant_of_shape(call: Call) -> Expr:
    """ConstantOfShape whose shape is declared by the model: a constant."""
    import onnx

    value = call.attr("value")
    fill = onnx.numpy_helper.to_array(value).reshape(()) if value is not None else np.float32(0)
    return call.constant(np.full(call.out().shape, fill))


def range_(call: Call) -> Expr:
    """Range with a declared number of elements."""

    def compute(index: tuple[Any, ...], start: te.Tensor, delta: te.Tensor) -> Any:
        first, step = start(*[0] * len(start.shape)), delta(*[0] * len(delta.shape))
        return first + index[0].astype(first.ty.dtype) * step

    return indexed(call, compute, call.x(), call.x(2), name="range")


def reverse_sequence(call: Call) -> Expr:
    """ReverseSequence: the first `sequence_lens[b]` elements of each batch, backwards."""
    shape = call.type().shape
    time, batch = call.attr("time_axis", 0), call.attr("batch_axis", 1)

    def compute(index: tuple[Any, ...], x: te.Tensor, lengths: te.Tensor) -> Any:
        t, length = index[time], lengths(index[batch]).astype("int64")
        place = list(index)
        place[time] = inside(tirx.Select(t < length, length - 1 - t, t), shape[time])
        return x(*place)

    return indexed(call, compute, call.x(), call.x(1), name="reverse_sequence")


def compress(call: Call) -> Expr:
    """Compress with a constant condition."""
    chosen = np.flatnonzero(call.need(1, "condition"))
    axis = call.attr("axis")
    x = call.x()
    if axis is None:
        x, axis = call.emit(relax.op.reshape(x, (call.type().size,))), 0
    return relax.op.take(x, call.constant(chosen, "int64"), axis, "clip")


def tensor_scatter(call: Call) -> Expr:
    """TensorScatter: write a run of rows into a cache at a position of each batch, linear or circular."""
    shape, update = call.type().shape, call.type(1).shape
    axis = normal_axis(call.attr("axis", -2), len(shape))
    circular = call.attr("mode", "linear") == "circular"
    extent, length = shape[axis], update[axis]

    def compute(index: tuple[Any, ...], x: te.Tensor, new: te.Tensor, *first: te.Tensor) -> Any:
        start = first[0](index[0]).astype("int64") if first else tirx.const(0, "int64")
        offset = index[axis] - start
        if circular:
            offset = tirx.floormod(offset, tirx.const(extent, "int64"))
        place = list(index)
        place[axis] = inside(offset, length)
        return tirx.if_then_else(tirx.all(offset >= 0, offset < length), new(*place), x(*index))

    tensors = [call.x(2)] if call.has(2) else []
    return indexed(call, compute, call.x(), call.x(1), *tensors, name="tensor_scatter")
