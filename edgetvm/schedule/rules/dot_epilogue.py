"""What a kernel does with its sums, on vectors of channels while the sums are in registers.

The expression of one element is lifted to vectors. Two forms get the instructions made for them: the product with
a multiplier of 31 bits that is shifted back (requantization), and the clamp to 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tvm
from tvm import tirx
from tvm.ir import TensorLoad
from tvm_ffi import structural_equal

from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.requantize_neon import WORD_SHIFT, quarters, requantize_to_words, words_to_codes
from edgetvm.schedule.rules.write_code import Code, constant, shuffle, vector_type

_BINARY = (tirx.Add, tirx.Sub, tirx.Mul, tirx.Max, tirx.Min, tirx.LShift, tirx.RShift)
HIGH_WORD = 32
MOST_FOLDED_SHIFT = 54  # a zero point, 9 bits, shifted so far stays below 2^63
MOST_LATE_SHIFT = 52  # and added to the high word of a product, below 2^30 in size, it stays below 2^31


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
    return isinstance(value, _BINARY) and can_lift(value.a) and can_lift(value.b)


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


@dataclass(frozen=True)
class Lift:
    """Writes the vector of `lanes` channels that an expression stands for.

    `find` gives the vector of a load, or of a larger part that is known; None for other parts.
    `neon` are NEON's instructions where vectors are its own.
    """

    code: Code
    lanes: int
    find: Callable[[tirx.Expr], tirx.Expr | None]
    neon: Neon | None

    def __call__(self, value: tirx.Expr) -> tirx.Expr:
        """The vector of `value`."""
        known = self.find(value)
        if known is not None:
            return known
        if self.lanes >= 4:
            narrowed = as_narrowed(value)
            if narrowed is not None:
                return self.narrow(narrowed)
            requantized = as_requantized(value)
            if requantized is not None and self.neon is None and _keeps_high_word(requantized.shift):
                return self.high_words(requantized, 0)
        if isinstance(value, tirx.IntImm | tirx.FloatImm):
            return constant(value.value, str(value.ty.dtype), self.lanes)
        if isinstance(value, tirx.Cast):
            return tirx.Cast(vector_type(str(value.ty.dtype), self.lanes), self(value.value))
        assert isinstance(value, _BINARY)
        return self.code.let("v", type(value)(self(value.a), self(value.b)))

    def narrow(self, value: Narrowed) -> tirx.Expr:
        """Clamp to 8 bits."""
        requantized = as_requantized(value.value)
        if self.neon is not None:
            return self.narrow_neon(self.neon, value, requantized)
        zero = value.zero
        if requantized is not None and _folds(requantized.shift):
            wide, zero = self.high_words(requantized, zero), 0
        else:
            wide = self(value.value)
        if zero:
            # Within the bounds the sum cannot wrap, so that they are applied before.
            wide = tirx.max(tirx.min(wide, self.int32(value.high - zero)), self.int32(value.low - zero))
            return tirx.Cast(vector_type("int8", self.lanes), wide + self.int32(zero))
        wide = tirx.max(tirx.min(wide, self.int32(value.high)), self.int32(value.low))
        return tirx.Cast(vector_type("int8", self.lanes), wide)

    def narrow_neon(self, neon: Neon, value: Narrowed, requantized: Requantized | None) -> tirx.Expr:
        """By saturating instructions: through 16 bits, where the zero point is added, to 8."""
        inner = value.value
        if requantized is not None:
            accs, factors = quarters(self(requantized.acc)), quarters(self.vector(requantized.multiplier))
            shift = requantized.shift
            shifts = [shift] * len(accs) if isinstance(shift, int) else quarters(self(shift))
            parts = zip(accs, factors, shifts, strict=True)
            words = [requantize_to_words(neon, *part) for part in parts]
        elif isinstance(inner, tirx.RShift) and isinstance(inner.b, tirx.IntImm) and 1 <= int(inner.b.value) <= 16:
            words = [neon.narrow(quarter, int(inner.b.value)) for quarter in quarters(self(inner.a))]
        else:
            words = [neon.narrow(quarter) for quarter in quarters(self(inner))]
        return self.code.let("q", words_to_codes(neon, words, value.zero, value.low, value.high, self.lanes))

    def high_words(self, value: Requantized, zero: int) -> tirx.Expr:
        """Products of the even and of the odd lanes in 64 bits; of each the high word, shifted."""
        acc = self.code.let("a", self(value.acc))
        multiplier = self.code.let("m", self.vector(value.multiplier))
        half = self.lanes // 2
        word = constant(HIGH_WORD, "int64", half)

        def even_and_odd(vector: tirx.Expr) -> tuple[tirx.Expr, tirx.Expr]:
            # Written so, LLVM sees that both factors are words and multiplies words.
            odd = shuffle([vector], [lane | 1 for lane in range(self.lanes)])
            even, odd = (tirx.reinterpret(f"int64x{half}", side) for side in (vector, odd))
            return tirx.RShift(tirx.LShift(even, word), word), tirx.RShift(tirx.LShift(odd, word), word)

        factors = list(zip(even_and_odd(acc), even_and_odd(multiplier), strict=True))
        if isinstance(value.shift, int) and HIGH_WORD < value.shift <= MOST_LATE_SHIFT:
            # What is added has no low word.
            rounding = (zero << (value.shift - HIGH_WORD)) + (1 << (value.shift - HIGH_WORD - 1))
            words = self.high([a * m for a, m in factors]) + self.int32(rounding)
            return self.code.let("r", tirx.RShift(words, self.int32(value.shift - HIGH_WORD)))
        if isinstance(value.shift, int):
            roundings = [constant((zero << value.shift) + (1 << (value.shift - 1)), "int64", half)] * 2
            places = self.int32(value.shift - HIGH_WORD)
        else:
            shift, one = self.code.let("n", self(value.shift)), constant(1, "int64", half)
            roundings = [tirx.LShift(one, side - one) for side in even_and_odd(shift)]
            places = shift - self.int32(HIGH_WORD)
        result = self.high([a * m + rounding for (a, m), rounding in zip(factors, roundings, strict=True)])
        at_once = isinstance(value.shift, int) and value.shift == HIGH_WORD
        return self.code.let("r", result if at_once else tirx.RShift(result, places))

    def high(self, sums: list[tirx.Expr]) -> tirx.Expr:
        """The high words of even and odd lanes, in turn."""
        words = [tirx.reinterpret(vector_type("int32", self.lanes), total) for total in sums]
        return shuffle(words, [lane for i in range(self.lanes // 2) for lane in (2 * i + 1, self.lanes + 2 * i + 1)])

    def vector(self, value: tirx.Expr | int) -> tirx.Expr:
        """The vector of an expression or of a number."""
        return self.int32(value) if isinstance(value, int) else self(value)

    def int32(self, value: int) -> tirx.Expr:
        """A vector of equal words."""
        return constant(value, "int32", self.lanes)


def _keeps_high_word(shift: tirx.Expr | int) -> bool:
    """Of shifts that differ all are so large."""
    return not isinstance(shift, int) or shift >= HIGH_WORD


def _folds(shift: tirx.Expr | int) -> bool:
    """Whether the zero point can be added before the shift."""
    return isinstance(shift, int) and HIGH_WORD <= shift <= MOST_FOLDED_SHIFT


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
        elif isinstance(node, _BINARY):
            visit(node.a)
            visit(node.b)

    visit(value)
    return found[0] if len(found) == 1 and len(uses) == 1 else None
