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
# Channels that share a shift keep at least so many bits of their multiplier.
SHARED_BITS = 20

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


def multipliers_and_shifts(factors: Floats, bits: int = MULTIPLIER_BITS, most: int = MOST_SHIFT) -> tuple[Ints, Ints]:
    """The same for an array; one shift for all (of one element) where every channel keeps enough bits by it."""
    flat = [multiplier_and_shift(float(factor), bits, most) for factor in factors.reshape(-1)]
    shift = min((s for m, s in flat if m), default=LEAST_SHIFT)
    shared = [round(math.ldexp(float(factor), shift)) for factor in factors.reshape(-1)]
    if all(not own or abs(m) >= 1 << min(SHARED_BITS, bits - 1) for m, (own, _) in zip(shared, flat, strict=True)):
        return np.array(shared, np.int64).reshape(factors.shape), np.full((1,) * factors.ndim, shift, np.int64)
    multipliers, shifts = (np.array(column, np.int64).reshape(factors.shape) for column in zip(*flat, strict=True))
    return multipliers, shifts
