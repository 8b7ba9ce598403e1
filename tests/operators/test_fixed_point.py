"""Factors as multipliers and shifts."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetvm.operators.fixed_point import SHARED_BITS, multiplier_and_shift, multipliers_and_shifts

FACTORS = st.floats(2.0**-31, 2.0**29)


def test_examples() -> None:
    assert multiplier_and_shift(0.5) == (1 << 30, 31)
    assert multiplier_and_shift(1.0) == (1 << 30, 30)
    assert multiplier_and_shift(3.0) == (3 << 29, 29)
    assert multiplier_and_shift(2.0**29) == (1 << 30, 1)
    assert multiplier_and_shift(-0.75) == (-(3 << 29), 31)
    assert multiplier_and_shift(0.0) == (0, 1)
    # The nearest multiplier has one bit too many: half of it, and a shift less.
    assert multiplier_and_shift(1.0 - 2.0**-40) == (1 << 30, 30)
    assert multiplier_and_shift(2.0**-62) == (1, 62)
    assert multiplier_and_shift(2.0**-70) == (0, 62)


@pytest.mark.parametrize("factor", [math.nan, math.inf, 2.0**30, -(2.0**31)])
def test_what_no_multiplier_expresses_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="is not below 2\\^30"):
        multiplier_and_shift(factor)


@given(FACTORS, st.integers(8, 31))
def test_the_nearest_multiplier_of_so_many_bits(factor: float, bits: int) -> None:
    if factor >= 2.0 ** (bits - 2):
        return
    multiplier, shift = multiplier_and_shift(factor, bits)
    assert 1 <= shift <= 62
    assert 0 <= multiplier < 1 << bits
    assert abs(Fraction(multiplier, 2**shift) - Fraction(factor)) <= Fraction(1, 2 ** (shift + 1))
    assert shift == 62 or multiplier >= 1 << (bits - 1) or Fraction(factor) * 2 ** (shift + 1) > 2**bits - 1


@given(st.lists(FACTORS, min_size=1, max_size=9))
def test_channels_share_a_shift_or_keep_their_own(factors: list[float]) -> None:
    multipliers, shifts = multipliers_and_shifts(np.array(factors).reshape(1, -1))
    assert shifts.size in (1, len(factors))
    if shifts.size == 1 and len(factors) > 1:
        assert (multipliers >= 1 << SHARED_BITS).all()
    spread = np.broadcast_to(shifts, multipliers.shape)
    for factor, multiplier, shift in zip(factors, multipliers.flat, spread.flat, strict=True):
        assert abs(Fraction(int(multiplier), 2 ** int(shift)) - Fraction(factor)) <= Fraction(1, 2 ** (int(shift) + 1))
        assert multiplier < 1 << 31


def test_a_faint_channel_brings_a_shift_of_its_own() -> None:
    multipliers, shifts = multipliers_and_shifts(np.array([0.5, 2.0**-20]))
    assert shifts.tolist() == [31, 50]
    assert multipliers.tolist() == [1 << 30, 1 << 30]


def test_a_shift_has_the_bound_that_is_asked_for() -> None:
    multipliers, shifts = multipliers_and_shifts(np.array([2.0**-10, 2.0**-40, 0.0]), most=52)
    assert shifts.tolist() == [40, 52, 1]
    assert multipliers.tolist() == [1 << 30, 1 << 12, 0]


def test_a_faint_channel_shares_a_shift_if_no_sum_shows_it() -> None:
    """Sums of 18 bits by 2^-31 are less than 2^-13, which is all that is rounded off."""
    factors = np.array([0.5, 2.0**-20 + 2.0**-33])
    assert multipliers_and_shifts(factors, bound=1 << 19)[1].tolist() == [31]
    assert multipliers_and_shifts(factors, bound=(1 << 19) + 1)[1].tolist() == [31, 50]
