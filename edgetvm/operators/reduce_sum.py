"""`edgetvm.reduce_sum`: sums of codes along axes; what a mean divides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import relax, te
from tvm.ir import Expr

from edgetvm.operators.define import Attributes, call, define, shape_of

NAME = "edgetvm.reduce_sum"


def _infer(types: Sequence[relax.TensorType], attributes: Attributes) -> relax.TensorType:
    axes = {int(axis) for axis in attributes["axes"]}
    shape = shape_of(types[0])
    kept = [1 if axis in axes else extent for axis, extent in enumerate(shape)]
    if not int(attributes["keepdims"]):
        kept = [extent for axis, extent in enumerate(shape) if axis not in axes]
    return relax.TensorType(kept, str(attributes["dtype"]))


OPERATOR = define(NAME, _infer)


def reduce_sum(x: Expr, *, axes: Sequence[int], keepdims: bool, dtype: str) -> tvm.ir.Call:
    """`x` of any shape and integer type, `axes` counted from the front; sums of `dtype` int32 or int64."""
    return call(OPERATOR, [x], axes=list(axes), keepdims=int(keepdims), dtype=dtype)


def legalize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """The loops of one call."""
    attributes = expr.attrs
    axes = sorted(int(axis) for axis in attributes["axes"])
    keepdims = bool(int(attributes["keepdims"]))

    def compute(x: te.Tensor) -> te.Tensor:
        steps = {axis: te.reduce_axis((0, int(x.shape[axis])), f"k{axis}") for axis in axes}

        def one(*index: Any) -> Any:
            kept = iter(index)
            place = []
            for axis in range(len(x.shape)):
                if axis in steps:
                    place.append(steps[axis])
                    if keepdims:
                        next(kept)
                else:
                    place.append(next(kept))
            return te.sum(x(*place).astype(str(attributes["dtype"])), axis=list(steps.values()))

        return te.compute(expr.ty.shape, one, name="reduce_sum")

    return builder.call_te(compute, *expr.args, primfunc_name_hint="reduce_sum")
