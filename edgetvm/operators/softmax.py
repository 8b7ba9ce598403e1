"""`edgetvm.softmax`: softmax of each row of codes, by a table of powers and one division a row.

With ``d = max(x) - x`` of the row's codes, the power e is 2^20 * exp(-scale * d), rounded:

- of 8 bits ``e = table[d]``;
- of 16 bits ``e = (table[256 + min(d >> 8, n)] * table[d & 255] + 2^39) >> 40``, both factors times 2^30; the
  table ends with n, the first high byte that makes every power 0.

Then ``inverse = floor(2^50 / sum e)``, in short rows by divisions of 32 bits, ``p = (e * inverse) >> 20``, the
probability times 2^30, and ``out = clamp(((p * multiplier + 2^(shift-1)) >> shift) + zero_point, low, high)``.
The largest code alone gives 2^20, so the sum is at least that and p below 2^31.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax, te, tirx
from tvm.ir import Expr

from edgetvm.operators.define import Attributes, call, clamp, define, shape_of
from edgetvm.operators.rows import Cell, per_row

NAME = "edgetvm.softmax"
POWER_BITS = 20  # of exp(0)
PROBABILITY_BITS = 30  # of probability 1
_FACTOR_BITS = 30  # of each of the two factors of a power
_SPARE_BITS = 2 * _FACTOR_BITS - POWER_BITS  # that the product of both has more than a power
_BYTE = 256
_WORD_BITS = 32
_LEAST_DIGIT = 6  # five divisions a row at most


def _infer(types: Sequence[relax.TensorType], attributes: Attributes) -> relax.TensorType:
    return relax.TensorType(shape_of(types[0]), attributes["dtype"])


OPERATOR = define(NAME, _infer)


def softmax(
    x: Expr, table: Expr, *, multiplier: int, shift: int, zero_point: int, low: int, high: int, dtype: str
) -> tvm.ir.Call:
    """`x` [rows, elements] of int8 or int16 codes, `table` of `powers`; codes of `dtype`."""
    scaled = {"multiplier": multiplier, "shift": shift, "zero_point": zero_point}
    return call(OPERATOR, [x, table], **scaled, low=low, high=high, dtype=dtype)


def powers(scale: float, dtype: str) -> npt.NDArray[np.int64]:
    """The table for codes of `dtype`: 256 powers of int8, of int16 those of the low bytes and then of the high ones."""
    steps = np.arange(_BYTE, dtype=np.float64)
    if dtype == "int8":
        return np.asarray(np.rint(np.exp(-scale * steps) * (1 << POWER_BITS)), np.int64)
    low, high = (np.rint(np.exp(-scale * part) * (1 << _FACTOR_BITS)) for part in (steps, steps * _BYTE))
    vanishing = np.flatnonzero(high < 1 << (_SPARE_BITS - _FACTOR_BITS - 1))
    return np.asarray(np.concatenate([low, high[: vanishing[0] + 1] if len(vanishing) else high]), np.int64)


def legalize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """The loops of one call: maximum, sum, inverse, result."""
    attributes = expr.attrs
    rows, length = shape_of(expr.ty)
    wide = "int32" if length << POWER_BITS < 1 << 31 else "int64"
    zero, places = int(attributes["zero_point"]), int(attributes["shift"])
    low, high = int(attributes["low"]), int(attributes["high"])

    digits = _digit_bits(length)

    def invert(inputs: Sequence[Any], results: Sequence[Cell], _: Sequence[Cell]) -> list[tirx.Stmt]:
        if digits:
            return _divide_by_words(inputs[0], results[0], digits)
        one = tirx.const(1 << (POWER_BITS + PROBABILITY_BITS), "int64")
        return [results[0].set(tirx.truncdiv(one, inputs[0]))]

    def compute(x: te.Tensor, table: te.Tensor) -> te.Tensor:
        j, k = (te.reduce_axis((0, length), name) for name in "jk")
        largest = te.compute((rows,), lambda r: te.max(x(r, j), axis=j), name="largest")

        def power(r: Any, i: Any) -> Any:
            distance = largest(r).astype("int32") - x(r, i).astype("int32")
            if x.dtype == "int8":
                return table(distance)
            last = int(table.shape[0]) - 1 - _BYTE
            high = table(tirx.min(distance >> 8, last) + _BYTE).astype("int64")
            both = high * table(distance & (_BYTE - 1)).astype("int64")
            return ((both + tirx.const(1 << (_SPARE_BITS - 1), "int64")) >> _SPARE_BITS).astype("int32")

        total = te.compute((rows,), lambda r: te.sum(power(r, k).astype(wide), axis=k), name="total")
        (inverse,) = per_row(rows, [total], 1, invert, "inverse")

        def one(r: Any, i: Any) -> Any:
            probability = (power(r, i).astype("int64") * inverse(r)) >> POWER_BITS
            half = tirx.const(1 << (places - 1), "int64")
            scaled = (probability * tirx.const(int(attributes["multiplier"]), "int64") + half) >> places
            return clamp(scaled + zero, low, high).astype(attributes["dtype"])

        return te.compute((rows, length), one, name="softmax")

    return builder.call_te(compute, *expr.args, primfunc_name_hint="softmax")


def _digit_bits(length: int) -> int:
    """Bits of the quotient that a division of 32 bits gives, as many each time; 0 where a row needs too many."""
    spare = _WORD_BITS - (length << POWER_BITS).bit_length()
    return max((bits for bits in range(_LEAST_DIGIT, spare + 1) if PROBABILITY_BITS % bits == 0), default=0)


def _divide_by_words(total: Any, inverse: Cell, bits: int) -> list[tirx.Stmt]:
    """``inverse = floor(2^50 / total)``, digit by digit, without the 500 bytes that divide 64 bits on 32-bit cores."""
    statements: list[tirx.Stmt] = []

    def let(name: str, value: Any) -> Any:
        variable = tirx.Var(name, "uint32")
        statements.append(tirx.Bind(variable, value))
        return variable

    divisor = let("divisor", total.astype("uint32"))
    rest, quotient = tirx.const(1 << POWER_BITS, "uint32"), tirx.const(0, "uint32")
    places = tirx.const(bits, "uint32")
    for _ in range(PROBABILITY_BITS // bits):
        shifted = let("shifted", rest << places)
        digit = let("digit", tirx.truncdiv(shifted, divisor))
        rest = let("rest", shifted - digit * divisor)
        quotient = let("quotient", (quotient << places) + digit)
    return [*statements, inverse.set(quotient.astype("int64"))]
