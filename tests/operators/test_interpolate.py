"""`edgetvm.interpolate`: the loops give the numpy meaning bit for bit."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.operators.interpolate import WEIGHT_BITS, interpolate
from edgetvm.oracle import integer_interpolate
from tests.operators.run_operator import attributes_of, run_operator


def taps(rng: np.random.Generator, size: int, out: int, count: int) -> list[np.ndarray]:
    """Places and weights whose sum is 2^11."""
    places = rng.integers(0, size, (out, count)).astype(np.int32)
    weights = rng.integers(-300, 1200, (out, count))
    weights[:, 0] += (1 << WEIGHT_BITS) - weights.sum(1)
    return [places, weights.astype(np.int16)]


def along(x, *tables, axes: list[int], dtype: str):
    return interpolate(x, list(zip(tables[::2], tables[1::2], strict=True)), axes=axes, dtype=dtype)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    axes=st.sampled_from([[1], [2, 3], [3, 1], [1, 2, 3]]),
    count=st.sampled_from([1, 2, 4]),
    channels=st.sampled_from([1, 3, 7]),
    dtype=st.sampled_from(["int8", "int16"]),
    seed=st.integers(0, 1 << 31),
)
def test_loops_give_the_numpy_meaning(axes: list[int], count: int, channels: int, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max + 1, (1, channels, 4, 5)).astype(dtype)
    tables = [table for axis in axes for table in taps(rng, x.shape[axis], int(rng.integers(1, 8)), count)]
    call = partial(along, axes=axes, dtype="int64")
    found = run_operator(call, [x, *tables], constants=len(tables))
    wanted = integer_interpolate.interpolate([x, *tables], attributes_of(call, [x, *tables]))
    np.testing.assert_array_equal(found, wanted)


def test_a_constant_image_stays_what_it_is() -> None:
    tables = taps(np.random.default_rng(0), 4, 9, 3)
    found = run_operator(partial(along, axes=[2], dtype="int32"), [np.full((1, 2, 4), -128, np.int8), *tables], 2)
    assert (found == -128 << WEIGHT_BITS).all()


def test_a_sum_beyond_its_type_is_an_error_of_the_interpreter() -> None:
    x, tables = np.full((1, 4), 1 << 21, np.int32), taps(np.random.default_rng(0), 4, 3, 1)
    with pytest.raises(OverflowError, match="int32"):
        integer_interpolate.interpolate([x, *tables], {"axes": [1], "dtype": "int32"})
