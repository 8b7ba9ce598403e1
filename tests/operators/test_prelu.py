"""`edgetvm.prelu`: the loops give the numpy meaning bit for bit."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.operators.prelu import prelu
from edgetvm.oracle import integer_prelu
from tests.operators.run_operator import attributes_of, run_operator


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    channels=st.sampled_from([1, 3, 7, 17]),
    zero=st.sampled_from([-128, -3, 0, 127]),
    shift=st.integers(1, 20),
    wide=st.sampled_from(["int32", "int64"]),
    seed=st.integers(0, 1 << 31),
)
def test_loops_give_the_numpy_meaning(channels: int, zero: int, shift: int, wide: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (2, 5, channels)).astype(np.int8)
    negative = rng.integers(-(1 << 20), 1 << 20, channels).astype(wide)
    numbers = {"positive": int(rng.integers(1, 1 << 20)), "zero": zero, "constant": (1 << shift) >> 1, "shift": shift}
    call = partial(prelu, **numbers, low=-128, high=127, dtype="int8", wide=wide)
    found = run_operator(call, [x, negative], constants=1)
    wanted = integer_prelu.prelu([x, negative], attributes_of(call, [x, negative]))
    np.testing.assert_array_equal(found, wanted)
    assert (found[x == zero] == 0).all()


def test_a_product_beyond_its_type_is_an_error_of_the_interpreter() -> None:
    attributes = {"positive": 1 << 25, "zero": -128, "constant": 0, "shift": 1, "wide": "int32"}
    with pytest.raises(OverflowError, match="int32"):
        integer_prelu.prelu(
            [np.full(3, 127, np.int8), np.ones(3, np.int32)], {**attributes, "low": 0, "high": 1, "dtype": "int8"}
        )
