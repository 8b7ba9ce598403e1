"""float32 convolutions and products with constant weights: right in every shape, and the rule fired."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from tests.schedule import reference
from tests.schedule.assembly import instructions
from tests.schedule.kernels import MACHINES, Emit, assert_close, run, schedule
from tests.schedule.reference import Window
from tests.schedule.test_register_tile import conv, normal, pair

VECTORS = ["host", "cortex-a53", "cortex-a7"]
TARGETS = st.sampled_from(VECTORS)
CHANNELS = st.sampled_from([2, 3, 5, 7, 8, 10, 16, 17, 24, 31, 40])


@st.composite
def windows(draw: st.DrawFn, height: int, width: int) -> Window:
    """Any window that fits and that Winograd's rule leaves alone: strides, uneven pads, dilation."""
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (1, 3), (3, 1), (2, 2), (5, 5), (4, 1)]))
    top, left, bottom, right = (draw(st.integers(0, 3)) for _ in range(4))
    strides = draw(pair(st.integers(1, 6)))
    if kernel == (3, 3) and strides == (1, 1):
        strides = (1, 2)
    window = Window(kernel, strides, (top, left, bottom, right), draw(pair(st.integers(1, 2))))
    return window if window.fits(height, width) else Window((1, 1), strides)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    data=st.data(),
    target=TARGETS,
    batch=st.integers(1, 2),
    sizes=pair(st.integers(1, 17)),
    channels=st.tuples(st.sampled_from([2, 3, 5, 8, 16]), CHANNELS),
)
def test_law_any_convolution(
    data: st.DataObject, target: str, batch: int, sizes: tuple[int, int], channels: tuple[int, int]
) -> None:
    window = data.draw(windows(*sizes))
    x, w = normal(batch, *sizes, channels[0]), normal(*window.kernel, *channels)
    scheduled = schedule(lambda p, emit: conv(p[0], w, window), [x], target)
    assert scheduled.rules == ["matrix_tile"]
    assert_close(run(scheduled, [x]), reference.conv2d(x, w, window))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(target=TARGETS, rows=st.integers(1, 40), inner=st.sampled_from([2, 3, 4, 7, 8, 33, 64]), columns=CHANNELS)
def test_law_any_product(target: str, rows: int, inner: int, columns: int) -> None:
    a, b = normal(rows, inner), normal(inner, columns)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], relax.const(b)), [a], target)
    assert scheduled.rules == ["matrix_tile"]
    assert_close(run(scheduled, [a]), a.astype(np.float64) @ b)


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize(("rows", "columns"), [(197, 130), (13, 1001), (1, 300)])
def test_remainders_keep_whole_tiles_of_the_rest(target: str, rows: int, columns: int) -> None:
    a, b = normal(rows, 24), normal(24, columns)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], relax.const(b)), [a], target)
    assert scheduled.rules == ["register_tile" if target == "cortex-m4" else "matrix_tile"]
    assert_close(run(scheduled, [a]), a.astype(np.float64) @ b)


@pytest.mark.parametrize("target", VECTORS)
def test_what_follows_it_of_any_kind(target: str) -> None:
    a, b, bias = normal(9, 24), normal(24, 24), normal(24, 1)[:, 0]

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        y = emit(relax.op.add(emit(relax.op.matmul(p[0], relax.const(b))), relax.const(bias)))
        return relax.op.add(emit(relax.op.nn.silu(y)), p[0])

    scheduled = schedule(body, [a], target)
    assert scheduled.rules == ["matrix_tile"]
    y = a.astype(np.float64) @ b + bias
    assert_close(run(scheduled, [a]), y / (1 + np.exp(-y)) + a)


@pytest.mark.parametrize("target", VECTORS)
@pytest.mark.parametrize(("rows", "inner", "columns"), [(300, 64, 64), (1, 700, 700), (12, 600, 1024), (3, 400, 900)])
def test_large_products_are_shared_among_threads(target: str, rows: int, inner: int, columns: int) -> None:
    """By rows, or by panels where there is one row or where weights exceed the cache."""
    a, b = normal(rows, inner), normal(inner, columns)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], relax.const(b)), [a], target)
    assert scheduled.rules == ["matrix_tile"]
    assert scheduled.only.func.script().count("T.parallel") == 1
    assert_close(run(scheduled, [a]), a.astype(np.float64) @ b)


@pytest.mark.parametrize("target", VECTORS)
def test_a_large_image_is_shared_among_threads(target: str) -> None:
    window = Window((3, 3), (2, 2), (1, 1, 1, 1))
    x, w = normal(1, 40, 40, 8), normal(3, 3, 8, 24)
    scheduled = schedule(lambda p, emit: conv(p[0], w, window), [x], target)
    assert "T.parallel" in scheduled.only.func.script()
    assert_close(run(scheduled, [x]), reference.conv2d(x, w, window))


def test_nothing_is_copied() -> None:
    x, w = normal(1, 12, 12, 16), normal(3, 3, 16, 32)
    scheduled = schedule(lambda p, emit: conv(p[0], w, Window((3, 3), (2, 2), (1, 1, 1, 1))), [x])
    assert "pad_temp" not in scheduled.only.func.script()


def test_neon_multiplies_by_lane() -> None:
    a, b = normal(32, 64), normal(64, 64)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], relax.const(b)), [a], "cortex-a53")
    counts = instructions(scheduled, "cortex-a53")
    assert counts["fmla"] >= 64
    assert counts["dup"] == counts["ld1r"] == 0
