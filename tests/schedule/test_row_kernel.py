"""Kernels of several stages that go over rows: the same numbers as one kernel after another, from a few rows."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.codegen.lower import lower
from edgetvm.passes.join_rows import Segment
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.int8_layers import Layer
from tests.schedule.kernels import Emit, run, schedule
from tests.schedule.reference import Window, conv2d
from tests.schedule.row_layers import body_of, chains, expected, follow, residual_of

FEW = settings(max_examples=4, deadline=None, derandomize=True)
SAME = Window((3, 3), pads=(1, 1, 1, 1))
HALVES = Window((3, 3), (2, 2), (0, 0, 1, 1))
POINT = Window((1, 1))
RUNNABLE = ["host", "cortex-m3"]


def depthwise_pointwise(window: Window) -> list[Layer]:
    depthwise = Layer((1, 12, 10, 16), 16, window, "relu", 16)
    return [depthwise, follow(depthwise, 24, POINT)]


def block(rows: int = 10) -> list[Layer]:
    """Two convolutions, and the input of the first added to the second."""
    first = Layer((1, rows, 8, 16), 16, SAME, "relu")
    return [first, residual_of(follow(first, 16, SAME))]


def check(layers: list[Layer], tile: int, target: str, residual: bool = False) -> None:
    x = layers[0].inputs()[0]
    scheduled = schedule(body_of(layers, residual), [x], target, [Segment(0, len(layers), tile)])
    assert scheduled.rules == ["row_stages"]
    np.testing.assert_array_equal(run(scheduled, [x]), expected(layers, x))


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("tile", [1, 2, 5])
@pytest.mark.parametrize("window", [SAME, HALVES], ids=["stride 1", "stride 2"])
def test_depthwise_and_pointwise(window: Window, tile: int, target: str) -> None:
    check(depthwise_pointwise(window), tile, target)


@pytest.mark.parametrize("target", RUNNABLE)
def test_a_block_with_a_residual(target: str) -> None:
    check(block(), 1, target, residual=True)


@FEW
@given(layers=chains(), tile=st.integers(1, 4), target=st.sampled_from(RUNNABLE))
def test_law_rows_change_no_number(layers: list[Layer], tile: int, target: str) -> None:
    check(layers, tile, target)


def test_parts_for_neon_are_neons() -> None:
    layers = depthwise_pointwise(SAME)
    x = layers[0].inputs()[0]
    scheduled = schedule(body_of(layers), [x], "cortex-a53", [Segment(0, 2, 2)])
    assert "vrshl" in str(scheduled.only.func) or "llvm.aarch64" in str(scheduled.only.func)
    (found,) = run_fenced([Fenced(scheduled, [x])], "cortex-a53")
    np.testing.assert_array_equal(found, expected(layers, x))


@pytest.mark.parametrize("target", RUNNABLE)
def test_floats(target: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 12, 10, 8)).astype(np.float32)
    first, second = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 3, 1, 8), (1, 1, 8, 16)))

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        settings = ("NHWC", "HWIO", "NHWC")
        depthwise = relax.op.nn.relu(emit(relax.op.nn.conv2d(p[0], relax.const(first), 1, 1, 1, 8, *settings)))
        return relax.op.nn.conv2d(emit(depthwise), relax.const(second), 1, 0, 1, 1, *settings)

    scheduled = schedule(body, [x], target, [Segment(0, 2, 2)])
    assert scheduled.rules == ["row_stages"]
    wanted = conv2d(np.maximum(conv2d(x, first, SAME, 8), 0), second, POINT)
    np.testing.assert_allclose(run(scheduled, [x]), wanted, rtol=1e-4, atol=1e-4)


def test_scratch_holds_rows_and_not_images() -> None:
    layers = block(rows=64)
    x = layers[0].inputs()[0]
    scheduled = schedule(body_of(layers, residual=True), [x], "cortex-m3", [Segment(0, 2, 1)])
    kernel = lower("k", scheduled.only.func, tvm_target(load_target("host")))
    assert sum(kernel.workspaces) < x.nbytes / 4
