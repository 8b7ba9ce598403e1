"""`edgetvm.lookup`: any function of one 8-bit value, by a table of its 256 results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import relax, te
from tvm.ir import Expr

from edgetvm.operators.define import ELEMENTWISE, Attributes, call, define, shape_of

NAME = "edgetvm.lookup"
CODES = 256


def _infer(types: Sequence[relax.TensorType], _: Attributes) -> relax.TensorType:
    return relax.TensorType(shape_of(types[0]), str(types[1].dtype))


OPERATOR = define(NAME, _infer)


def lookup(x: Expr, table: Expr) -> tvm.ir.Call:
    """``table[x + 128]`` of int8 `x`; `table` has 256 elements."""
    return call(OPERATOR, [x, table])


def legalize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """The loops of one call."""

    def compute(x: te.Tensor, table: te.Tensor) -> te.Tensor:
        def one(*index: Any) -> Any:
            return table(x(*index).astype("int32") + CODES // 2)

        return te.compute(x.shape, one, name="lookup")

    return builder.call_te(compute, *expr.args, primfunc_name_hint="lookup", primfunc_attrs={ELEMENTWISE: 1})
