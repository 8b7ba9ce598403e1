"""`quantize` and `dequantize` themselves: numbers that codes stand for, and codes of another type."""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.errors import UnsupportedError
from edgetvm.importers.types import TensorInfo
from edgetvm.operators.scaled_sum import scaled_sum
from edgetvm.passes.integer.calls import SIGNED, parameters_of, shift_of
from edgetvm.passes.integer.context import Context, constant, dtype_of, shape_of
from edgetvm.passes.integer.emit import quantized
from edgetvm.passes.integer.real import LAZY, Accumulated, Constant, Goal, Integer, Quantized, Value


def quantize(context: Context, call: tvm.ir.Call, x: Value, real: Expr | None) -> Integer | None:
    """The codes of `x`; of a number known in float only, of `real`. None for scales that are no constant of a tensor.

    Raises UnsupportedError that names the tensor.
    """
    wanted, parameters = str(call.ty.dtype), parameters_of(call)
    if parameters is None or wanted not in SIGNED:
        return None
    scale, zero = parameters
    dtype = SIGNED[wanted]
    info = np.iinfo(dtype)
    shift = shift_of(wanted)
    _check(context, scale)
    if isinstance(x, LAZY):
        try:
            goal = Goal(scale, zero - shift, dtype, int(info.min), int(info.max))
            return Integer(quantized(context, x, goal), shift, scale, zero)
        except (ValueError, OverflowError) as error:
            raise UnsupportedError(f"tensor '{context.name}' cannot be quantized: {error}") from error
    if real is None:
        return None
    arguments = [relax.const(np.float32(scale)), relax.const(np.asarray(zero - shift, dtype))]
    return Integer(context.emit(relax.op.quantize(real, *arguments, out_dtype=dtype)), shift, scale, zero)


def held(expr: Expr, info: TensorInfo, dtype: str) -> Integer:
    """Codes that a caller gives, where the model has `dtype`; `info` says what they mean."""
    shift = shift_of(dtype)
    return Integer(expr, shift, info.scale, None if info.zero_point is None else info.zero_point + shift)


def dequantize(context: Context, call: tvm.ir.Call, x: Value) -> Value | None:
    """The number that codes stand for; None where the parameters vary at run time or within an activation."""
    if isinstance(x, Constant):
        return _constant(call, x)
    parameters = parameters_of(call)
    if not isinstance(x, Integer) or parameters is None:
        return None
    scale, zero = parameters
    _check(context, scale)
    dtype = dtype_of(x.expr)
    if dtype == "int32":
        ones = (1,) * len(shape_of(x.expr))
        offset = np.full(ones, -zero, np.int64)
        return Accumulated(x.expr, np.full(ones, scale), offset, (1 << 31) - 1, context.nodes)
    if dtype not in SIGNED:
        return None
    shift = x.shift
    if dtype != SIGNED[dtype]:
        shift = shift_of(dtype)
        x = Integer(shifted(context, x.expr, -shift, SIGNED[dtype]), shift)
    return Quantized(x.expr, scale, zero - shift)


def shifted(context: Context, expr: Expr, shift: int, dtype: str) -> Expr:
    """Codes of another type: ``expr + shift``."""
    info = np.iinfo(dtype)
    one, offset = constant(np.asarray(1), "int32"), constant(np.asarray(shift), "int32")
    return context.emit(
        scaled_sum([(expr, one)], offset, shift=0, low=info.min, high=info.max, dtype=dtype, wide="int32")
    )


def _check(context: Context, scale: float) -> None:
    if not 0.0 < scale < float("inf"):
        place = f"tensor '{context.name}'"
        raise UnsupportedError(f"{place} has the scale {scale}", "it must be a positive number: quantize again")


def _constant(expr: tvm.ir.Call, codes: Constant) -> Constant | None:
    """Dequantized constants."""
    if not all(isinstance(argument, tvm.ir.GenericConst) for argument in expr.args[1:]):
        return None
    shape, axis = codes.values.shape, int(expr.attrs.axis)
    spread = []
    for argument in expr.args[1:]:
        array = argument.value.numpy()
        if array.size > 1:
            array = array.reshape([-1 if i == axis % len(shape) else 1 for i in range(len(shape))])
        spread.append(np.broadcast_to(array.reshape(array.shape if array.size > 1 else (1,) * len(shape)), shape))
    scale, zero = spread[0].astype(np.float64), spread[1].astype(np.int64)
    integers = codes.values.astype(np.int64)
    shift = shift_of(codes.values.dtype.name) if codes.values.dtype.name in SIGNED else 0
    if shift:
        integers, zero = integers - shift, zero - shift
    return Constant(scale * (integers - zero), integers, scale, zero)
