"""ConvTranspose and Col2Im: each output element gathers the inputs that reach it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from edgetvm.operators.deconvolve import reaching

from .convert import Call
from .graph import RefusedError
from .ops_convolution import channels_first, channels_last, check_same
from .te_kernel import kernel, reduce_axis


def conv_transpose(call: Call) -> Expr:
    """ConvTranspose in any number of dimensions, grouped or not, channels last inside.

    The kernel ``conv_transpose`` computes [N, spatial..., M] from [N, spatial..., C] and
    weights [kernel..., C, M / groups].
    """
    shape, weights = call.type().shape, call.type(1).shape
    spatial = len(shape) - 2
    window = list(weights[2:])
    if list(call.attr("kernel_shape", window)) != window:
        raise RefusedError("kernel_shape differs from the shape of its weights")
    groups = call.attr("group", 1)
    strides = call.attr("strides", [1] * spatial)
    dilations = call.attr("dilations", [1] * spatial)
    before = _pads_before(call, window, strides, dilations)
    sizes = call.out().shape
    filters, per_group = weights[1], shape[1] // groups
    dtype = call.out().dtype
    wide = "float32" if dtype == "float16" else dtype

    def compute(x: te.Tensor, w: te.Tensor) -> te.Tensor:
        c = reduce_axis(per_group, name="c")
        ks = [reduce_axis(k, name=f"k{d}") for d, k in enumerate(window)]

        def term(index: tuple[Any, ...]) -> Any:
            inside, place = reaching(index[1:-1], [k.var for k in ks], before, strides, dilations, shape[2:])
            channel = c.var + te.indexdiv(index[-1], filters) * per_group if groups > 1 else c.var
            value = x(index[0], *place, channel).astype(wide)
            value *= w(*[k.var for k in ks], channel, te.indexmod(index[-1], filters)).astype(wide)
            return tirx.if_then_else(tirx.all(*inside), value, tirx.const(0, wide))

        made = kernel(
            (sizes[0], *sizes[2:], sizes[1]), lambda *i: te.sum(term(i), axis=[*ks, c]), name="conv_transpose"
        )
        return made if wide == dtype else kernel(made.shape, lambda *i: made(*i).astype(dtype), name="narrow")

    axes = [*range(2, spatial + 2), 0, 1]
    value = call.value(1)
    w = call.emit(relax.op.permute_dims(call.x(1), axes)) if value is None else call.constant(np.transpose(value, axes))
    numbers = {"strides": list(strides), "dilations": list(dilations), "before": list(before), "groups": groups}
    x = channels_last(call, call.x(), spatial + 2)
    result = call.te(compute, x, w, name="conv_transpose", mark="ConvTranspose", **numbers)
    if call.has(2):
        result = call.emit(relax.op.add(result, call.x(2)))
    return channels_first(call, result, spatial + 2)


def _pads_before(call: Call, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[int]:
    spatial = len(kernel)
    mode = call.attr("auto_pad", "NOTSET")
    given = call.attr("output_shape")
    if mode in ("NOTSET", "") and given is None:
        return [int(p) for p in call.attr("pads", [0] * 2 * spatial)[:spatial]]
    if mode == "VALID" and given is None:
        return [0] * spatial
    extra = call.attr("output_padding", [0] * spatial)
    if given is None:
        natural = [size * stride for size, stride in zip(call.type().shape[2:], strides, strict=True)]
        check_same(call.out().shape[2:], natural)
    pads = []
    for size, out, k, s, d, e in zip(
        call.type().shape[2:], call.out().shape[2:], kernel, strides, dilations, extra, strict=True
    ):
        total = max(s * (size - 1) + e + (k - 1) * d + 1 - out, 0)
        pads.append(total // 2 if mode == "SAME_UPPER" else total - total // 2)
    return pads


def col2im(call: Call) -> Expr:
    """Col2Im: sum overlapping blocks back into an image."""
    image = call.out().shape[2:]
    spatial = len(image)
    block = call.need_ints(2, "block shape") if call.value(2) is not None else None
    if block is None:
        raise RefusedError("its block shape is known at run time only")
    strides, dilations = call.attr("strides", [1] * spatial), call.attr("dilations", [1] * spatial)
    pads = call.attr("pads", [0] * 2 * spatial)
    counts = [
        (i + pads[d] + pads[d + spatial] - dilations[d] * (block[d] - 1) - 1) // strides[d] + 1
        for d, i in enumerate(image)
    ]

    def compute(x: te.Tensor) -> te.Tensor:
        ks = [reduce_axis(k, name=f"k{d}") for d, k in enumerate(block)]

        def term(index: tuple[Any, ...]) -> Any:
            inside, place = reaching(index[2:], [k.var for k in ks], pads[:spatial], strides, dilations, counts)
            row, column = index[1] * prod(block), tirx.const(0, "int64")
            for d in range(spatial):
                row = row + ks[d].var * prod(block[d + 1 :])
                column = column + place[d] * prod(counts[d + 1 :])
            return tirx.if_then_else(tirx.all(*inside), x(index[0], row, column), tirx.const(0, x.dtype))

        return kernel(call.out().shape, lambda *i: te.sum(term(i), axis=ks), name="col2im")

    return call.te(compute, call.x(), name="col2im")
