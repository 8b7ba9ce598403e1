"""`edgetvm.layer_norm`: layer normalization of each row of codes, by an integer root and one division a row.

Of a row of N codes x with sum S and sum of squares Q, ``c = N * x - S`` and ``V = N * Q - S^2`` are exact, and
``(x - mean) / sqrt(variance + epsilon) = c / sqrt(V + E)`` with ``E = epsilon * (N / scale)^2``. In integers:

- ``W = V * 4^fraction + round(E * 4^fraction)``, at least 1;
- ``R = floor(sqrt(W * 4^k))`` with the k that brings ``W * 4^k`` into 2^60..2^62, so R has 31 bits;
- ``I = floor(2^61 / R)`` and ``places = max(41 - fraction - k, 1)``;
- ``y = (c * I + 2^(places-1)) >> places``, the normalized number times 2^20;
- ``out = clamp((y * gamma + beta) >> shift, low, high)``.

`gamma`, `beta` hold the factors, the zero point and the rounding constant 2^(shift-1), all times 2^shift.
Where V is 0, all c are 0: only there can places be cut at 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import relax, te, tirx
from tvm.ir import Expr

from edgetvm.operators.define import Attributes, call, clamp, define, shape_of
from edgetvm.operators.rows import Cell, per_row

NAME = "edgetvm.layer_norm"
NORMAL_BITS = 20  # of the normalized 1
SQUARE_BITS = 62  # W * 4^k stays below 2^62
_ROOT_BITS = SQUARE_BITS // 2
_INVERSE_BITS = 61


def _infer(types: Sequence[relax.TensorType], attributes: Attributes) -> relax.TensorType:
    return relax.TensorType(shape_of(types[0]), attributes["dtype"])


OPERATOR = define(NAME, _infer)


def layer_norm(
    x: Expr,
    gamma: Expr,
    beta: Expr,
    *,
    fraction: int,
    epsilon: int,
    shift: int,
    low: int,
    high: int,
    dtype: str,
) -> tvm.ir.Call:
    """`x` [rows, N] of int8 or int16 codes; `gamma` int32 and `beta` int64 [N]; `epsilon` is E * 4^fraction."""
    attributes = {"fraction": fraction, "epsilon": epsilon, "shift": shift}
    return call(OPERATOR, [x, gamma, beta], **attributes, low=low, high=high, dtype=dtype)


def legalize(builder: relax.BlockBuilder, expr: tvm.ir.Call) -> Expr:
    """The loops of one call: sums, what each row divides by, result."""
    attributes = expr.attrs
    rows, length = shape_of(expr.ty)
    fraction, epsilon = int(attributes["fraction"]), int(attributes["epsilon"])
    narrow = str(expr.args[0].ty.dtype) == "int8" and length << 14 < 1 << 31
    wide = "int32" if narrow else "int64"

    def divisor(inputs: Sequence[Any], results: Sequence[Cell], scratch: Sequence[Cell]) -> list[tirx.Stmt]:
        total, squares = inputs
        inverse, places = results
        square, root = scratch
        variance = _int64(length) * squares - total * total
        statements = [square.set((variance << (2 * fraction)) + epsilon), places.set(_int64(41 - fraction))]
        for step in (32, 16, 8, 4, 2):
            small = square.value < _int64(1 << (SQUARE_BITS - step))
            statements.append(places.set(places.value - tirx.Select(small, _int64(step // 2), _int64(0))))
            # Not ``square << (small ? step : 0)``, of which LLVM 22 makes wrong code for 32-bit Arm.
            statements.append(square.set(tirx.Select(small, square.value << _int64(step), square.value)))
        statements += [places.set(tirx.max(places.value, _int64(1))), *_square_root(square, root)]
        return [*statements, inverse.set(tirx.truncdiv(_int64(1 << _INVERSE_BITS), root.value))]

    def compute(x: te.Tensor, gamma: te.Tensor, beta: te.Tensor) -> te.Tensor:
        j, k = (te.reduce_axis((0, length), name) for name in "jk")
        total = te.compute((rows,), lambda r: te.sum(x(r, j).astype(wide), axis=j), name="total")
        squares = te.compute(
            (rows,), lambda r: te.sum(x(r, k).astype(wide) * x(r, k).astype(wide), axis=k), name="squares"
        )
        inverse, places = per_row(rows, [total, squares], 2, divisor, "divisor", scratch=2)

        def one(r: Any, i: Any) -> Any:
            centred = x(r, i).astype("int64") * length - total(r).astype("int64")
            half = _int64(1) << (places(r) - 1)
            normal = (centred * inverse(r) + half) >> places(r)
            value = (normal * gamma(i).astype("int64") + beta(i)) >> int(attributes["shift"])
            return clamp(value, int(attributes["low"]), int(attributes["high"])).astype(attributes["dtype"])

        return te.compute((rows, length), one, name="layer_norm")

    return builder.call_te(compute, *expr.args, primfunc_name_hint="layer_norm")


def _square_root(square: Cell, root: Cell) -> list[tirx.Stmt]:
    """``root = floor(sqrt(square))``, bit by bit from the highest."""
    step = tirx.Var("step", "int64")
    tried = root.value + (_int64(1) << (_int64(_ROOT_BITS - 1) - step))
    keep = root.set(tirx.Select(tried * tried <= square.value, tried, root.value))
    return [root.set(_int64(0)), tirx.For(step, _int64(0), _int64(_ROOT_BITS), tirx.ForKind.SERIAL, keep)]


def _int64(value: int) -> Any:
    return tirx.const(value, "int64")
