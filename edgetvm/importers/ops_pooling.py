"""MaxPool, AveragePool and the global pools, channels last inside."""

from __future__ import annotations

from tvm import relax
from tvm.ir import Expr

from .convert import Call
from .graph import Refused
from .ops_convolution import channels_first, channels_last, explicit_pads


def max_pool(call: Call) -> Expr:
    """MaxPool without its index output."""
    return _pool(call, average=False)


def average_pool(call: Call) -> Expr:
    """AveragePool, padding counted or not."""
    return _pool(call, average=True)


def _pool(call: Call, average: bool) -> Expr:
    shape = call.type().shape
    rank = len(shape)
    spatial = rank - 2
    kernel = [int(k) for k in call.attr("kernel_shape")]
    strides = [int(s) for s in call.attr("strides", [1] * spatial)]
    dilations = [int(d) for d in call.attr("dilations", [1] * spatial)]
    before, after = explicit_pads(call, shape[2:], kernel, strides, dilations)
    # Ceil mode and its rules of the last window are settled by the inferred shape: pad up to it.
    reach = [
        (o - 1) * s + (k - 1) * d + 1
        for o, s, k, d in zip(call.out().shape[2:], strides, kernel, dilations, strict=True)
    ]
    needed = [r - i - b for r, i, b in zip(reach, shape[2:], before, strict=True)]
    counted = bool(call.attr("count_include_pad", 0))
    if average and counted and any(n > a for n, a in zip(needed, after, strict=True)):
        raise Refused("ceil_mode with count_include_pad is not supported")
    if not average and call.wants(1):
        raise Refused("the index output is not supported")
    if spatial != 2:
        raise Refused(f"pooling in {spatial} dimensions is not supported")
    pads = [*before, *[max(n, 0) for n in needed]]
    x = channels_last(call, call.x(), rank)
    operator = relax.op.nn.avg_pool2d if average else relax.op.nn.max_pool2d
    result = operator(x, kernel, strides, pads, dilations, False, counted, "NHWC", "NHWC")
    return channels_first(call, call.emit(result), rank)


def global_average_pool(call: Call) -> Expr:
    """Mean over every spatial dimension."""
    return relax.op.mean(call.x(), list(range(2, len(call.type().shape))), keepdims=True)
