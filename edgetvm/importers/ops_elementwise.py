"""Arithmetic, comparison and selection, element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from .convert import Call, Converter
from .graph import FLOATS
from .te_pointwise import like, pointwise


def unary(operator: Callable[[Expr], Expr]) -> Converter:
    """A converter of a one-to-one operator; half precision is computed in single."""

    def convert(call: Call) -> Expr:
        dtype = call.out().dtype
        if dtype != "float16":
            return operator(call.x())
        return relax.op.astype(call.emit(operator(call.emit(relax.op.astype(call.x(), "float32")))), dtype)

    return convert


def binary(operator: Callable[[Expr, Expr], Expr]) -> Converter:
    """A converter of a broadcasting operator of two operands."""

    def convert(call: Call) -> Expr:
        result = operator(operand(call, 0, 1), operand(call, 1, 0))
        return result if call.out().shape else relax.op.reshape(call.emit(result), [])

    return convert


def variadic(operator: Callable[[Expr, Expr], Expr]) -> Converter:
    """A converter of an operator over one or more broadcasting operands."""

    def convert(call: Call) -> Expr:
        if call.count == 1:
            return call.x()
        result = call.x()
        for index in range(1, call.count):
            result = call.emit(operator(result, call.x(index)))
        return result

    return convert


def mean(call: Call) -> Expr:
    """Mean of its operands."""
    total = variadic(relax.op.add)(call)
    return relax.op.divide(total, call.constant(call.count, call.out().dtype))


def operand(call: Call, index: int, other: int) -> Expr:
    """Input `index`; a constant of one element becomes a scalar, which kernels hold as an immediate.

    Zero stays in memory: TVM takes x * 0.0 and 0.0 / x for 0.0, whatever x is.
    """
    value = call.value(index)
    # Immediates are int64.
    if value is None or value.size != 1 or value.dtype == np.uint64 or call.out().shape != call.type(other).shape:
        return call.x(index)
    is_zero = value.dtype.name in FLOATS and not value.any()
    return call.constant(value.reshape((1,) if is_zero else ()))


def reciprocal(call: Call) -> Expr:
    """Reciprocal."""
    return relax.op.divide(call.constant(1.0, call.out().dtype), call.x())


def divide(call: Call) -> Expr:
    """Div; of integers it truncates toward zero."""
    if call.out().dtype in FLOATS:
        return relax.op.divide(operand(call, 0, 1), operand(call, 1, 0))
    return pointwise(call, te.truncdiv, call.x(), call.x(1), name="div")


def modulo(call: Call) -> Expr:
    """Mod: the sign of the divisor, or with fmod that of the dividend."""
    dtype = call.out().dtype
    if dtype in FLOATS:
        wide = "float64" if dtype == "float64" else "float32"
        symbol = "fmod" if dtype == "float64" else "fmodf"

        def compute(a: Any, b: Any) -> Any:
            a, b = a.astype(wide), b.astype(wide)
            rest = tirx.call_pure_extern(wide, symbol, a, b)
            if not call.attr("fmod", 0):
                zero = like(rest, 0)
                wrong = tirx.any(tirx.all(rest < zero, b > zero), tirx.all(rest > zero, b < zero))
                # A zero takes the sign of the divisor as well.
                rest = tirx.Select(wrong, rest + b, tirx.Select(rest == zero, tirx.copysign(zero, b), rest))
            return rest.astype(dtype)

        return pointwise(call, compute, call.x(), call.x(1), name="mod")
    return pointwise(call, te.truncmod if call.attr("fmod", 0) else te.floormod, call.x(), call.x(1), name="mod")


def power(call: Call) -> Expr:
    """Pow; small constant exponents become products, integers go by double precision."""
    dtype = call.out().dtype
    exponent = call.value(1)
    if exponent is not None and exponent.size == 1 and call.out().shape == call.type().shape:
        value = float(exponent.reshape(()))
        if value == 2.0:
            return relax.op.multiply(call.x(), call.x())
        if value == 0.5 and dtype in ("float32", "float64"):
            return relax.op.sqrt(call.x())
    wide = {"float32": "float32", "float16": "float32"}.get(dtype, "float64")

    def compute(base: Any, exponent: Any) -> Any:
        return te.power(base.astype(wide), exponent.astype(wide)).astype(dtype)

    return pointwise(call, compute, call.x(), call.x(1), name="pow")


def shift(call: Call) -> Expr:
    """BitShift; by all bits or more, or by a negative count, only the fill remains."""
    left = call.attr("direction") == "LEFT"
    bits = np.dtype(call.out().dtype).itemsize * 8
    signed = np.dtype(call.out().dtype).kind == "i"

    def compute(x: Any, count: Any) -> Any:
        fits = tirx.all(count >= 0, count < bits) if signed else count < bits
        safe = count & like(count, bits - 1)
        if left:
            return tirx.Select(fits, tirx.shift_left(x, safe), like(x, 0))
        fill = tirx.shift_right(x, like(x, bits - 1)) if signed else like(x, 0)
        return tirx.Select(fits, tirx.shift_right(x, safe), fill)

    return pointwise(call, compute, call.x(), call.x(1), name="bitshift")


def where(call: Call) -> Expr:
    """Where."""
    return pointwise(call, tirx.Select, call.x(), call.x(1), call.x(2), name="where")


def compare(operator: Callable[[Expr, Expr], Expr]) -> Converter:
    """A converter of a comparison; bool compares as a number."""

    def convert(call: Call) -> Expr:
        if call.type().dtype != "bool":
            return operator(operand(call, 0, 1), operand(call, 1, 0))
        sides = [call.emit(relax.op.astype(call.x(index), "int8")) for index in (0, 1)]
        return operator(sides[0], sides[1])

    return convert


def cast(call: Call) -> Expr:
    """Cast, CastLike; to bool is true for what is not zero."""
    if call.type().dtype == call.out().dtype:
        return call.x()
    if call.out().dtype == "bool":
        return pointwise(call, lambda x: x != like(x, 0), call.x(), name="cast")
    return relax.op.astype(call.x(), call.out().dtype)


def bit_cast(call: Call) -> Expr:
    """BitCast between types of one width."""
    dtype = call.out().dtype
    if "bool" in (dtype, call.type().dtype):
        return cast(call)
    return pointwise(call, lambda x: tirx.reinterpret(dtype, x), call.x(), name="bitcast")


def is_infinite(call: Call) -> Expr:
    """IsInf of either or both signs."""
    negative, positive = call.attr("detect_negative", 1), call.attr("detect_positive", 1)

    def compute(x: Any) -> Any:
        found = [x == like(x, sign * float("inf")) for sign, on in ((-1, negative), (1, positive)) if on]
        return tirx.any(*found) if found else tirx.const(False, "bool")

    return pointwise(call, compute, call.x(), name="isinf")


def is_nan(call: Call) -> Expr:
    """IsNaN."""
    return pointwise(call, lambda x: tirx.isnan(x.astype("float64")), call.x(), name="isnan")


def clip(call: Call) -> Expr:
    """Clip: one relax.clip if its bounds are constant."""
    dtype = call.out().dtype
    info = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    if call.node.version < 11:
        bounds: list[Any] = [call.attr("min", info.min), call.attr("max", info.max)]
    elif all(not call.has(i) or call.value(i) is not None for i in (1, 2)):
        bounds = [
            call.need(i, "bound").reshape(-1)[0].item() if call.has(i) else limit
            for i, limit in ((1, info.min), (2, info.max))
        ]
    else:
        result = call.x()
        if call.has(1):
            result = call.emit(relax.op.maximum(result, call.x(1)))
        return relax.op.minimum(result, call.x(2)) if call.has(2) else result
    kind = float if dtype in FLOATS else int
    low, high = kind(bounds[0]), kind(bounds[1])
    if dtype not in ("float32", "float64", "int32", "int8", "uint8", "int16"):
        result = call.emit(relax.op.maximum(call.x(), call.constant(low, dtype)))
        return relax.op.minimum(result, call.constant(high, dtype))
    return relax.op.clip(call.x(), min(low, high), high)  # ONNX: the upper bound wins
