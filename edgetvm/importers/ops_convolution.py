"""Conv, channels last inside: transpose in, convolve NHWC x HWIO, add the bias, transpose out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import relax
from tvm.ir import Expr

from .convert import Call
from .graph import RefusedError


def channels_last(call: Call, x: Expr, rank: int) -> Expr:
    """[N, C, spatial...] -> [N, spatial..., C]."""
    return call.emit(relax.op.permute_dims(x, [0, *range(2, rank), 1]))


def channels_first(call: Call, x: Expr, rank: int) -> Expr:
    """[N, spatial..., C] -> [N, C, spatial...]."""
    return call.emit(relax.op.permute_dims(x, [0, rank - 1, *range(1, rank - 1)]))


def explicit_pads(
    call: Call,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> tuple[list[int], list[int]]:
    """Padding before and after each spatial dimension, `auto_pad` resolved."""
    count = len(sizes)
    mode = call.attr("auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        pads = [int(p) for p in call.attr("pads", [0] * 2 * count)]
        if len(pads) != 2 * count:
            raise RefusedError(f"pads has {len(pads)} values for {count} spatial dimensions")
        return pads[:count], pads[count:]
    if mode == "VALID":
        return [0] * count, [0] * count
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise RefusedError(f"auto_pad {mode} does not exist")
    before, after = [], []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        small = total // 2
        before.append(small if mode == "SAME_UPPER" else total - small)
        after.append(total - small if mode == "SAME_UPPER" else small)
    return before, after


def check_same(out: Sequence[int], wanted: Sequence[int]) -> None:
    """Refuse auto_pad SAME_* where another attribute bends the output's shape: implementations disagree then."""
    if list(out) != list(wanted):
        raise RefusedError(f"auto_pad asks for {list(wanted)} where shape inference finds {list(out)}")


def conv(call: Call) -> Expr:
    """Conv in 1, 2 or 3 dimensions, grouped or not; 1-D runs as 2-D of height 1."""
    rank = len(call.type().shape)
    spatial = rank - 2
    if spatial not in (1, 2, 3):
        raise RefusedError(f"convolution in {spatial} dimensions is not supported")
    kernel = list(call.type(1).shape[2:])
    if list(call.attr("kernel_shape", kernel)) != kernel:
        raise RefusedError("kernel_shape differs from the shape of its weights")
    strides = [int(s) for s in call.attr("strides", [1] * spatial)]
    dilations = [int(d) for d in call.attr("dilations", [1] * spatial)]
    before, after = explicit_pads(call, call.type().shape[2:], kernel, strides, dilations)
    x, w = channels_last(call, call.x(), rank), _weights(call, spatial)
    half = call.out().dtype == "float16"
    if half:
        x, w = (call.emit(relax.op.astype(side, "float32")) for side in (x, w))
    result = convolve(call, x, w, strides, before, after, dilations, call.attr("group", 1))
    result = call.emit(relax.op.astype(result, "float16")) if half else result
    if call.has(2):
        result = call.emit(relax.op.add(result, call.x(2)))
    return channels_first(call, result, rank)


def convolve(
    call: Call,
    x: Expr,
    w: Expr,
    strides: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
    dilations: Sequence[int],
    groups: int,
    out_dtype: str | None = None,
) -> Expr:
    """Channels-last convolution of `x` with `w` [spatial..., C / groups, M]."""
    spatial = len(strides)
    if min([*before, *after]) < 0:
        raise RefusedError("negative padding is not supported")
    if spatial == 3:
        return call.emit(
            relax.op.nn.conv3d(
                x, w, list(strides), [*before, *after], list(dilations), groups, "NDHWC", "DHWIO", "NDHWC", out_dtype
            )
        )
    flat = spatial == 1
    if flat:
        x, w = call.emit(relax.op.expand_dims(x, 1)), call.emit(relax.op.expand_dims(w, 0))
        strides, dilations, before, after = [1, *strides], [1, *dilations], [0, *before], [0, *after]
    result = call.emit(
        relax.op.nn.conv2d(
            x, w, list(strides), [*before, *after], list(dilations), groups, "NHWC", "HWIO", "NHWC", out_dtype
        )
    )
    return call.emit(relax.op.squeeze(result, [1])) if flat else result


def _weights(call: Call, spatial: int) -> Expr:
    """[M, C / groups, kernel...] -> [kernel..., C / groups, M]; at import if it is constant."""
    axes = [*range(2, spatial + 2), 1, 0]
    value = call.value(1)
    if value is not None:
        return call.constant(np.transpose(value, axes))
    return call.emit(relax.op.permute_dims(call.x(1), axes))
