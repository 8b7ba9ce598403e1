"""Numbers become codes by a conversion that rounds: half to even, saturated, as `edgetvm.oracle` says."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax

from tests.schedule.assembly import instructions
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.kernels import Emit, Scheduled, schedule

RUNNER = "cortex-a7"  # has the same instructions, and an operating system under the emulator


def quantized(x: np.ndarray, scale: float, zero: int, dtype: str) -> Scheduled:
    """As `edgetvm.operators.affine` spells it."""
    info = np.iinfo(dtype)

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        rounded = emit(relax.op.round(emit(relax.op.divide(p[0], relax.const(np.float32(scale))))))
        moved = emit(relax.op.add(rounded, relax.const(np.float32(zero)))) if zero else rounded
        bounded = emit(relax.op.clip(moved, float(info.min), float(info.max)))
        return relax.op.astype(bounded, dtype)

    return schedule(body, [x], "cortex-m4")


def test_law() -> None:
    ties = np.arange(-600, 600, dtype=np.float32) / 4
    wide = np.float32([0, -0.0, 1e-38, 7e4, -7e4, 8e6, 2.0**31, -(2.0**31), 3e9, -1e37, np.inf, -np.inf, np.nan])
    x = np.concatenate([ties, ties * 300, wide])
    settings = [(0.5, 0, "int8"), (0.25, -128, "int8"), (0.3, 127, "int8"), (0.07, 5, "int16"), (0.5, -32768, "int16")]
    cases = [Fenced(quantized(x, *chosen), [x]) for chosen in settings]
    for (scale, zero, dtype), found in zip(settings, run_fenced(cases, RUNNER), strict=True):
        info = np.iinfo(dtype)
        expected = np.rint(np.nan_to_num(x / np.float32(scale), nan=0.0, posinf=1e30, neginf=-1e30)) + np.float32(zero)
        np.testing.assert_array_equal(found, np.clip(expected, info.min, info.max).astype(dtype), err_msg=str(scale))


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_instructions(dtype: str) -> None:
    """No function is called, and nothing is compared but the loop's counter."""
    used = instructions(quantized(np.zeros(1000, np.float32), 0.3, 7, dtype), "cortex-m4")
    assert used["vcvtr"]
    assert used["ssat"]
    assert used["bl"] == used["vcmp"] == 0
