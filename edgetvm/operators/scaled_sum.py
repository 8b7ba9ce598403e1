"""`edgetvm.scaled_sum`: a sum of quantized tensors, each with its own factor, rounded once.

``out = clamp((x1 * m1 + x2 * m2 + ... + constant) >> shift, low, high)``. The factors, the zero points and the
rounding constant 2^(shift-1) are folded into the m and `constant` at compile time, chosen so that nothing
overflows the type `wide` in which the sum is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    shape_of,
)

NAME = "edgetvm.scaled_sum"

OPERATOR = define(NAME, broadcast_type)


def scaled_sum(
    terms: Sequence[tuple[Expr, Expr]], constant: Expr, *, shift: int, low: int, high: int, dtype: str, wide: str
) -> tvm.ir.Call:
    """`terms` are (tensor, multiplier): multipliers and `constant` are constants of type `wide` that broadcast."""
    arguments = [side for term in terms for side in term]
    return call(OPERATOR, [*arguments, constant], shift=shift, low=low, high=high, dtype=dtype, wide=wide)


def legalize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """The loops of one call."""
    attributes = expr.attrs
    shape, wide = expr.ty.shape, str(attributes["wide"])
    last = len(expr.args) - 1
    tensors = range(0, last, 2)
    operands = [argument if i in tensors else immediate(argument) for i, argument in enumerate(expr.args)]

    def compute(*parts: te.Tensor | int) -> te.Tensor:
        def one(*index: Any) -> Any:
            values = [element(part, index, wide) for part in parts]
            total = values[-1]
            for x, m in zip(values[:-1:2], values[1::2], strict=True):
                total = total + x * m
            shifted = total >> tirx.const(int(attributes["shift"]), wide)
            return clamp(shifted, int(attributes["low"]), int(attributes["high"])).astype(attributes["dtype"])

        return te.compute(shape, one, name="scaled_sum")

    whole = all(shape_of(expr.args[i].ty) == shape_of(expr.ty) for i in tensors)
    attrs = {ELEMENTWISE: 1} if whole else None
    return builder.call_te(compute, *operands, primfunc_name_hint="scaled_sum", primfunc_attrs=attrs)
