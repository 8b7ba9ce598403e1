"""Quantization: exact in float and int32; a later pass may lower it to integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from .convert import Call, normal_axis
from .graph import RefusedError
from .te_kernel import kernel, reduce_axis

CODES = ("int8", "uint8", "int16", "uint16")  # element types of Relax's own quantize and dequantize
_MOST = 255  # the largest uint8
_SMALLEST = float(np.finfo(np.float32).smallest_subnormal)


def quantize_linear(call: Call) -> Expr:
    """QuantizeLinear: saturate(round_to_even(x / scale) + zero_point), per tensor, axis or block."""
    dtype = call.out().dtype
    if call.attr("precision", 0) not in (0, 1):
        raise RefusedError("a precision other than float is not supported")
    _check_parameters(call, dtype, least=_SMALLEST)
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
    # Of weights, whole channels may be zero.
    _check_parameters(call, call.type().dtype, least=0.0 if call.value(0) is not None else _SMALLEST)
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


def _check_parameters(call: Call, dtype: str, least: float) -> None:
    """Refuse a constant scale below `least`, and a zero point that is no code of `dtype`, or not one for each scale."""
    scale = call.value(1)
    if scale is not None:
        wrong = scale[~(np.isfinite(scale) & (scale >= least))]
        if wrong.size:
            raise RefusedError(f"its scale '{call.node.inputs[1]}' is {wrong.reshape(-1)[0]}, not a positive number")
    if not call.has(2):
        return
    name, zero = call.node.inputs[2], call.type(2)
    if zero.dtype != dtype:
        raise RefusedError(f"its zero point '{name}' is {zero.dtype}, its quantized tensor {dtype}")
    if zero.size not in (1, call.type(1).size):
        raise RefusedError(f"its zero point '{name}' has {zero.size} values, its scale {call.type(1).size}")


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
    return call.constant(scale), call.constant(np.broadcast_to(zero.reshape(-1), scale.shape)), axis


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


def dynamic_quantize_linear(call: Call) -> Sequence[Expr]:
    """DynamicQuantizeLinear: uint8 codes for the range of the tensor itself and 0, their scale and zero point.

    Of zeros alone the scale is 1, as in ONNX Runtime; ONNX leaves it open.
    """

    def extreme(reducer: Callable[..., Any], x: te.Tensor) -> te.Tensor:
        """Of each row: whole rows are reduced in vectors, and few numbers are left."""
        k = reduce_axis(int(x.shape[1]), "k")
        return kernel((int(x.shape[0]),), lambda row: reducer(x(row, k), axis=k), name="extreme")

    def parameters(lows: te.Tensor, highs: te.Tensor) -> list[te.Tensor]:
        j, k = (reduce_axis(int(lows.shape[0]), name) for name in "jk")
        low = kernel((), lambda: te.min(lows(j), axis=j), name="low")
        high = kernel((), lambda: te.max(highs(k), axis=k), name="high")

        def scale() -> Any:
            width = tirx.max(high(), tirx.const(0, "float32")) - _least(low)
            step = width / tirx.const(_MOST, "float32")
            return tirx.Select(width > 0, step, tirx.const(1, "float32"))

        step = kernel((), scale, name="scale")
        zero = kernel((), lambda: _clamped(-(_least(low) / step())), name="zero_point")
        return [step, zero]

    def quantize(x: te.Tensor, scale: te.Tensor, zero: te.Tensor) -> te.Tensor:
        return kernel(x.shape, lambda *i: requantized(x(*i) / scale(), zero(), "uint8"), name="quantize")

    length = call.type().shape[-1] if call.type().shape else 1
    rows = call.emit(relax.op.reshape(call.x(), (-1, length)))
    lows, highs = (call.te(partial(extreme, reducer), rows, name="extreme") for reducer in (te.min, te.max))
    scale, zero = call.outputs(call.te(parameters, lows, highs, name="range"), 2)
    return [call.te(quantize, call.x(), scale, zero, name="quantize"), scale, zero]


def _least(low: te.Tensor) -> Any:
    return tirx.min(low(), tirx.const(0, "float32"))


def _clamped(value: Any) -> Any:
    limited = tirx.max(tirx.min(value, tirx.const(_MOST, "float32")), tirx.const(0, "float32"))
    return tirx.nearbyint(limited).astype("uint8")
