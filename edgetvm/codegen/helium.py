"""What LLVM 22 compiles wrongly for Helium, written in another way."""

from __future__ import annotations

import math

import tvm
import tvm_ffi
from tvm import tirx


def without_scaled_conversions(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """Integers of a vector that become floats times a power of two, by multiply-add with 0.

    LLVM makes one VCVT of conversion and product, and takes a wrong number of fraction bits: 2^-13 for 2^-8.
    Adding 0 changes no result, since an integer never becomes -0.
    """

    def product(node: tirx.Mul) -> tvm.ir.Expr:
        dtype = tvm.DataType(str(node.ty.dtype))
        if int(dtype.lanes) == 1 or "float" not in str(dtype):
            return node
        for value, factor in ((node.a, node.b), (node.b, node.a)):
            if _from_integer(value) and _is_power_of_two(factor):
                zero = tirx.Broadcast(tirx.const(0.0, str(dtype).partition("x")[0]), int(dtype.lanes))
                return tirx.call_llvm_pure_intrin(str(dtype), "llvm.fma", value, factor, zero)
        return node

    body = tvm_ffi.structural_map(func.body, (tirx.Mul, product))
    return tirx.PrimFunc(func.params, body, func.ret_type, func.attrs)


def _from_integer(value: tvm.ir.Expr) -> bool:
    return isinstance(value, tirx.Cast) and "int" in str(value.value.ty.dtype)


def _is_power_of_two(factor: tvm.ir.Expr) -> bool:
    if not isinstance(factor, tirx.Broadcast) or not isinstance(factor.value, tirx.FloatImm):
        return False
    return math.frexp(abs(float(factor.value.value)))[0] == 0.5
