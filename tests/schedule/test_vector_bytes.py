"""Vectors narrower than a register, which a recipe or a decision may want of a kernel."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from tvm import relax

from edgetvm.codegen.lower import build, lower
from edgetvm.schedule.decision import apply_decision
from edgetvm.schedule.recipe import machine_for
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from tests.schedule import reference
from tests.schedule.exact_layers import optimizing
from tests.schedule.int8_layers import Layer
from tests.schedule.kernels import Body, Scheduled, assert_close, run, schedule
from tests.schedule.reference import Window
from tests.schedule.test_dot_tile import SAME
from tests.schedule.test_register_tile import conv, normal

WIDE = "x86-64-v4-vnni"
REGISTERS = {64: "zmm", 32: "ymm", 16: "xmm"}
STRIDED = Window((3, 3), (2, 2), (1, 1, 1, 1))
INT8 = {
    "dot_tile": Layer((1, 8, 9, 24), 40, SAME, "relu"),
    "depthwise_int8": Layer((1, 8, 9, 40), 40, SAME, "requantize", groups=40),
}
FLOAT = {"matrix_tile": (STRIDED, 1), "winograd": (SAME, 1), "channel_window": (SAME, 32)}


def float_layer(window: Window, groups: int) -> tuple[Body, np.ndarray, np.ndarray]:
    """A convolution, its input and what it gives."""
    x, w = normal(1, 12, 12, 32), normal(*window.kernel, 32 // groups, 32)
    return lambda p, emit: conv(p[0], w, window, groups), x, reference.conv2d(x, w, window, groups)


def widest(scheduled: Scheduled) -> int:
    """Bytes of the widest registers that are multiplied in the code for a machine with all sizes."""
    target = tvm_target(load_target(WIDE))
    text = build([lower("kernel", scheduled.only.func, target)], target).inspect_source("asm")
    products = re.findall(r"^\t(?:vpdpbusd|vfmadd\w+|vmulps)\t.*", text, re.MULTILINE)
    return max(size for size, name in REGISTERS.items() if any(f"%{name}" in line for line in products))


@pytest.mark.parametrize("vector_bytes", [0, 32, 16])
@pytest.mark.parametrize("rule", INT8)
def test_int8_kernels_keep_to_them_and_are_exact(rule: str, vector_bytes: int) -> None:
    layer = INT8[rule]
    with optimizing(WIDE, "balanced", vector_bytes=vector_bytes):
        scheduled = schedule(layer.body, layer.inputs(), WIDE)
        assert scheduled.rules == [rule]
        assert widest(scheduled) == (vector_bytes or 64)
    with optimizing("host", "balanced", vector_bytes=vector_bytes):
        found = run(schedule(layer.body, layer.inputs()), layer.inputs())
    np.testing.assert_array_equal(found, layer.expected(layer.inputs()))


@pytest.mark.parametrize("vector_bytes", [0, 32, 16])
@pytest.mark.parametrize("rule", FLOAT)
def test_float_kernels_keep_to_them(rule: str, vector_bytes: int) -> None:
    body, x, expected = float_layer(*FLOAT[rule])
    with optimizing(WIDE, "balanced", vector_bytes=vector_bytes):
        scheduled = schedule(body, [x], WIDE)
        assert scheduled.rules == [rule]
        assert widest(scheduled) == (vector_bytes or 64)
    with optimizing("host", "balanced", vector_bytes=vector_bytes):
        assert_close(run(schedule(body, [x]), [x]), expected)


def test_a_decision_never_widens_them() -> None:
    machine = machine_for(load_target("cortex-a53"), "library")
    assert apply_decision(machine, {"vector_bytes": 64}).lanes(4) == machine.lanes(4) == 4
    assert apply_decision(machine, {"vector_bytes": 8}).lanes(4) == 2
    assert replace(machine, vector_bytes=0).lanes(4) == 1


def test_half_precision_has_twice_as_many_numbers_in_them() -> None:
    x, w = normal(9, 16).astype(np.float16), normal(16, 16).astype(np.float16)
    for vector_bytes, lanes in ((0, 8), (8, 4)):
        with optimizing("cortex-a76", "balanced", vector_bytes=vector_bytes):
            scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], relax.const(w)), [x], "cortex-a76")
        assert scheduled.rules == ["half_tile"]
        found = {int(size) for size in re.findall(r"float16x(\d+)", str(scheduled.only.func))}
        assert max(found) == lanes
