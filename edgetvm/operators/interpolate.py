"""`edgetvm.interpolate`: weighted sums of neighbours along some axes; what a linear or cubic resize computes.

Along each axis a, output place i reads the places ``places_a[i, t]`` with the weights ``weights_a[i, t]``, whose sum
is 2^11 for every i; of several axes the weights multiply. The result is the sum, not yet divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import tvm
from tvm import relax, te, tirx
from tvm.ir import Expr

from edgetvm.operators.define import Attributes, call, define, shape_of

NAME = "edgetvm.interpolate"
WEIGHT_BITS = 11


def _infer(types: Sequence[relax.TensorType], attributes: Attributes) -> relax.TensorType:
    shape = shape_of(types[0])
    for axis, places in zip(attributes["axes"], types[1::2], strict=True):
        shape[int(axis)] = shape_of(places)[0]
    return relax.TensorType(shape, str(attributes["dtype"]))


OPERATOR = define(NAME, _infer)


def interpolate(x: Expr, taps: Sequence[tuple[Expr, Expr]], *, axes: Sequence[int], dtype: str) -> tvm.ir.Call:
    """`taps` are (places int32, weights int16) of each axis, both [outputs, taps]; sums of `dtype`."""
    return call(OPERATOR, [x, *[side for pair in taps for side in pair]], axes=list(axes), dtype=dtype)


def legalize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """The loops of one call: all taps of an element at once."""
    dtype, shape = str(expr.attrs["dtype"]), expr.ty.shape
    axes = [int(axis) for axis in expr.attrs["axes"]]

    def compute(x: te.Tensor, *operands: te.Tensor) -> te.Tensor:
        tables = [pair for i, pair in enumerate(pairwise(operands)) if i % 2 == 0]

        def blend(index: tuple[Any, ...], place: list[Any], depth: int) -> Any:
            if depth == len(axes):
                return x(*place).astype(dtype)
            axis, (places, weights) = axes[depth], tables[depth]
            total = tirx.const(0, dtype)
            for tap in range(int(places.shape[1])):
                inner = [*place[:axis], places(index[axis], tap).astype("int64"), *place[axis + 1 :]]
                total = total + weights(index[axis], tap).astype(dtype) * blend(index, inner, depth + 1)
            return total

        return te.compute(shape, lambda *index: blend(index, list(index), 0), name="interpolate")

    return builder.call_te(compute, *expr.args, primfunc_name_hint="interpolate")
