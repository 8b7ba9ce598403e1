"""What a kernel does with the sum of one element: the forms that have instructions made for them.

These are the product with a multiplier of 31 bits that is shifted back (requantization), and the clamp to 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import tvm
from tvm import tirx
from tvm.ir import TensorLoad
from tvm_ffi import structural_equal

from edgetvm.schedule.rules.requantize_neon import WORD_SHIFT

BINARY = (tirx.Add, tirx.Sub, tirx.Mul, tirx.Max, tirx.Min, tirx.LShift, tirx.RShift)


@dataclass(frozen=True)
class Requantized:
    """``int32((int64(acc) * int64(multiplier) + 2^(shift-1)) >> shift)``.

    Multiplier and shift are int32 or numbers. A shift of at least 31 makes an int32 of any product of two: the
    cast tells that it is that large.
    """

    acc: tirx.Expr
    multiplier: tirx.Expr | int
    shift: tirx.Expr | int


@dataclass(frozen=True)
class Narrowed:
    """``int8(clamp(value) + zero)``, which is in low..high."""

    value: tirx.Expr
    low: int
    high: int
    zero: int


def can_lift(value: tirx.Expr) -> bool:
    """Whether every part of the expression has a form on vectors."""
    if isinstance(value, TensorLoad | tirx.IntImm | tirx.FloatImm):
        return True
    if isinstance(value, tirx.Cast):
        return can_lift(value.value)
    return isinstance(value, BINARY) and can_lift(value.a) and can_lift(value.b)


def as_requantized(value: tirx.Expr) -> Requantized | None:
    """The parts of a requantization whose result keeps the high word only."""
    if not isinstance(value, tirx.Cast) or str(value.ty.dtype) != "int32" or not isinstance(value.value, tirx.RShift):
        return None
    total, shift = value.value.a, value.value.b
    if not isinstance(total, tirx.Add) or not isinstance(total.a, tirx.Mul):
        return None
    places = _places(shift, total.b)
    product = total.a
    acc, multiplier = _widened(product.a), _widened(product.b)
    if isinstance(product.b, tirx.IntImm) and abs(int(product.b.value)) < 1 << 31:
        multiplier = int(product.b.value)
    return None if acc is None or multiplier is None or places is None else Requantized(acc, multiplier, places)


def _places(shift: tirx.Expr, half: tirx.Expr) -> tirx.Expr | int | None:
    """The shift by a number or by an int32, if `half` is 2^(shift-1)."""
    if isinstance(shift, tirx.IntImm):
        places = int(shift.value)
        known = isinstance(half, tirx.IntImm) and int(half.value) == 1 << (places - 1)
        return places if known and places >= WORD_SHIFT else None
    if not isinstance(half, tirx.LShift) or not isinstance(half.b, tirx.Sub) or not _is_one(half.a):
        return None
    return _widened(shift) if _is_one(half.b.b) and structural_equal(half.b.a, shift) else None


def _is_one(value: tirx.Expr) -> bool:
    return isinstance(value, tirx.IntImm) and int(value.value) == 1


def _widened(value: tirx.Expr) -> tirx.Expr | None:
    """The int32 inside ``int64(...)``."""
    if not isinstance(value, tirx.Cast) or str(value.ty.dtype) != "int64" or str(value.value.ty.dtype) != "int32":
        return None
    return value.value


def as_narrowed(value: tirx.Expr) -> Narrowed | None:
    """The parts of a clamp of int32 to 8 bits."""
    if not isinstance(value, tirx.Cast) or str(value.ty.dtype) != "int8":
        return None
    inner, zero = value.value, 0
    if isinstance(inner, tirx.Add | tirx.Sub) and isinstance(inner.b, tirx.IntImm):
        zero = int(inner.b.value) if isinstance(inner, tirx.Add) else -int(inner.b.value)
        inner = inner.a
    if not isinstance(inner, tirx.Max) or not isinstance(inner.a, tirx.Min) or str(inner.ty.dtype) != "int32":
        return None
    if not isinstance(inner.b, tirx.IntImm) or not isinstance(inner.a.b, tirx.IntImm):
        return None
    low, high = int(inner.b.value) + zero, int(inner.a.b.value) + zero
    if not -128 <= low <= high <= 127 or abs(zero) > 128:
        return None
    return Narrowed(inner.a.a, low, high, zero)


def is_start_value(value: tirx.Expr, acc: tirx.Buffer) -> TensorLoad | None:
    """The bias of ``acc + bias``: what the sums may start from."""
    if not isinstance(value, tirx.Add) or str(value.ty.dtype) != "int32":
        return None
    left, right = value.a, value.b
    if isinstance(left, TensorLoad) and isinstance(right, TensorLoad) and left.source.same_as(acc):
        return right
    return None


def find_start(value: tirx.Expr, acc: tirx.Buffer) -> TensorLoad | None:
    """The bias, wherever in an expression that uses `acc` only there."""
    found: list[TensorLoad] = []
    uses: list[TensorLoad] = []

    def visit(node: tvm.ir.Expr) -> None:
        if isinstance(node, TensorLoad):
            if node.source.same_as(acc):
                uses.append(node)
            return
        bias = is_start_value(node, acc)
        if bias is not None:
            found.append(bias)
        if isinstance(node, tirx.Cast):
            visit(node.value)
        elif isinstance(node, BINARY):
            visit(node.a)
            visit(node.b)

    visit(value)
    return found[0] if len(found) == 1 and len(uses) == 1 else None
