"""Weights of 4 bits for DSP instructions: eight in a word, unpacked by one instruction a pair.

A shift brings nibble j of both halves of a word to the top of its half, a mask takes off what is below: two numbers of
16 bits, each `2 ** SCALE_BITS` times a weight with its sign. Sums of products with them are so many times too large,
and modulo 2^32: what they are shifted right by is exact where the sum itself has SCALE_BITS less than 32 bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import tirx

from edgetvm.schedule.rules.dsp_instructions import multiply_pairs
from edgetvm.schedule.rules.nibbles import NIBBLE

SCALE_BITS = 12  # of 16, those that are not a nibble
PAIRS = 4  # of a word
_LOWEST = 0x000F000F
_HIGHEST = _LOWEST << SCALE_BITS
_LARGEST = 1 << 7  # an activation's magnitude


def have_room(arrays: Sequence[np.ndarray]) -> bool:
    """Whether all sums of products of int8 and weights ``[..., O]`` fit 32 bits with the scale."""
    sums = [np.abs(array.astype(np.int64)).reshape(-1, array.shape[-1]).sum(0) for array in arrays]
    return max(int(each.max()) for each in sums) * _LARGEST < 1 << (31 - SCALE_BITS)


def joined_nibbles(pairs: np.ndarray) -> np.ndarray:
    """Words that hold four of these words of two numbers of 16 bits each, filled up with zeros.

    Nibble j of each half is of pair j.
    """
    filled = np.pad(pairs.ravel(), (0, -pairs.size % PAIRS))
    shifts = np.arange(0, PAIRS * NIBBLE, NIBBLE, dtype=np.int32)
    nibbles = (filled.reshape(-1, PAIRS) & _LOWEST) << shifts
    return np.asarray(np.bitwise_or.reduce(nibbles, axis=-1), np.int32)


def mask_of_nibbles() -> tirx.Expr:
    """The mask, as a number that LLVM does not know: of one it would make an instruction more at each use."""
    zero = tirx.const(0, "int32")
    return multiply_pairs(tirx.const(_HIGHEST - (1 << 32), "int32"), zero, zero)


def unpacked(word: tirx.Expr, pair: int, mask: tirx.Expr) -> tirx.Expr:
    """Pair `pair` of a word of nibbles, scaled: a shift and an and, which are one instruction."""
    up = SCALE_BITS - NIBBLE * pair
    return tirx.bitwise_and(tirx.LShift(word, tirx.const(up, "int32")) if up else word, mask)


def unscaled(total: tirx.Expr, bias: tirx.Expr | None) -> tirx.Expr:
    """A sum of scaled products without the scale, and a bias.

    Added without signs: of a sum that cannot overflow LLVM would widen both parts to 64 bits instead.
    """
    plain = tirx.RShift(total, tirx.const(SCALE_BITS, "int32"))
    if bias is None:
        return plain
    return tirx.reinterpret("int32", tirx.Add(*(tirx.reinterpret("uint32", part) for part in (bias, plain))))
