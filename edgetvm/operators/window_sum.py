"""`edgetvm.window_sum`: sums of codes over sliding windows, channels last; what average pooling divides.

``acc[n, y, x, c] = sum x[n, y * s - p + i, x * s - p + j, c]``, the borders filled with `pad_value`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import relax, te, tirx
from tvm.ir import Expr

from edgetvm.operators.define import Attributes, call, define, shape_of

NAME = "edgetvm.window_sum"


def _infer(types: Sequence[relax.TensorType], attributes: Attributes) -> relax.TensorType:
    n, height, width, channels = shape_of(types[0])
    top, left, bottom, right = map(int, attributes["padding"])
    sizes = [
        (size + before + after - int(window)) // int(stride) + 1
        for size, before, after, window, stride in zip(
            (height, width), (top, left), (bottom, right), attributes["window"], attributes["strides"], strict=True
        )
    ]
    return relax.TensorType([n, *sizes, channels], "int32")


OPERATOR = define(NAME, _infer)


def window_sum(
    x: Expr, *, window: Sequence[int], strides: Sequence[int], padding: Sequence[int], pad_value: int
) -> tvm.ir.Call:
    """`x` [N, H, W, C] of int8 or int16; int32 sums. `padding` is top, left, bottom, right."""
    return call(OPERATOR, [x], window=list(window), strides=list(strides), padding=list(padding), pad_value=pad_value)


def legalize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """The loops of one call: pad, then sum."""
    attributes = expr.attrs
    shape = expr.ty.shape
    (wy, wx), (sy, sx) = map(int, attributes["window"]), map(int, attributes["strides"])

    def compute(x: te.Tensor) -> te.Tensor:
        image = padded(x, [int(side) for side in attributes["padding"]], int(attributes["pad_value"]))
        i, j = te.reduce_axis((0, wy), "i"), te.reduce_axis((0, wx), "j")

        def one(b: Any, y: Any, z: Any, c: Any) -> Any:
            return te.sum(image(b, y * sy + i, z * sx + j, c).astype("int32"), axis=[i, j])

        return te.compute(shape, one, name="window_sum")

    return builder.call_te(compute, *expr.args, primfunc_name_hint="window_sum")


def padded(x: te.Tensor, padding: Sequence[int], value: int) -> te.Tensor:
    """[N, H, W, C] with `value` around it; `padding` is top, left, bottom, right."""
    if not any(padding):
        return x
    top, left, bottom, right = padding
    n, height, width, channels = (int(extent) for extent in x.shape)

    def one(b: Any, y: Any, z: Any, c: Any) -> Any:
        inside = tirx.all(y >= top, y < top + height, z >= left, z < left + width)
        return tirx.if_then_else(inside, x(b, y - top, z - left, c), tirx.const(value, str(x.dtype)))

    return te.compute((n, height + top + bottom, width + left + right, channels), one, name="pad")
