"""`edgetvm.convolve`: 2-D convolution of integers, channels last, the borders filled with a value of choice.

``acc[n, y, x, o] = sum x[n, y * s - p + i * d, x * s - p + j * d, c] * w[i, j, c, o]`` of raw codes. With
`pad_value` the zero point of x, the zero point's share is the same at every place and folds into the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import relax, te
from tvm.ir import Expr

from edgetvm.operators.define import Attributes, call, define, shape_of
from edgetvm.operators.window_sum import padded

NAME = "edgetvm.convolve"


def _infer(types: Sequence[relax.TensorType], attributes: Attributes) -> relax.TensorType:
    n, height, width, _ = shape_of(types[0])
    kh, kw, _, out = shape_of(types[1])
    top, left, bottom, right = map(int, attributes["padding"])
    sizes = [
        (size + before + after - (k - 1) * int(dilation) - 1) // int(stride) + 1
        for size, before, after, k, dilation, stride in zip(
            (height, width),
            (top, left),
            (bottom, right),
            (kh, kw),
            attributes["dilation"],
            attributes["strides"],
            strict=True,
        )
    ]
    return relax.TensorType([n, *sizes, out], attributes["dtype"])


OPERATOR = define(NAME, _infer)


def convolve(
    x: Expr,
    w: Expr,
    *,
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    pad_value: int,
    dtype: str,
) -> tvm.ir.Call:
    """`x` [N, H, W, C] and `w` [KH, KW, C / groups, M] of 8 or 16 bits; sums of `dtype` int32 or int64.

    `padding` is top, left, bottom, right.
    """
    attributes = {"strides": list(strides), "padding": list(padding), "dilation": list(dilation)}
    return call(OPERATOR, [x, w], **attributes, groups=groups, pad_value=pad_value, dtype=dtype)


def legalize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """The loops of one call: pad, then sum."""
    attributes = expr.attrs
    shape, dtype = expr.ty.shape, str(attributes["dtype"])
    (sy, sx), (dy, dx) = map(int, attributes["strides"]), map(int, attributes["dilation"])
    groups = int(attributes["groups"])

    def compute(x: te.Tensor, w: te.Tensor) -> te.Tensor:
        kh, kw, depth, out = (int(extent) for extent in w.shape)
        per_group = out // groups
        image = padded(x, [int(side) for side in attributes["padding"]], int(attributes["pad_value"]))
        i, j = te.reduce_axis((0, kh), "i"), te.reduce_axis((0, kw), "j")
        c = te.reduce_axis((0, depth), "c")

        def channel(o: Any) -> Any:
            if groups == 1:
                return c
            if depth == 1 and per_group == 1:
                return o
            return o // per_group * depth + c

        def one(b: Any, y: Any, z: Any, o: Any) -> Any:
            left_side = image(b, y * sy + i * dy, z * sx + j * dx, channel(o)).astype(dtype)
            return te.sum(left_side * w(i, j, c, o).astype(dtype), axis=[i, j, c])

        return te.compute(shape, one, name="convolve")

    return builder.call_te(compute, *expr.args, primfunc_name_hint="convolve")
