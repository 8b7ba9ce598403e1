"""Layers of integers in numpy: what each operator means, and nothing of how a kernel computes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Attributes = Mapping[str, Any]

_EXACT = 1 << 53  # float64 holds every integer up to here: BLAS may multiply them


def integer_matmul(a: Array, b: Array) -> Array:
    """``a @ b`` in int64, of integers whose sums stay below 2^53, or slowly."""
    bound = _largest(a) * _largest(b) * a.shape[-1]
    if bound < _EXACT:
        return np.asarray((a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64))
    return np.asarray(a.astype(np.int64) @ b.astype(np.int64))


def convolve(arguments: Sequence[Array], attributes: Attributes) -> Array:
    """`edgetvm.convolve`: [N, H, W, C] x [KH, KW, C / groups, M]."""
    x, w = arguments
    kh, kw, depth, out = w.shape
    groups = int(attributes["groups"])
    dilation = [int(step) for step in attributes["dilation"]]
    patches = _patches(x, (kh, kw), dilation, attributes)
    n, rows, columns = patches.shape[:3]
    if depth == 1 and out == groups:
        total = np.einsum("nyxijc,ijc->nyxc", patches.astype(np.int64), w[:, :, 0].astype(np.int64), optimize=False)
        return np.asarray(total.astype(str(attributes["dtype"])))
    shape = (n * rows * columns, kh * kw, groups, depth)
    columns_of = patches.reshape(shape).transpose(2, 0, 1, 3).reshape(groups, shape[0], kh * kw * depth)
    weights = w.reshape(kh * kw * depth, groups, out // groups).transpose(1, 0, 2)
    total = integer_matmul(columns_of, weights).transpose(1, 0, 2)
    return total.reshape(n, rows, columns, out).astype(str(attributes["dtype"]))


def window_sum(arguments: Sequence[Array], attributes: Attributes) -> Array:
    """`edgetvm.window_sum`: [N, H, W, C]."""
    window = tuple(int(size) for size in attributes["window"])
    patches = _patches(arguments[0], window, (1, 1), attributes)
    return np.asarray(patches.astype(np.int64).sum((3, 4)).astype(np.int32))


def reduce_sum(arguments: Sequence[Array], attributes: Attributes) -> Array:
    """`edgetvm.reduce_sum`."""
    axes = tuple(int(axis) for axis in attributes["axes"])
    total = arguments[0].astype(np.int64).sum(axes, keepdims=bool(int(attributes["keepdims"])))
    return np.asarray(total).astype(str(attributes["dtype"]))


def requantize(arguments: Sequence[Array], attributes: Attributes) -> Array:
    """`edgetvm.requantize`: the product in 64 bits, rounded once, ties up."""
    acc, multiplier, shift = (np.asarray(argument).astype(np.int64) for argument in arguments)
    scaled = (acc * multiplier + (np.int64(1) << (shift - 1))) >> shift
    return _clamped(scaled + int(attributes["zero_point"]), attributes)


def scaled_sum(arguments: Sequence[Array], attributes: Attributes) -> Array:
    """`edgetvm.scaled_sum`."""
    values = [np.asarray(argument).astype(np.int64) for argument in arguments]
    total = values[-1]
    for x, multiplier in zip(values[:-1:2], values[1::2], strict=True):
        total = total + x * multiplier
    limit = np.iinfo(str(attributes["wide"]))
    if total.min() < limit.min or total.max() > limit.max:
        raise OverflowError(f"a sum of {int(total.min())}..{int(total.max())} does not fit {attributes['wide']}")
    return _clamped(total >> int(attributes["shift"]), attributes)


def lookup(arguments: Sequence[Array], _: Attributes) -> Array:
    """`edgetvm.lookup`."""
    x, table = arguments
    return np.asarray(table[x.astype(np.int64) + table.size // 2])


def max_pool(
    x: Array,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    out: Sequence[int],
) -> Array:
    """Largest of each window of [N, H, W, C]; what lies outside never wins. `out` are the rows and columns."""
    top, left = padding[:2]
    lowest = np.iinfo(x.dtype).min
    reach = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
    after = [
        max((o - 1) * stride + size - extent - before, 0)
        for o, stride, size, extent, before in zip(out, strides, reach, x.shape[1:3], (top, left), strict=True)
    ]
    image = np.pad(x, ((0, 0), (top, after[0]), (left, after[1]), (0, 0)), constant_values=lowest)
    views = np.lib.stride_tricks.sliding_window_view(image, tuple(reach), axis=(1, 2))
    kept = views[:, :: strides[0], :: strides[1]][:, : out[0], : out[1]]
    return np.asarray(kept[..., :: dilation[0], :: dilation[1]].max((-2, -1)))


def _clamped(value: Array, attributes: Attributes) -> Array:
    kept = np.clip(value, int(attributes["low"]), int(attributes["high"]))
    return np.asarray(kept.astype(str(attributes["dtype"])))


def _patches(x: Array, window: Sequence[int], dilation: Sequence[int], attributes: Attributes) -> Array:
    """[N, OH, OW, KH, KW, C]: what each window sees."""
    top, left, bottom, right = (int(side) for side in attributes["padding"])
    strides, fill = [int(step) for step in attributes["strides"]], int(attributes["pad_value"])
    image = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    sizes = [
        (extent - (size - 1) * step - 1) // stride + 1
        for extent, size, step, stride in zip(image.shape[1:3], window, dilation, strides, strict=True)
    ]
    result = np.empty((x.shape[0], *sizes, *window, x.shape[3]), x.dtype)
    for i, j in product(*map(range, window)):
        rows = slice(i * dilation[0], i * dilation[0] + (sizes[0] - 1) * strides[0] + 1, strides[0])
        columns = slice(j * dilation[1], j * dilation[1] + (sizes[1] - 1) * strides[1] + 1, strides[1])
        result[:, :, :, i, j] = image[:, rows, columns]
    return result


def _largest(array: Array) -> int:
    return max(abs(int(array.min())), abs(int(array.max()))) if math.prod(array.shape) else 0
