"""ConvInteger and MatMulInteger: sums of products of 8-bit codes as they are, the zero points taken off after.

``sum (a - p)(b - q) = sum a b - p (sum b - K q) - q sum a`` over K products. What of it is constant is
computed at import, and weights that still fit 8 bits without their zero point lose it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from edgetvm.operators.convolve import convolve

from .codes import (
    Operand,
    codes_and_zero,
    dtype_of,
    expression,
    less_zero_points,
    made_signed,
    permuted,
    reshaped,
    shape_of,
    summed,
)
from .convert import Call
from .graph import RefusedError
from .ops_convolution import channels_first, explicit_pads
from .te_kernel import kernel


def matmul_integer(call: Call) -> Expr:
    """MatMulInteger: int32 product of operands less their zero points, those by row of A or column of B."""
    a, p = codes_and_zero(call, 0, 2, axis=-2)
    b, q = codes_and_zero(call, 1, 3, axis=-1)
    if p is not None and len(call.type(2).shape) == 1 and call.type(2).size > 1:
        p = reshaped(call, p, (call.type(2).size, 1))
    if not isinstance(a, np.ndarray) and call.type(0).dtype == "uint8" and dtype_of(b) == "int8":
        a, p = made_signed(call, 0, p)
    left, right = call.type(0).shape, call.type(1).shape
    a = reshaped(call, a, (1, *left) if len(left) == 1 else left)
    b = reshaped(call, b, (*right, 1) if len(right) == 1 else right)
    acc = call.emit(relax.op.matmul(expression(call, a), expression(call, b), "int32"))
    sums = (lambda: summed(call, a, -1)), (lambda: summed(call, b, -2))
    acc = less_zero_points(call, acc, left[-1], (p, q), sums)
    return expression(call, reshaped(call, acc, call.out().shape))


def conv_integer(call: Call) -> Expr:
    """ConvInteger in 1 or 2 dimensions: int32 convolution of operands less their zero points, that of W by output."""
    shape, size, spatial = call.type(0).shape, call.type(1).shape, len(call.type().shape) - 2
    if spatial not in (1, 2):
        raise RefusedError(f"convolution of integers in {spatial} dimensions is not supported")
    if call.has(2) and call.type(2).size > 1:
        raise RefusedError("a zero point of its input for each channel is not supported")
    strides, dilations = call.attr("strides", [1] * spatial), call.attr("dilations", [1] * spatial)
    before, after = explicit_pads(call, shape[2:], size[2:], strides, dilations)
    if min([*before, *after]) < 0:
        raise RefusedError("negative padding is not supported")
    x, p = codes_and_zero(call, 0, 2, axis=1)
    w, q = codes_and_zero(call, 1, 3, axis=0)
    flat = [1] * (2 - spatial)
    x = reshaped(call, permuted(call, x, [0, *range(2, spatial + 2), 1]), (shape[0], *flat, *shape[2:], shape[1]))
    w = reshaped(call, permuted(call, w, [*range(2, spatial + 2), 1, 0]), (*flat, *size[2:], size[1], size[0]))
    groups, padding = call.attr("group", 1), [0] * len(flat) + [*before] + [0] * len(flat) + [*after]
    if isinstance(p, Expr) and any(padding):
        x, padding = _padded(call, x, padding), [0] * 4

    def sums(codes: Operand) -> Expr:
        return call.emit(
            convolve(
                expression(call, x),
                expression(call, codes),
                strides=flat + [int(stride) for stride in strides],
                padding=padding,
                dilation=flat + [int(step) for step in dilations],
                groups=groups,
                pad_value=int(p.reshape(())) if isinstance(p, np.ndarray) else 0,
                dtype="int32",
            )
        )

    def window_sums() -> Expr:
        windows = sums(np.ones((*shape_of(w)[:3], groups), np.int8))
        return call.emit(relax.op.repeat(windows, size[0] // groups, 3)) if 1 < groups < size[0] else windows

    depth = prod(size[1:])

    def weight_sums() -> Operand:
        return summed(call, reshaped(call, w, (depth, size[0])), 0)

    acc: Operand = less_zero_points(call, sums(w), depth, (p, q), (window_sums, weight_sums))
    out = call.out().shape
    return channels_first(call, expression(call, reshaped(call, acc, (out[0], *out[2:], out[1]))), spatial + 2)


def _padded(call: Call, x: Operand, padding: Sequence[int]) -> Expr:
    """`x` [N, H, W, C] with its zero point, known at run time only, around it; top, left, bottom, right."""
    top, left, bottom, right = padding

    def compute(image: te.Tensor, zero: te.Tensor) -> te.Tensor:
        n, height, width, channels = (int(extent) for extent in image.shape)

        def element(b: Any, y: Any, z: Any, c: Any) -> Any:
            inside = tirx.all(y >= top, y < top + height, z >= left, z < left + width)
            return tirx.if_then_else(inside, image(b, y - top, z - left, c), zero(*[0] * len(zero.shape)))

        return kernel((n, height + top + bottom, width + left + right, channels), element, name="pad")

    return call.te(compute, expression(call, x), call.x(2), name="pad")
