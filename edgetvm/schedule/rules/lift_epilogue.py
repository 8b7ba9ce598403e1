"""The epilogue of one element, lifted to vectors of channels while the sums are in registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.dot_epilogue import BINARY, Narrowed, Requantized, as_narrowed, as_requantized
from edgetvm.schedule.rules.helium_instructions import add_saturating, narrow_half, requantize, requantize_half
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.requantize_neon import WORD_SHIFT, quarters, requantize_to_words, words_to_codes
from edgetvm.schedule.rules.write_code import Code, constant, shuffle, vector_type

LOW, HIGH = -128, 127
HIGH_WORD = 32
MOST_FOLDED_SHIFT = 54  # a zero point, 9 bits, shifted so far stays below 2^63
MOST_LATE_SHIFT = 52  # and added to the high word of a product, at most 2^30 in size, it stays below 2^31


@dataclass(frozen=True)
class Lift:
    """Writes the vector of `lanes` channels that an expression stands for.

    `find` gives the vector of a load, or of a larger part that is known; None for other parts.
    `neon` are NEON's instructions where vectors are its own. `words` are single elements in registers of 32 bits,
    of which a product's high word is had by itself; shifts that differ are then all in 33..52. `helium` are four
    elements in a vector of Helium, and shifts are more than 31.
    """

    code: Code
    lanes: int
    find: Callable[[tirx.Expr], tirx.Expr | None]
    neon: Neon | None
    words: bool = False
    helium: bool = False

    def __call__(self, value: tirx.Expr) -> tirx.Expr:
        """The vector of `value`."""
        known = self.find(value)
        if known is not None:
            return known
        if self.lanes >= 4 or self.words:
            narrowed = as_narrowed(value)
            if narrowed is not None:
                return self.narrow(narrowed)
            requantized = as_requantized(value)
            if requantized is not None and self.words:
                return self.high_word(requantized, 0)
            if requantized is not None and self.helium:
                return self.code.let("r", requantize(*self.requantized(requantized)))
            if requantized is not None and self.neon is None and _keeps_high_word(requantized.shift):
                return self.high_words(requantized, 0)
        if isinstance(value, tirx.IntImm | tirx.FloatImm):
            return constant(value.value, str(value.ty.dtype), self.lanes)
        if isinstance(value, tirx.Cast):
            return tirx.Cast(vector_type(str(value.ty.dtype), self.lanes), self(value.value))
        assert isinstance(value, BINARY)
        return self.code.let("v", type(value)(self(value.a), self(value.b)))

    def narrow(self, value: Narrowed) -> tirx.Expr:
        """Clamp to 8 bits."""
        requantized = as_requantized(value.value)
        if self.neon is not None:
            return self.narrow_neon(self.neon, value, requantized)
        if self.helium:
            return self.narrow_helium(value, requantized)
        zero = value.zero
        if requantized is not None and self.words and requantized.shift != WORD_SHIFT:
            wide, zero = self.high_word(requantized, zero), 0
        elif requantized is not None and not self.words and _folds(requantized.shift):
            wide, zero = self.high_words(requantized, zero), 0
        else:
            wide = self(value.value)
        if zero:
            # Within the bounds the sum cannot wrap, so that they are applied before.
            wide = tirx.max(tirx.min(wide, self.int32(value.high - zero)), self.int32(value.low - zero))
            return tirx.Cast(vector_type("int8", self.lanes), wide + self.int32(zero))
        wide = tirx.max(tirx.min(wide, self.int32(value.high)), self.int32(value.low))
        return tirx.Cast(vector_type("int8", self.lanes), wide)

    def high_word(self, value: Requantized, zero: int) -> tirx.Expr:
        """The requantized element plus `zero`, which is 0 for a shift of 31.

        A rounding beyond the low word is added to the high one with the zero point, by the multiplication itself.
        """
        product = tirx.Cast("int64", self(value.acc)) * tirx.Cast("int64", self.vector(value.multiplier))
        shift, word = value.shift, tirx.const(HIGH_WORD, "int64")
        if isinstance(shift, int) and not HIGH_WORD < shift <= MOST_LATE_SHIFT:
            rounded = product + tirx.const(1 << (shift - 1), "int64")
            return tirx.Cast("int32", tirx.RShift(rounded, tirx.const(shift, "int64"))) + self.int32(zero)
        high = tirx.Cast("int32", tirx.RShift(product, word))
        if isinstance(shift, int):
            places = shift - HIGH_WORD
            rounding = (zero << places) + (1 << (places - 1))
            return tirx.RShift(high + self.int32(rounding), self.int32(places))
        above = tirx.bitwise_and(self(shift), self.int32(HIGH_WORD - 1))  # as s - 32 its bounds confuse TVM
        rounding = tirx.LShift(self.int32(2 * zero + 1), above - self.int32(1))
        return tirx.RShift(high + rounding, above)

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

    def narrow_helium(self, value: Narrowed, requantized: Requantized | None) -> tirx.Expr:
        """By saturating instructions, to the lowest byte of each word."""
        halves = requantize_half(*self.requantized(requantized)) if requantized else narrow_half(self(value.value))
        if value.zero:
            halves = add_saturating(halves, constant(value.zero, "int16", 2 * self.lanes))
        if value.low > LOW:
            halves = tirx.max(halves, constant(value.low, "int16", 2 * self.lanes))
        if value.high < HIGH:
            halves = tirx.min(halves, constant(value.high, "int16", 2 * self.lanes))
        words = tirx.reinterpret(vector_type("int32", self.lanes), narrow_half(halves))
        return tirx.Cast(vector_type("int8", self.lanes), self.code.let("q", words))

    def requantized(self, value: Requantized) -> tuple[tirx.Expr, tirx.Expr, tirx.Expr | int]:
        """The vectors of a requantization: sum, multiplier and shift, a number if it is one."""
        shift = value.shift if isinstance(value.shift, int) else self(value.shift)
        return self(value.acc), self.vector(value.multiplier), shift

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
