"""Requantization by NEON's instructions is the formula, for every shift."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import tirx

from edgetvm.oracle.integer_layers import requantize as formula
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.requantize_neon import LEAST_MULTIPLIER, requantize, requantize_to_words, words_to_codes
from edgetvm.schedule.rules.write_code import Code, load, store
from tests.schedule.fenced import Raw, run_raw

SIZE = 4096
SHIFTS = range(1, 63)
TARGETS = ["cortex-a53", "cortex-a7"]
CLAMP = {"zero_point": 0, "low": -(2**31), "high": 2**31 - 1, "dtype": "int64"}


def sums(rng: np.random.Generator) -> np.ndarray:
    """Accumulators of every size, with the corners of int32."""
    x = rng.integers(-(2**31), 2**31, SIZE) >> rng.integers(0, 31, SIZE)
    x[:6] = [-(2**31), -(2**31) + 1, -1, 0, 1, 2**31 - 1]
    return x.astype(np.int32)


def factors(rng: np.random.Generator, least: int) -> np.ndarray:
    """Multipliers of both signs, of at least `least` or 0."""
    m = rng.integers(-(2**31) + 1, 2**31, SIZE) >> rng.integers(0, 31, SIZE)
    m[:SIZE:7] = [2**31 - 1, -(2**31) + 1, 2**30, 0, 1, -1][0]
    m[3:SIZE:11] = 0
    return np.where(np.abs(m) < least, 0, m).astype(np.int32)


def kernel(neon: Neon, shift: int, zero: int | None) -> tirx.PrimFunc:
    """x, m -> int32 values; with a zero point int8 codes."""
    x, m = (tirx.decl_buffer((SIZE,), "int32", name=name) for name in "xm")
    y = tirx.decl_buffer((SIZE,), "int32" if zero is None else "int8", name="y")
    code = Code()
    with code.loop("i", SIZE // 8) as i:
        places = [i * 8, i * 8 + 4]
        pairs = [(load(x, at, 4), load(m, at, 4)) for at in places]
        if zero is None:
            for at, pair in zip(places, pairs, strict=True):
                code.add(store(y, at, requantize(neon, *pair, shift)))
        else:
            words = [requantize_to_words(neon, *pair, shift) for pair in pairs]
            code.add(store(y, i * 8, words_to_codes(neon, words, zero, -128, 100, 8)))
    func = tirx.PrimFunc([x, m, y], code.statement())
    return func.with_attr("global_symbol", "main").with_attr("tirx.noalias", True)


@pytest.mark.parametrize("target", TARGETS)
def test_values_of_every_shift(target: str) -> None:
    """Of shifts of at least 31 the result is an int32, exactly the formula's."""
    neon = Neon("aarch64" if target == "cortex-a53" else "arm")
    rng = np.random.default_rng(0)
    shifts = [shift for shift in SHIFTS if shift >= 31]
    data = [(sums(rng), factors(rng, 0)) for _ in shifts]
    cases = [Raw(kernel(neon, s, None), pair, ((SIZE,), "int32")) for s, pair in zip(shifts, data, strict=True)]
    for shift, (x, m), found in zip(shifts, data, run_raw(cases, target), strict=True):
        np.testing.assert_array_equal(found, formula([x, m, np.int64(shift)], CLAMP), err_msg=f"shift {shift}")


@pytest.mark.parametrize("target", TARGETS)
def test_codes_of_every_shift(target: str) -> None:
    neon = Neon("aarch64" if target == "cortex-a53" else "arm")
    rng = np.random.default_rng(1)
    zeros = [int(rng.integers(-128, 128)) for _ in SHIFTS]
    data = [(sums(rng), factors(rng, LEAST_MULTIPLIER if shift < 31 else 0)) for shift in SHIFTS]
    cases = [
        Raw(kernel(neon, shift, zero), pair, ((SIZE,), "int8"))
        for shift, zero, pair in zip(SHIFTS, zeros, data, strict=True)
    ]
    for shift, zero, (x, m), found in zip(SHIFTS, zeros, data, run_raw(cases, target), strict=True):
        attributes = {"zero_point": zero, "low": -128, "high": 100, "dtype": "int8"}
        expected = formula([x, m, np.int64(shift)], attributes)
        np.testing.assert_array_equal(found, expected, err_msg=f"shift {shift}")


def test_the_type_of_a_call_is_a_vector() -> None:
    value = Neon("aarch64").multiply_high(
        tirx.Broadcast(tirx.const(1, "int32"), 4), tirx.Broadcast(tirx.const(1, "int32"), 4)
    )
    assert int(tvm.DataType(str(value.ty.dtype)).lanes) == 4
