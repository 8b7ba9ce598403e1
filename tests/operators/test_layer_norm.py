"""`edgetvm.layer_norm`: the loops give the numpy meaning bit for bit; degenerate rows divide by nothing."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.operators.layer_norm import NORMAL_BITS, layer_norm
from edgetvm.oracle import integer_layer_norm
from tests.operators.run_operator import attributes_of, run_operator

UNIT = 1 << 10  # codes of the result are normalized numbers times this


def build(fraction: int, epsilon: int):
    bounds = {"low": -(1 << 15), "high": (1 << 15) - 1, "dtype": "int16"}
    return partial(layer_norm, fraction=fraction, epsilon=epsilon, shift=NORMAL_BITS, **bounds)


def factors(length: int) -> list[np.ndarray]:
    """Scale `UNIT` and the rounding constant."""
    return [np.full(length, UNIT, np.int32), np.full(length, 1 << (NORMAL_BITS - 1), np.int64)]


def real(x: np.ndarray, fraction: int, epsilon: int) -> np.ndarray:
    """In double precision; epsilon is that of N^2 times the variance."""
    numbers, length = x.astype(np.float64), x.shape[1]
    centred = length * numbers - numbers.sum(1, keepdims=True)
    variance = length * (numbers**2).sum(1, keepdims=True) - numbers.sum(1, keepdims=True) ** 2
    return centred / np.sqrt(variance + epsilon / 4.0**fraction)


@settings(max_examples=16, deadline=None, derandomize=True)
@given(
    rows=st.sampled_from([1, 3, 7]),
    length=st.sampled_from([1, 2, 3, 7, 17, 100]),
    dtype=st.sampled_from(["int8", "int16"]),
    epsilon=st.sampled_from([1, 77, 1 << 20, 1 << 40]),
    spread=st.sampled_from([1, 3, 1 << 15]),
    seed=st.integers(0, 1 << 31),
)
def test_loops_give_the_numpy_meaning(rows: int, length: int, dtype: str, epsilon: int, spread: int, seed: int) -> None:
    info = np.iinfo(dtype)
    low, high = max(info.min, -spread), min(info.max, spread)
    x = np.random.default_rng(seed).integers(low, high + 1, (rows, length)).astype(dtype)
    fraction = 7 if dtype == "int16" else 14
    arguments, call = [x, *factors(length)], build(fraction, epsilon)
    found = run_operator(call, arguments, constants=2)
    np.testing.assert_array_equal(found, integer_layer_norm.layer_norm(arguments, attributes_of(call, arguments)))
    assert np.abs(found - real(x, fraction, epsilon) * UNIT).max() <= 0.51


@pytest.mark.parametrize("code", [-128, 0, 127])
def test_a_row_of_equal_codes_is_zero(code: int) -> None:
    x = np.full((2, 9), code, np.int8)
    assert not run_operator(build(20, 1), [x, *factors(9)], constants=2).any()


def test_one_outlier_reaches_the_largest_normalized_number() -> None:
    x = np.full((1, 197), -128, np.int8)
    x[0, 3] = 127
    found = run_operator(build(14, 1), [x, *factors(197)], constants=2)
    assert found[0, 3] == round(np.sqrt(196) * UNIT)
