"""`edgetvm.requantize`: accumulators -> quantized values.

``out = clamp(((acc * multiplier + 2^(shift-1)) >> shift) + zero_point, low, high)``, the product in 64 bits.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax, te, tirx
from tvm.ir import Expr

from edgetvm.operators.define import (
    ELEMENTWISE,
    broadcast_type,
    call,
    clamp,
    define,
    element,
    immediate,
)

NAME = "edgetvm.requantize"
ACCUMULATOR_BITS = 31  # with a shift of at least so much, an int32 accumulator gives an int32

OPERATOR = define(NAME, broadcast_type)


def requantize(
    acc: Expr, multiplier: Expr, shift: Expr, *, zero_point: int, low: int, high: int, dtype: str, bound: int = 0
) -> tvm.ir.Call:
    """`acc` int32 or int64; `multiplier` and `shift` (1..62) int32 constants that broadcast to it.

    `bound` is the largest size of an element of `acc`, 0 if it is not known.
    """
    codes = {"zero_point": zero_point, "low": low, "high": high, "dtype": dtype}
    return call(OPERATOR, [acc, multiplier, shift], **codes, bound=bound)


def legalize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """The loops of one call."""
    # Multipliers are read even if there is one: kernels that differ in it alone are then the same.
    acc, multiplier, shift = expr.args[0], expr.args[1], immediate(expr.args[2])
    attributes = expr.attrs
    shape = expr.ty.shape
    # Of shifts that differ one more is asked, which kernels in vectors rely on: then all round a high word.
    enough = ACCUMULATOR_BITS if isinstance(shift, int) else ACCUMULATOR_BITS + 1
    narrow = _least(expr.args[2]) >= enough and str(acc.ty.dtype) == "int32"
    zero = int(attributes["zero_point"])
    low, high = int(attributes["low"]) - zero, int(attributes["high"]) - zero

    def compute(x: te.Tensor, m: te.Tensor, s: te.Tensor | int) -> te.Tensor:
        def one(*index: Any) -> Any:
            places = element(s, index, "int64")
            half = tirx.const(1, "int64") << (places - 1)
            value = (element(x, index, "int64") * element(m, index, "int64") + half) >> places
            value = value.astype("int32") if narrow else value
            return (clamp(value, low, high) + tirx.const(zero, str(value.ty.dtype))).astype(attributes["dtype"])

        return te.compute(shape, one, name="requantize")

    return builder.call_te(
        compute, acc, multiplier, shift, primfunc_name_hint="requantize", primfunc_attrs={ELEMENTWISE: 1}
    )


def _least(shift: Expr) -> int:
    """The smallest of constant shifts."""
    return int(shift.value.numpy().min()) if isinstance(shift, tvm.ir.GenericConst) else 0
