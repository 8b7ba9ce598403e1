"""`edgetvm.prelu`: one factor for the numbers above zero, another for those below, rounded once.

With ``d = x - zero``: ``out = clamp((d * (d < 0 ? negative : positive) + constant) >> shift, low, high)``. The
output's zero point and the rounding constant 2^(shift-1) are in `constant`.
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
    shape_of,
)

NAME = "edgetvm.prelu"

OPERATOR = define(NAME, broadcast_type)


def prelu(
    x: Expr,
    negative: Expr,
    *,
    positive: int,
    zero: int,
    constant: int,
    shift: int,
    low: int,
    high: int,
    dtype: str,
    wide: str,
) -> tvm.ir.Call:
    """`x` of int8 or int16 codes; `negative` a constant of type `wide` that broadcasts to it."""
    line = {"positive": positive, "zero": zero, "constant": constant, "shift": shift}
    return call(OPERATOR, [x, negative], **line, low=low, high=high, dtype=dtype, wide=wide)


def legalize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """The loops of one call."""
    attributes = expr.attrs
    shape, wide = expr.ty.shape, str(attributes["wide"])

    def number(name: str) -> Any:
        return tirx.const(int(attributes[name]), wide)

    def compute(x: te.Tensor, negative: te.Tensor | int) -> te.Tensor:
        def one(*index: Any) -> Any:
            distance = element(x, index, wide) - number("zero")
            factor = tirx.Select(distance < 0, element(negative, index, wide), number("positive"))
            value = (distance * factor + number("constant")) >> number("shift")
            return clamp(value, int(attributes["low"]), int(attributes["high"])).astype(attributes["dtype"])

        return te.compute(shape, one, name="prelu")

    whole = shape_of(expr.args[0].ty) == shape_of(expr.ty)
    attrs = {ELEMENTWISE: 1} if whole else None
    arguments = [expr.args[0], immediate(expr.args[1])]
    return builder.call_te(compute, *arguments, primfunc_name_hint="prelu", primfunc_attrs=attrs)
