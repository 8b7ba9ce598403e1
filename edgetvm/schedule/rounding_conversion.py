"""Floats that become codes, by the conversion to the nearest integer that Arm's scalar floating point has: vcvtr.

    int8(max(min(nearbyint(x) + zero, 127), -128))  ->  ssat8(ssat24(vcvtr(x)) + zero)

The conversion rounds half to even, as nearbyint does, and saturates to 32 bits. A zero point of at most 16 bits added
to 24 bits cannot wrap, and what was cut is beyond the codes with it and without. What is no number becomes the zero
point.
"""

from __future__ import annotations

import numpy as np
import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Expr

_SPARE_BITS = 24
_CODES = ("int8", "int16")


def replace_rounding(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """The function with such conversions."""
    body = tvm_ffi.structural_map(func.body, (tirx.Cast, _convert))
    return tirx.PrimFunc(func.params, body, func.ret_type, func.attrs)


def _convert(cast: tirx.Cast) -> Expr:
    dtype = str(cast.ty.dtype)
    if dtype not in _CODES or not isinstance(cast.value, tirx.Max) or not isinstance(cast.value.a, tirx.Min):
        return cast
    info = np.iinfo(dtype)
    if _number(cast.value.b) != info.min or _number(cast.value.a.b) != info.max:
        return cast
    rounded: Expr = cast.value.a.a
    zero: float | None = 0.0
    if isinstance(rounded, tirx.Add):
        rounded, zero = rounded.a, _number(rounded.b)
    if not isinstance(rounded, Call) or getattr(rounded.op, "name", "") != "tirx.nearbyint":
        return cast
    if zero is None or not info.min <= zero <= info.max:
        return cast
    bits = tirx.call_llvm_pure_intrin("float32", "llvm.arm.vcvtr", rounded.args[0])
    whole = _saturate(tirx.reinterpret("int32", bits), _SPARE_BITS)
    return tirx.Cast(dtype, _saturate(whole + tirx.const(int(zero), "int32"), info.bits))


def _number(value: Expr) -> float | None:
    return float(value.value) if isinstance(value, tirx.FloatImm) and str(value.ty.dtype) == "float32" else None


def _saturate(value: Expr, bits: int) -> Expr:
    return tirx.call_llvm_pure_intrin("int32", "llvm.arm.ssat", value, tirx.const(bits, "int32"))
