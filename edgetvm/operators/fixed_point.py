"""A real factor as an integer multiplier and a shift.

``x * factor`` is computed as ``(x * multiplier + 2^(shift-1)) >> shift`` in 64 bits: rounded once, ties up.
XNNPACK and Cortex-M's smmla compute the same (docs/arithmetic.md).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

LEAST_SHIFT, MOST_SHIFT = 1, 62
WORD_SHIFT = 52  # at most of sums of 32 bits: what their multipliers round off is then below 2^-21
MULTIPLIER_BITS = 31
# Channels that share a shift keep at least so many bits of their multiplier, or the largest sum so many behind a code.
SHARED_BITS = 20
CODE_BITS = 13

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def multiplier_and_shift(factor: float, bits: int = MULTIPLIER_BITS, most: int = MOST_SHIFT) -> tuple[int, int]:
    """(multiplier below 2^bits, shift in 1..most) with ``multiplier / 2^shift`` nearest to `factor`.

    Raises ValueError for a factor that is no number or too large: 2^(bits-1) and more.
    """
    if not math.isfinite(factor) or abs(factor) >= 2.0 ** (bits - LEAST_SHIFT):
        raise ValueError(f"the factor {factor} is not below 2^{bits - LEAST_SHIFT}")
    if factor == 0.0:
        return 0, LEAST_SHIFT
    _, exponent = math.frexp(factor)
    shift = min(bits - exponent, most)
    multiplier = round(math.ldexp(factor, shift))
    if abs(multiplier) == 1 << bits:  # rounded up to the next power of two
        multiplier, shift = multiplier // 2, shift - 1
    if shift < LEAST_SHIFT:
        raise ValueError(f"the factor {factor} is not below 2^{bits - LEAST_SHIFT}")
    return multiplier, shift


def multipliers_and_shifts(
    factors: Floats, bits: int = MULTIPLIER_BITS, most: int = MOST_SHIFT, bound: int = 0
) -> tuple[Ints, Ints]:
    """The same for an array; one shift for all (of one element) where every channel is precise by it.

    `bound` is the largest size of what is multiplied, 0 if it is not known.
    """
    flat = [multiplier_and_shift(float(factor), bits, most) for factor in factors.reshape(-1)]
    shift = min((s for m, s in flat if m), default=LEAST_SHIFT)
    shared = np.array([round(math.ldexp(float(factor), shift)) for factor in factors.reshape(-1)], np.int64)
    if is_precise(shared[[m != 0 for m, _ in flat]], shift, bound, bits):
        return shared.reshape(factors.shape), np.full((1,) * factors.ndim, shift, np.int64)
    multipliers, shifts = (np.array(column, np.int64).reshape(factors.shape) for column in zip(*flat, strict=True))
    return multipliers, shifts


def is_precise(multipliers: Ints, shift: int, bound: int, bits: int = MULTIPLIER_BITS) -> bool:
    """Whether each multiplier keeps 20 bits, or its rounding is below 2^-13 in every product of a sum up to `bound`."""
    kept = bool((np.abs(multipliers) >= 1 << min(SHARED_BITS, bits - 1)).all())
    return kept or 0 < bound <= 1 << max(shift + 1 - CODE_BITS, 0)
