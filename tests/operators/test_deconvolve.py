"""`edgetvm.deconvolve`: loops that gather give what the numpy meaning scatters, bit for bit."""

from __future__ import annotations

from functools import partial

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.operators.deconvolve import deconvolve
from edgetvm.oracle import integer_deconvolve
from tests.operators.run_operator import attributes_of, run_operator


@settings(max_examples=16, deadline=None, derandomize=True)
@given(
    spatial=st.sampled_from([1, 2]),
    groups=st.sampled_from([1, 2, 3]),
    depth=st.sampled_from([1, 3]),
    filters=st.sampled_from([1, 2, 7]),
    zero=st.sampled_from([-128, 0, 127]),
    seed=st.integers(0, 1 << 31),
)
def test_loops_give_the_numpy_meaning(
    spatial: int, groups: int, depth: int, filters: int, zero: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sizes, window = rng.integers(1, 6, spatial), rng.integers(1, 5, spatial)
    x = rng.integers(-128, 128, (2, *sizes, groups * depth)).astype(np.int8)
    w = rng.integers(-127, 128, (*window, groups * depth, filters)).astype(np.int8)
    strides, dilations = rng.integers(1, 4, spatial), rng.integers(1, 3, spatial)
    before = [int(rng.integers(0, k)) for k in window]
    out = [int(s * (n - 1) + (k - 1) * d + 1) for s, n, k, d in zip(strides, sizes, window, dilations, strict=True)]
    geometry = {"strides": strides.tolist(), "dilations": dilations.tolist(), "before": before, "sizes": out}
    call = partial(deconvolve, **geometry, groups=groups, zero=zero, dtype="int32")
    found = run_operator(call, [x, w], constants=1)
    np.testing.assert_array_equal(found, integer_deconvolve.deconvolve([x, w], attributes_of(call, [x, w])))
