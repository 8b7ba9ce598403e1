"""Requantization on NEON: two instructions for four values, exact.

    floor((x * m + 2^(s-1)) / 2^s)

With s > 31, `sqdmulh` gives ``floor(x * m / 2^31)`` and a rounding shift by s - 31 the rest: the bits that are cut
first lie below the half that is added later, so that nothing is rounded twice. With s = 31, `sqrdmulh` is the
formula. With s < 31, x is shifted left first; where that saturates, the result is beyond any code, as it would
be without, if only m is large enough. |m| < 2^31: neither multiplication saturates.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm import tirx

from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.write_code import constant, lanes_of, piece, shuffle

WORD_SHIFT = 31  # what the high half of a doubled product has been shifted by
MOST_NARROWING_SHIFT = 16
# With shifts below 31: a multiplier of 0, or one by which a saturated sum stays beyond 8 bits and a zero point.
LEAST_MULTIPLIER = 1 << 10


def requantize(neon: Neon, x: tirx.Expr, multiplier: tirx.Expr, shift: tirx.Expr | int) -> tirx.Expr:
    """Four int32; `shift` is a number from 1 to 62, or a vector of numbers from 32 to 62."""
    if not isinstance(shift, int):
        places = shift - constant(WORD_SHIFT, "int32", 4)
        return neon.shift_right_rounding(neon.multiply_high(x, multiplier), places)
    if shift > WORD_SHIFT:
        return neon.shift_right_rounding(neon.multiply_high(x, multiplier), shift - WORD_SHIFT)
    if shift < WORD_SHIFT:
        x = neon.shift_left_saturating(x, WORD_SHIFT - shift)
    return neon.multiply_high_rounding(x, multiplier)


def requantize_to_words(neon: Neon, x: tirx.Expr, multiplier: tirx.Expr, shift: tirx.Expr | int) -> tirx.Expr:
    """The same, saturated to four int16."""
    if isinstance(shift, int) and WORD_SHIFT < shift <= WORD_SHIFT + MOST_NARROWING_SHIFT:
        return neon.narrow(neon.multiply_high(x, multiplier), shift - WORD_SHIFT, rounding=True)
    return neon.narrow(requantize(neon, x, multiplier, shift))


def words_to_codes(neon: Neon, words: Sequence[tirx.Expr], zero: int, low: int, high: int, lanes: int) -> tirx.Expr:
    """Vectors of four int16 -> one of `lanes` codes: with the zero point, in low..high."""
    words = list(words)
    if len(words) == 1:
        words.append(words[0])
    pairs = [shuffle(words[i : i + 2], list(range(8))) for i in range(0, len(words), 2)]
    if zero:
        pairs = [neon.add_saturating(pair, constant(zero, "int16", 8)) for pair in pairs]
    halves = [neon.narrow_bytes(pair) for pair in pairs]
    result = piece(halves, 0, lanes) if lanes <= 8 else shuffle(halves, list(range(lanes)))
    if low > -128:
        result = tirx.max(result, constant(low, "int8", lanes))
    if high < 127:
        result = tirx.min(result, constant(high, "int8", lanes))
    return result


def quarters(value: tirx.Expr) -> list[tirx.Expr]:
    """A vector as vectors of four lanes."""
    return [piece([value], i, 4) for i in range(0, lanes_of(value), 4)]
