"""Relax's own `quantize` and `dequantize`, rounded as ONNX says: half to even, in single precision.

``quantize(x) = clamp(rint(x / scale) + zero_point)``, ``dequantize(q) = (q - zero_point) * scale``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax, te, tirx
from tvm.ir import Expr


def legalize_quantize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """float32 -> integers of the call's type; scale and zero point of one element, or one along `axis`."""
    dtype = str(expr.ty.dtype)
    info = np.iinfo(dtype)
    axis = int(expr.attrs.axis)

    def compute(x: te.Tensor, *parameters: te.Tensor | Expr) -> te.Tensor:
        def one(*index: Any) -> Any:
            scale, zero = (_parameter(parameter, index, axis).astype("float32") for parameter in parameters)
            value = tirx.nearbyint(x(*index).astype("float32") / scale) + zero
            low, high = tirx.const(info.min, "float32"), tirx.const(info.max, "float32")
            return tirx.max(tirx.min(value, high), low).astype(dtype)

        return te.compute(x.shape, one, name="quantize")

    return builder.call_te(compute, expr.args[0], *_parameters(expr), primfunc_name_hint="quantize")


def legalize_dequantize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """Integers -> float32; scale and zero point of one element, or one along `axis`."""
    dtype = str(expr.ty.dtype)
    axis = int(expr.attrs.axis)

    def compute(x: te.Tensor, *parameters: te.Tensor | Expr) -> te.Tensor:
        def one(*index: Any) -> Any:
            scale, zero = (_parameter(parameter, index, axis) for parameter in parameters)
            value = (x(*index).astype("int32") - zero.astype("int32")).astype("float32")
            return (value * scale.astype("float32")).astype(dtype)

        return te.compute(x.shape, one, name="dequantize")

    return builder.call_te(compute, expr.args[0], *_parameters(expr), primfunc_name_hint="dequantize")


def _parameters(expr: tvm.ir.Call) -> list[Expr]:
    """Scale and zero point; of one element as immediates."""
    values: list[Expr] = []
    for argument in expr.args[1:]:
        if isinstance(argument, tvm.ir.GenericConst) and argument.value.numpy().size == 1:
            values.append(tirx.const(argument.value.numpy().reshape(()).item(), str(argument.ty.dtype)))
        else:
            values.append(argument)
    return values


def _parameter(parameter: te.Tensor | Expr, index: tuple[Any, ...], axis: int) -> Any:
    if not isinstance(parameter, te.Tensor):
        return parameter
    if len(parameter.shape) == 1 and int(parameter.shape[0]) > 1:
        return parameter(index[axis])
    return parameter(*[0] * len(parameter.shape))
