"""Epilogues of one element in registers of 32 bits are the formula, for every shift."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import tirx

from edgetvm.oracle.integer_layers import requantize as formula
from edgetvm.schedule.rules.dot_epilogue import as_requantized
from edgetvm.schedule.rules.lift_epilogue import Lift
from edgetvm.schedule.rules.write_code import Code, load, store
from tests.schedule.assembly import instructions_of
from tests.schedule.fenced import Raw, run_raw

SIZE = 2048


def kernel(zero: int, low: int, shift: int | None) -> tirx.PrimFunc:
    """acc, m, s -> int8 codes, as `edgetvm.requantize` spells them; s is read where `shift` is None."""
    acc, m, s = (tirx.decl_buffer((SIZE,), "int32", name=name) for name in ("acc", "m", "s"))
    y = tirx.decl_buffer((SIZE,), "int8", name="y")
    code = Code()
    with code.loop("i", SIZE) as i:
        one = tirx.const(1, "int64")
        places = tirx.Cast("int64", load(s, i)) if shift is None else tirx.const(shift, "int64")
        half = tirx.LShift(one, places - one) if shift is None else tirx.const(1 << (shift - 1), "int64")
        product = tirx.Cast("int64", load(acc, i)) * tirx.Cast("int64", load(m, i))
        value = tirx.Cast("int32", tirx.RShift(product + half, places))
        assert as_requantized(value) is not None
        bounded = tirx.max(tirx.min(value, tirx.const(127 - zero, "int32")), tirx.const(low - zero, "int32"))
        codes = tirx.Cast("int8", bounded + tirx.const(zero, "int32"))

        def find(expr: tirx.Expr) -> tirx.Expr | None:
            return expr if isinstance(expr, tvm.ir.TensorLoad) else None

        code.add(store(y, i, Lift(code, 1, find, neon=None, words=True)(codes)))
    func = tirx.PrimFunc([acc, m, s, y], code.statement())
    return func.with_attr("global_symbol", "main").with_attr("tirx.noalias", True)


@pytest.mark.parametrize("zero", [-128, -7, 0, 127])
def test_law(zero: int) -> None:
    rng = np.random.default_rng(zero + 128)
    acc = (rng.integers(-(2**31), 2**31, SIZE) >> rng.integers(0, 31, SIZE)).astype(np.int32)
    acc[:6] = [-(2**31), -(2**31) + 1, -1, 0, 1, 2**31 - 1]
    m = (rng.integers(-(2**31) + 1, 2**31, SIZE) >> rng.integers(0, 4, SIZE)).astype(np.int32)
    shifts: list[int | None] = [31, 32, 33, 40, 52, 53, 62, None]
    several = rng.integers(33, 53, SIZE).astype(np.int32)
    low = max(zero, -100)
    cases = [Raw(kernel(zero, low, shift), [acc, m, several], ((SIZE,), "int8")) for shift in shifts]
    for shift, found in zip(shifts, run_raw(cases, "host"), strict=True):
        for s in [shift] if shift is not None else np.unique(several):
            chosen = several == s if shift is None else slice(None)
            attributes = {"zero_point": zero, "low": low, "high": 127, "dtype": "int8"}
            expected = formula([acc[chosen], m[chosen], np.int64(s)], attributes)
            np.testing.assert_array_equal(found[chosen], expected, err_msg=str(s))


def test_instructions() -> None:
    """A product whose high word takes the rounding and the zero point, and a shift that saturates."""
    used = instructions_of(kernel(-128, -128, 40), target_name="cortex-m4")
    assert used["smmla"] or used["smmul"]
    assert used["ssat"]
    assert used["smull"] == used["asr"] == 0
