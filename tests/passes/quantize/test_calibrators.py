"""Calibrators find ranges in histograms: each against the same idea written down another way, on raw values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgetvm.passes.quantize.affine import affine_of_range, dequantize, quantize
from edgetvm.passes.quantize.calibrate_entropy import clipped_divergence, entropy_range
from edgetvm.passes.quantize.calibrate_minmax import minmax_range
from edgetvm.passes.quantize.calibrate_mse import mse_range
from edgetvm.passes.quantize.calibrate_percentile import percentile_range
from edgetvm.passes.quantize.choose_calibrator import CALIBRATORS, best_choices, one_choice
from edgetvm.passes.quantize.histogram import BINS, Histogram

VALUES = arrays.arrays(np.float32, st.integers(1, 300), elements=st.floats(-1e3, 1e3, width=32))


def counted(values: np.ndarray, pieces: int = 1) -> Histogram:
    histogram = Histogram(float(values.min()), float(values.max()))
    for part in np.array_split(values, pieces):
        histogram.add(part)
    return histogram


def squared_error(values: np.ndarray, low: float, high: float) -> float:
    affine = affine_of_range(low, high)
    return float(((dequantize(quantize(values, affine), affine) - values) ** 2).sum())


def heavy_tailed(size: int = 20000) -> np.ndarray:
    return np.random.default_rng(0).standard_t(3, size).astype(np.float32)


@settings(deadline=None, derandomize=True)
@given(values=VALUES)
def test_law_minmax_is_the_extremes_and_zero(values: np.ndarray) -> None:
    assert minmax_range(counted(values)) == (min(values.min(), 0), max(values.max(), 0))


@settings(deadline=None, derandomize=True)
@given(values=VALUES, pieces=st.integers(1, 5))
def test_law_a_histogram_does_not_depend_on_the_order_of_samples(values: np.ndarray, pieces: int) -> None:
    whole, parts = counted(values), counted(values[::-1], pieces)
    assert np.array_equal(whole.counts, parts.counts) and whole.zeros == parts.zeros
    assert whole.total == values.size


@pytest.mark.parametrize("share", [0.9, 0.99, 0.999])
def test_percentile_against_sorted_values(share: float) -> None:
    values = heavy_tailed()
    low, high = percentile_range(counted(values), share)
    width = (values.max() - values.min()) / BINS
    ends = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    np.testing.assert_allclose([low, high], ends, atol=2 * width)


@settings(deadline=None, derandomize=True)
@given(values=VALUES, share=st.floats(0.5, 1.0))
def test_law_percentile_keeps_its_share(values: np.ndarray, share: float) -> None:
    low, high = percentile_range(counted(values), share)
    # An edge of a bin is off by rounding of float32 at most.
    slack = 1e-5 * float(np.abs(values).max())
    assert np.mean((values >= low - slack) & (values <= high + slack)) >= share - 1e-9
    assert low <= 0 <= high


def test_mse_against_a_search_over_raw_values() -> None:
    values = heavy_tailed()
    found = squared_error(values, *mse_range(counted(values)))
    tried = [
        squared_error(values, values.min() * a, values.max() * b)
        for a in np.linspace(0.05, 1, 25)
        for b in np.linspace(0.05, 1, 25)
    ]
    assert found <= 1.1 * min(tried)
    assert found < 0.96 * squared_error(values, values.min(), values.max())


@settings(deadline=None, derandomize=True, max_examples=25)
@given(values=VALUES)
def test_law_mse_never_errs_more_than_minmax(values: np.ndarray) -> None:
    histogram = counted(values)
    assert histogram.error(*mse_range(histogram)) <= histogram.error(*minmax_range(histogram))


def test_mse_moves_pixels_off_the_middle_of_steps() -> None:
    """(p - 127.5) / 127.5 lies halfway between the steps of its own extremes."""
    values = ((np.arange(256) - 127.5) / 127.5).astype(np.float32)
    assert squared_error(values, *mse_range(counted(values))) < 0.5 * squared_error(values, -1, 1)


def test_divergence_by_hand() -> None:
    counts = np.array([1.0, 2.0, 0.0, 5.0, 4.0, 3.0, 1.0, 1.0])
    p = np.array([3.0, 0.0, 5.0, 4.0, 3.0, 2.0])  # what lies outside goes to the ends
    q = np.array([2.0, 0.0, 4.5, 4.5, 2.0, 2.0])  # two bins share their mean; empty bins stay empty
    p, q = p / p.sum(), q / q.sum()
    wanted = sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a)
    assert clipped_divergence(counts, 1, 7, 3) == pytest.approx(wanted)


def test_entropy_clips_a_tail_and_keeps_an_even_spread() -> None:
    assert entropy_range(counted(heavy_tailed()))[1] < 0.9 * heavy_tailed().max()
    even = np.random.default_rng(0).uniform(-1, 1, 50000).astype(np.float32)
    low, high = entropy_range(counted(even))
    assert low < -0.9 and high > 0.9


@pytest.mark.parametrize("name", CALIBRATORS)
@pytest.mark.parametrize("value", [0.0, 3.0, -2.5, 1e-30, 1e30])
def test_a_constant_tensor_has_a_valid_scale(name: str, value: float) -> None:
    values = np.full(10, value, np.float32)
    choice = one_choice(counted(values), name)
    affine = affine_of_range(choice.low, choice.high)
    assert np.isfinite(affine.scale) and np.float32(affine.scale) > 0
    np.testing.assert_allclose(dequantize(quantize(values, affine), affine), values, rtol=0.01, atol=1e-17)


@settings(deadline=None, derandomize=True)
@given(values=VALUES, bits=st.sampled_from([8, 16]))
def test_law_inside_the_range_rounding_errs_half_a_step(values: np.ndarray, bits: int) -> None:
    affine = affine_of_range(float(values.min()), float(values.max()), bits)
    error = np.abs(dequantize(quantize(values, affine), affine) - values)
    assert error.max() <= affine.scale * 1.001  # the zero point is rounded, too: half a step more at one end
    assert dequantize(np.array([affine.zero_point]), affine)[0] == 0.0


def test_auto_takes_the_best_behind_readers_and_clips_no_output() -> None:
    histograms = {"read": counted(heavy_tailed()), "alone": counted(heavy_tailed()), "output": counted(heavy_tailed())}
    names = list(CALIBRATORS)

    def behind(candidates: dict[str, list[tuple[float, float]]]) -> dict[str, list[float]]:
        assert set(candidates) == {"read", "alone"}
        return {"read": [1.0, 2.0, 9.0, 3.0]}

    chosen = best_choices(histograms, frozenset(["output"]), behind)
    assert chosen["read"].calibrator == names[2] and chosen["read"].sqnr_db == 9.0
    assert chosen["alone"].calibrator == "mse"
    assert chosen["output"].calibrator == "minmax"
