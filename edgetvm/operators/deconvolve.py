"""`edgetvm.deconvolve`: transposed convolution of integers in any number of dimensions, channels last.

``acc[n, p, o] = sum (x[n, q, c] - zero) * w[k, c, o]`` over all taps k and input places q with
``q * stride + k * dilation - before = p`` in every dimension. How many taps reach a place differs from place to place,
so the zero point is taken off inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import relax, te, tirx
from tvm.ir import Expr

from edgetvm.operators.define import Attributes, call, define, shape_of

NAME = "edgetvm.deconvolve"


def _infer(types: Sequence[relax.TensorType], attributes: Attributes) -> relax.TensorType:
    filters = shape_of(types[1])[-1] * int(attributes["groups"])
    sizes = [int(size) for size in attributes["sizes"]]
    return relax.TensorType([shape_of(types[0])[0], *sizes, filters], str(attributes["dtype"]))


OPERATOR = define(NAME, _infer)


def deconvolve(
    x: Expr,
    w: Expr,
    *,
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    before: Sequence[int],
    groups: int,
    zero: int,
    dtype: str,
) -> tvm.ir.Call:
    """`x` [N, spatial..., C], `w` [kernel..., C, M / groups]; sums [N, `sizes`..., M] of `dtype` int32 or int64."""
    attributes = {"sizes": list(sizes), "strides": list(strides), "dilations": list(dilations), "before": list(before)}
    return call(OPERATOR, [x, w], **attributes, groups=groups, zero=zero, dtype=dtype)


def legalize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """The loops of one call: each output element gathers the inputs that reach it."""
    attributes, shape, dtype = expr.attrs, expr.ty.shape, str(expr.attrs["dtype"])
    groups, zero = int(attributes["groups"]), int(attributes["zero"])
    before, strides, dilations = (
        [int(value) for value in attributes[name]] for name in ("before", "strides", "dilations")
    )

    def compute(x: te.Tensor, w: te.Tensor) -> te.Tensor:
        *window, channels, filters = (int(extent) for extent in w.shape)
        per_group = channels // groups
        c = te.reduce_axis((tirx.const(0, "int64"), tirx.const(per_group, "int64")), "c")
        ks = [
            te.reduce_axis((tirx.const(0, "int64"), tirx.const(extent, "int64")), f"k{d}")
            for d, extent in enumerate(window)
        ]

        def term(index: tuple[Any, ...]) -> Any:
            extents = [int(extent) for extent in x.shape[1:-1]]
            taps = [k.var for k in ks]
            inside, place = reaching(index[1:-1], taps, before, strides, dilations, extents)
            channel = c.var + te.indexdiv(index[-1], filters) * per_group if groups > 1 else c.var
            value = x(index[0], *place, channel).astype(dtype) - tirx.const(zero, dtype)
            value *= w(*taps, channel, te.indexmod(index[-1], filters)).astype(dtype)
            return tirx.if_then_else(tirx.all(*inside), value, tirx.const(0, dtype))

        return te.compute(shape, lambda *index: te.sum(term(index), axis=[*ks, c]), name="deconvolve")

    return builder.call_te(compute, *expr.args, primfunc_name_hint="deconvolve")


def reaching(
    place: Sequence[Any],
    taps: Sequence[Any],
    before: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    extents: Sequence[int],
) -> tuple[list[Any], list[Any]]:
    """Whether kernel position `taps` carries an input to the output at `place`, and from where."""
    inside, source = [], []
    for o, k, b, s, d, extent in zip(place, taps, before, strides, dilations, extents, strict=True):
        spread = o + b - k * d
        origin = spread if s == 1 else te.floordiv(spread, s)
        inside += [origin >= 0, origin < extent]
        if s != 1:
            inside.append(te.floormod(spread, s) == 0)
        source.append(tirx.max(tirx.min(origin, tirx.const(extent - 1, "int64")), tirx.const(0, "int64")))
    return inside, source
