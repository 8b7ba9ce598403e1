"""`edgetvm.softmax`: the loops give the numpy meaning bit for bit, and that the real softmax within half a unit."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.operators.fixed_point import multiplier_and_shift
from edgetvm.operators.softmax import PROBABILITY_BITS, powers, softmax
from edgetvm.oracle import integer_softmax
from tests.operators.run_operator import attributes_of, run_operator


def build(scale_out: float, zero: int, dtype: str = "int8"):
    multiplier, shift = multiplier_and_shift(2.0**-PROBABILITY_BITS / scale_out)
    info = np.iinfo(dtype)
    bounds = {"low": int(info.min), "high": int(info.max)}
    return partial(softmax, multiplier=multiplier, shift=shift, zero_point=zero, **bounds, dtype=dtype)


def real(x: np.ndarray, scale: float) -> np.ndarray:
    power = np.exp(scale * (x.astype(np.float64) - x.max(1, keepdims=True)))
    return power / power.sum(1, keepdims=True)


@settings(max_examples=24, deadline=None, derandomize=True)
@given(
    rows=st.sampled_from([1, 3, 5]),
    length=st.sampled_from([1, 2, 7, 15, 17, 64]),
    scale=st.floats(1e-5, 8.0),
    given_dtype=st.sampled_from(["int8", "int16"]),
    case=st.sampled_from([(1 / 256, -128, "int8"), (1.5, 0, "int8"), (1 / 32768, 0, "int16"), (0.01, 127, "int8")]),
    seed=st.integers(0, 1 << 31),
)
def test_loops_give_the_numpy_meaning(
    rows: int, length: int, scale: float, given_dtype: str, case: tuple, seed: int
) -> None:
    bounds = np.iinfo(given_dtype)
    x = np.random.default_rng(seed).integers(bounds.min, bounds.max + 1, (rows, length)).astype(given_dtype)
    arguments, call = [x, powers(scale, given_dtype).astype(np.int32)], build(*case)
    found = run_operator(call, arguments, constants=1)
    np.testing.assert_array_equal(found, integer_softmax.softmax(arguments, attributes_of(call, arguments)))
    info = np.iinfo(case[2])
    exact = np.clip(real(x, scale) / case[0] + case[1], info.min, info.max)
    assert np.abs(found - exact).max() <= 0.51 + (case[2] == "int16") * 0.2


def test_a_row_whose_sum_needs_64_bits() -> None:
    x = np.zeros((2, 3000), np.int8)
    call = build(1 / 32768, 0, "int16")
    found = run_operator(call, [x, powers(0.1, "int8").astype(np.int32)], constants=1)
    assert (found == round(32768 / 3000)).all()


@pytest.mark.parametrize("far", [-128, 126])
def test_one_code_far_above_the_others_takes_it_all(far: int) -> None:
    x = np.full((1, 5), far, np.int8)
    x[0, 2] = 127
    found = run_operator(build(1 / 256, -128), [x, powers(30.0, "int8").astype(np.int32)], constants=1)
    np.testing.assert_array_equal(found, [[-128, -128, 127, -128, -128]])


@pytest.mark.parametrize("scale", [1e-5, 1e-3, 0.02, 8.0])
def test_the_table_of_int16_ends_where_powers_vanish(scale: float) -> None:
    """Distances of up to 65535 codes: within the table every power is right, behind it 0."""
    table = powers(scale, "int16")
    x = np.array([[32767, *(32767 - d for d in (1, 255, 256, 300, 5000, 65535))]], np.int16)
    found = run_operator(build(1 / 32768, 0, "int16"), [x, table.astype(np.int32)], constants=1)
    np.testing.assert_allclose(found, np.clip(real(x, scale) * 32768, 0, 32767), atol=0.71)
    assert len(table) <= 256 + min(256, 16 / (256 * scale) + 2)
