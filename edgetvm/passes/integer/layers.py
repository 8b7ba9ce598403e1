"""Convolution, matrix product and pooling of quantized tensors: sums of products in int32 or int64."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.operators.convolve import convolve
from edgetvm.operators.reduce_sum import reduce_sum
from edgetvm.operators.window_sum import window_sum
from edgetvm.passes.integer.context import Context, constant, dtype_of, shape_of
from edgetvm.passes.integer.real import Accumulated, Constant, Floats, Ints, Quantized, Value, compressed


def conv2d(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """Quantized image and constant weights."""
    x, w = operands
    layouts = (call.attrs.data_layout, call.attrs.kernel_layout, call.attrs.out_layout)
    if not isinstance(x, Quantized) or not isinstance(w, Constant) or layouts != ("NHWC", "HWIO", "NHWC"):
        return None
    weights = weights_of(w)
    if weights is None:
        return None
    codes, scale, zero = weights
    groups = int(call.attrs.groups)
    bound = bound_of(dtype_of(x.expr), codes, (0, 1, 2))
    dtype = sum_type(bound)

    def sums(weights: Ints) -> Expr:
        return context.emit(
            convolve(
                x.expr,
                constant(weights, code_type(weights)),
                strides=[int(stride) for stride in call.attrs.strides],
                padding=_padding(call),
                dilation=[int(step) for step in call.attrs.dilation],
                groups=groups,
                pad_value=x.zero,
                dtype=dtype,
            )
        )

    acc = sums(codes)
    offset = -x.zero * codes.sum((0, 1, 2)).reshape(1, 1, 1, -1)
    if zero.any():
        # The weights' zero point multiplies the sum of the window: a convolution with ones, one a group.
        depth, out = codes.shape[2:]
        ones = np.ones((*codes.shape[:3], groups), np.int64)
        spread = sums(ones)
        if 1 < groups < out:
            group = constant(np.arange(out) // (out // groups), "int64")
            spread = context.emit(relax.op.take(spread, group, 3, mode="clip"))
        shift = context.emit(relax.op.multiply(spread, constant(zero.reshape(1, 1, 1, -1), dtype)))
        acc = context.emit(relax.op.subtract(acc, shift))
        offset = offset + x.zero * math.prod(codes.shape[:2]) * depth * zero.reshape(1, 1, 1, -1)
        bound += int(np.abs(zero).max()) * bound_of(dtype_of(x.expr), ones, (0, 1, 2))
    return Accumulated(acc, (x.scale * scale).reshape(1, 1, 1, -1), offset, bound, (*x.nodes, *context.nodes))


def matmul(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """Quantized rows, and constant or quantized columns."""
    del call
    a, b = operands
    if not isinstance(a, Quantized):
        return None
    if isinstance(b, Quantized):
        return _matmul_of_two(context, a, b)
    if not isinstance(b, Constant) or b.values.ndim < 2:
        return None
    weights = weights_of(b)
    if weights is None:
        return None
    codes, scale, zero = weights
    depth = codes.shape[-2]
    bound = bound_of(dtype_of(a.expr), codes, (codes.ndim - 2,))
    dtype = sum_type(bound)
    acc = context.emit(relax.op.matmul(a.expr, constant(codes, code_type(codes)), dtype))
    rank = len(acc.ty.shape)
    offset = -a.zero * codes.sum(-2, keepdims=True)
    if zero.any():
        rows = context.emit(reduce_sum(a.expr, axes=[len(shape_of(a.expr)) - 1], keepdims=True, dtype=dtype))
        acc = context.emit(relax.op.subtract(acc, context.emit(relax.op.multiply(rows, constant(zero, dtype)))))
        offset = offset + a.zero * depth * zero
        bound += int(np.abs(zero).max()) * depth * (1 << 15 if dtype_of(a.expr) == "int16" else 1 << 7)
    full = [1] * (rank - offset.ndim) + list(offset.shape)
    return Accumulated(
        acc, (a.scale * scale).reshape([1] * (rank - 1) + [-1]), offset.reshape(full), bound, (*a.nodes, *context.nodes)
    )


def _matmul_of_two(context: Context, a: Quantized, b: Quantized) -> Value | None:
    depth = shape_of(a.expr)[-1]
    widths = [1 << 15 if dtype_of(side.expr) == "int16" else 1 << 7 for side in (a, b)]
    bound = 4 * depth * widths[0] * widths[1]  # with both zero points taken off
    dtype = sum_type(bound)
    acc = context.emit(relax.op.matmul(a.expr, b.expr, dtype))
    for side, other, axis in ((a, b, -1), (b, a, -2)):
        if other.zero:
            rank = len(shape_of(side.expr))
            sums = context.emit(reduce_sum(side.expr, axes=[rank + axis], keepdims=True, dtype=dtype))
            share = context.emit(relax.op.multiply(sums, constant(np.asarray(other.zero), dtype)))
            acc = context.emit(relax.op.subtract(acc, share))
    rank = len(acc.ty.shape)
    offset = np.full((1,) * rank, depth * a.zero * b.zero, np.int64)
    scale = np.full((1,) * rank, a.scale * b.scale)
    return Accumulated(acc, scale, offset, bound, (*a.nodes, *b.nodes, *context.nodes))


def extreme(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """`max`, `min` and maximum pooling: the extreme code is that of the extreme number."""
    (x,) = operands
    if not isinstance(x, Quantized):
        return None
    found = context.emit(relax.Call(call.op, [x.expr], call.attrs), x.nodes, context.nodes)
    return replace(x, expr=found, nodes=())


def average_pool(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """Sums of windows, divided by their sizes in the scale."""
    (x,) = operands
    attributes = call.attrs
    dilated = any(int(step) != 1 for step in attributes.dilation)
    if not isinstance(x, Quantized) or attributes.layout != "NHWC" or dilated:
        return None
    window = [int(size) for size in attributes.pool_size]
    bound = 2 * math.prod(window) << (15 if dtype_of(x.expr) == "int16" else 7)
    if sum_type(bound) != "int32":
        return None
    strides = [int(stride) for stride in attributes.strides]
    top, left, bottom, right = _padding(call)
    _, height, width, _ = shape_of(x.expr)
    _, rows, columns, _ = (int(extent) for extent in call.ty.shape)
    # Ceil mode lets the last window hang over the border: pad until it lies inside.
    bottom = max(bottom, (rows - 1) * strides[0] + window[0] - height - top)
    right = max(right, (columns - 1) * strides[1] + window[1] - width - left)
    pooling = {"window": window, "strides": strides, "padding": [top, left, bottom, right]}
    acc = context.emit(window_sum(x.expr, **pooling, pad_value=x.zero))
    before, after = (top, left), (_padding(call)[2], _padding(call)[3])
    counted = bool(attributes.count_include_pad)
    counts = [
        _counts(out, size, k, stride, pad, end if counted else None)
        for out, size, k, stride, pad, end in zip(
            (rows, columns), (height, width), window, strides, before, after, strict=True
        )
    ]
    count = np.outer(*counts).reshape(1, rows, columns, 1)
    offset = np.full((1, 1, 1, 1), -x.zero * math.prod(window), np.int64)
    return Accumulated(acc, compressed(x.scale / count), offset, bound, (*x.nodes, *context.nodes))


def _counts(out: int, size: int, window: int, stride: int, before: int, after: int | None) -> Floats:
    """Elements that each window averages along one axis; `after` is the padding that counts, None if none does."""
    starts = np.arange(out) * stride - before
    low, high = (0, size) if after is None else (-before, size + after)
    # A window that lies in the padding altogether averages nothing: its sum, 0, is its average.
    return np.asarray(np.maximum(np.minimum(starts + window, high) - np.maximum(starts, low), 1), np.float64)


def mean(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """A sum whose scale divides by the count."""
    return _reduced(context, call, operands, divide=True)


def total(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """A sum."""
    return _reduced(context, call, operands, divide=False)


def _reduced(context: Context, call: tvm.ir.Call, operands: list[Value], divide: bool) -> Value | None:
    (x,) = operands
    if not isinstance(x, Quantized):
        return None
    shape = shape_of(x.expr)
    axes = [int(axis) % len(shape) for axis in call.attrs.axis] if call.attrs.axis else list(range(len(shape)))
    count = math.prod(shape[axis] for axis in axes)
    bound = 2 * count << (15 if dtype_of(x.expr) == "int16" else 7)
    dtype = sum_type(bound)
    acc = context.emit(reduce_sum(x.expr, axes=axes, keepdims=bool(call.attrs.keepdims), dtype=dtype))
    ones = (1,) * len(acc.ty.shape)
    scale = np.full(ones, x.scale / count if divide else x.scale)
    return Accumulated(acc, scale, np.full(ones, -x.zero * count, np.int64), bound, (*x.nodes, *context.nodes))


def weights_of(w: Constant) -> tuple[Ints, Floats, Ints] | None:
    """Signed codes, and scale and zero point of each output; None where they vary within one.

    The zero point is taken off the codes where they still fit 8 bits.
    """
    if w.codes is None or w.scale is None or w.zero is None:
        return None
    outputs = w.codes.shape[-1]
    scale, zero = compressed(w.scale), compressed(w.zero)
    if scale.size not in (1, outputs) or zero.size not in (1, outputs):
        return None
    if max(scale.shape[:-1], default=1) > 1 or max(zero.shape[:-1], default=1) > 1:
        return None
    codes = w.codes - w.zero
    if code_type(codes) == "int8":
        return codes, np.broadcast_to(scale.reshape(-1), outputs), np.zeros(outputs, np.int64)
    return w.codes, np.broadcast_to(scale.reshape(-1), outputs), np.broadcast_to(zero.reshape(-1), outputs)


def bound_of(dtype: str, codes: Ints, axes: tuple[int, ...]) -> int:
    """The largest magnitude of a sum of products with codes of `dtype`, their zero point taken off or not."""
    width = 1 << (16 if dtype == "int16" else 8)
    return int(np.abs(codes).sum(axes).max()) * width


def sum_type(bound: int) -> str:
    """The type of sums up to `bound`."""
    return "int32" if bound < 1 << 31 else "int64"


def code_type(codes: Ints) -> str:
    """The narrowest type that holds all of them."""
    return "int8" if codes.min() >= -128 and codes.max() <= 127 else "int16"


def _padding(call: tvm.ir.Call) -> list[int]:
    """Top, left, bottom, right."""
    sides = [int(side) for side in call.attrs.padding]
    if len(sides) == 1:
        return sides * 4
    return sides * 2 if len(sides) == 2 else sides
