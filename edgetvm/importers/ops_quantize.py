"""Quantization: exact in float and int32; a later pass may lower it to integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from .convert import Call, normal_axis
from .graph import RefusedError
from .ops_convolution import channels_first, channels_last, convolve, explicit_pads
from .te_kernel import kernel

CODES = ("int8", "uint8", "int16", "uint16")  # element types of Relax's own quantize and dequantize


def quantize_linear(call: Call) -> Expr:
    """QuantizeLinear: saturate(round_to_even(x / scale) + zero_point), per tensor, axis or block."""
    dtype = call.out().dtype
    if call.attr("precision", 0) not in (0, 1):
        raise RefusedError("a precision other than float is not supported")
    known = _known_parameters(call, dtype)
    if known is not None and call.type().dtype == "float32" and dtype in CODES:
        return relax.op.quantize(call.x(), *known[:2], axis=known[2], out_dtype=dtype)
    parameter = _parameter(call)

    def compute(x: te.Tensor, scale: te.Tensor, *zero: te.Tensor) -> te.Tensor:
        def element(index: tuple[Any, ...]) -> Any:
            value = x(*index).astype("float32") / parameter(scale, index).astype("float32")
            return requantized(value, parameter(zero[0], index) if zero else None, dtype)

        return kernel(call.out().shape, lambda *i: element(i), name="quantize")

    return call.te(compute, *[call.x(i) for i in range(3) if call.has(i)], name="quantize")


def requantized(value: Any, zero: Any, dtype: str) -> Any:
    """saturate(round_to_even(value) + zero) of a float32 scalar."""
    info = np.iinfo(dtype)
    rounded = tirx.nearbyint(value)
    if zero is not None:
        rounded = rounded + zero.astype("float32")
    return tirx.max(tirx.min(rounded, tirx.const(info.max, "float32")), tirx.const(info.min, "float32")).astype(dtype)


def dequantize_linear(call: Call) -> Expr:
    """DequantizeLinear: (x - zero_point) * scale, per tensor, axis or block."""
    dtype = call.out().dtype
    known = _known_parameters(call, call.type().dtype)
    if known is not None and dtype == "float32" and call.type().dtype in (*CODES, "int32"):
        return relax.op.dequantize(call.x(), *known[:2], axis=known[2], out_dtype=dtype)
    parameter = _parameter(call)

    def compute(x: te.Tensor, scale: te.Tensor, *zero: te.Tensor) -> te.Tensor:
        def element(index: tuple[Any, ...]) -> Any:
            value = x(*index).astype("int32")
            if zero:
                value = value - parameter(zero[0], index).astype("int32")
            return (value.astype("float32") * parameter(scale, index).astype("float32")).astype(dtype)

        return kernel(call.out().shape, lambda *i: element(i), name="dequantize")

    return call.te(compute, *[call.x(i) for i in range(3) if call.has(i)], name="dequantize")


def _known_parameters(call: Call, dtype: str) -> tuple[Expr, Expr, int] | None:
    """Constant scale and zero point of the tensor or of each index of an axis; None where they are otherwise."""
    scale, zero = call.value(1), call.value(2)
    if scale is None or scale.dtype != np.float32 or scale.ndim > 1 or (call.has(2) and zero is None):
        return None
    if call.attr("block_size", 0):
        return None
    zero = np.zeros_like(scale, dtype) if zero is None else zero
    if scale.size == 1:
        return call.constant(scale.reshape(())), call.constant(zero.reshape(())), -1
    axis = normal_axis(call.attr("axis", 1), len(call.type().shape))
    return call.constant(scale), call.constant(zero.reshape(scale.shape)), axis


def _parameter(call: Call) -> Any:
    """How a scale or zero point is read for an element: one value, one for each index of an axis, or of a block."""
    rank = len(call.type().shape)
    shape = call.type(1).shape
    block = call.attr("block_size", 0)
    if call.type(1).size == 1 and len(shape) <= 1:
        return lambda tensor, _: tensor(*[0] * len(tensor.shape))
    axis = normal_axis(call.attr("axis", 1), rank)
    if len(shape) == 1:
        return lambda tensor, index: tensor(index[axis])
    if not block:
        raise RefusedError("its scale is no scalar or vector, and there is no block_size")

    def blocked(tensor: te.Tensor, index: Sequence[Any]) -> Any:
        return tensor(*[te.indexdiv(i, block) if d == axis else i for d, i in enumerate(index)])

    return blocked


def matmul_integer(call: Call) -> Expr:
    """MatMulInteger: int32 product of operands less their zero points, those by row of A or column of B."""
    left, right = _shifted(call, 0, 2, row=True), _shifted(call, 1, 3, row=False)
    return relax.op.matmul(left, right)


def _shifted(call: Call, operand: int, zero: int, row: bool) -> Expr:
    value = call.emit(relax.op.astype(call.x(operand), "int32"))
    if not call.has(zero):
        return value
    shift = call.emit(relax.op.astype(call.x(zero), "int32"))
    count = len(call.type(zero).shape)
    if row and count == 1 and call.type(zero).size > 1:
        shift = call.emit(relax.op.expand_dims(shift, -1))
    return call.emit(relax.op.subtract(value, shift))


def conv_integer(call: Call) -> Expr:
    """ConvInteger: int32 convolution of operands less their zero points."""
    rank = len(call.type().shape)
    return channels_first(call, _integer_conv(call, (0, 2), (1, 3)), rank)


def _integer_conv(call: Call, x: tuple[int, int], w: tuple[int, int]) -> Expr:
    shape, kernel = call.type(x[0]).shape, call.type(w[0]).shape[2:]
    spatial = len(shape) - 2
    strides, dilations = call.attr("strides", [1] * spatial), call.attr("dilations", [1] * spatial)
    before, after = explicit_pads(call, shape[2:], kernel, strides, dilations)
    image = channels_last(call, _shifted(call, *x, row=False), spatial + 2)
    weights = call.emit(relax.op.astype(call.x(w[0]), "int32"))
    if call.has(w[1]):
        zero = call.emit(relax.op.astype(call.x(w[1]), "int32"))
        zero = call.emit(relax.op.reshape(zero, (-1, *[1] * (spatial + 1))))
        weights = call.emit(relax.op.subtract(weights, zero))
    weights = call.emit(relax.op.permute_dims(weights, [*range(2, spatial + 2), 1, 0]))
    return convolve(call, image, weights, strides, before, after, dilations, call.attr("group", 1), "int32")
