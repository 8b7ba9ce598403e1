"""Depthwise convolution of float32: right for every window, image and number of channels, and the rule fired."""

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

VECTORS = ["host", "cortex-a53"]
CHANNELS = st.sampled_from([2, 3, 4, 7, 8, 16, 17, 24, 31, 48])


@st.composite
def windows(draw: st.DrawFn, height: int, width: int) -> Window:
    """Any window that fits: up to 5x5, strides beyond the kernel, uneven pads, dilation."""
    sizes = st.sampled_from([(3, 3), (1, 3), (3, 1), (2, 2), (5, 5), (4, 1)])
    top, left, bottom, right = (draw(st.integers(0, 3)) for _ in range(4))
    window = Window(
        draw(sizes), draw(pair(st.integers(1, 6))), (top, left, bottom, right), draw(pair(st.integers(1, 2)))
    )
    return window if window.fits(height, width) else Window((2, 1), window.strides, (1, 0, 1, 0))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    data=st.data(),
    target=st.sampled_from(VECTORS),
    batch=st.integers(1, 3),
    sizes=pair(st.integers(1, 19)),
    channels=CHANNELS,
)
def test_law_any_window(data: st.DataObject, target: str, batch: int, sizes: tuple[int, int], channels: int) -> None:
    window = data.draw(windows(*sizes))
    x, w = normal(batch, *sizes, channels), normal(*window.kernel, 1, channels)
    scheduled = schedule(lambda p, emit: conv(p[0], w, window, channels), [x], target)
    assert scheduled.rules == ["channel_window"]
    assert_close(run(scheduled, [x]), reference.conv2d(x, w, window, channels))


@pytest.mark.parametrize("target", MACHINES)
def test_what_follows_it_of_any_kind(target: str) -> None:
    window = Window((3, 3), pads=(1, 1, 1, 1))
    x, w, bias = normal(2, 6, 9, 24), normal(3, 3, 1, 24), normal(1, 1, 1, 24)

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        y = emit(relax.op.add(emit(conv(p[0], w, window, 24)), relax.const(bias)))
        y = emit(relax.op.multiply(y, emit(relax.op.sigmoid(y))))
        return relax.op.add(y, p[0])

    scheduled = schedule(body, [x], target)
    assert scheduled.rules == ["register_tile" if target == "cortex-m4" else "channel_window"]
    y = reference.conv2d(x, w, window, 24) + bias
    assert_close(run(scheduled, [x]), y / (1 + np.exp(-y)) + x)


def test_a_large_image_is_shared_among_threads() -> None:
    window = Window((3, 3), pads=(1, 1, 1, 1))
    x, w = normal(1, 40, 40, 32), normal(3, 3, 1, 32)
    scheduled = schedule(lambda p, emit: conv(p[0], w, window, 32), [x])
    assert "T.parallel" in scheduled.only.func.script()
    assert_close(run(scheduled, [x]), reference.conv2d(x, w, window, 32))


@pytest.mark.parametrize("target", VECTORS)
def test_nothing_is_copied_and_no_border_is_tested(target: str) -> None:
    window = Window((3, 3), pads=(1, 1, 1, 1))
    x, w = normal(1, 12, 12, 64), normal(3, 3, 1, 64)
    scheduled = schedule(lambda p, emit: conv(p[0], w, window, 64), [x], target)
    script = scheduled.only.func.script()
    assert "if " not in script and "pad_temp" not in script
    products = {"host": "vfmadd", "cortex-a53": "fmla"}[target]
    assert sum(n for name, n in instructions(scheduled, target).items() if name.startswith(products)) >= 9


def test_weights_that_are_no_constants_are_left_to_the_tiles() -> None:
    x, w = normal(1, 6, 6, 16), normal(3, 3, 1, 16)
    scheduled = schedule(lambda p, emit: conv(p[0], p[1], Window((3, 3)), 16), [x, w])
    assert scheduled.rules == ["register_tile"]
    assert_close(run(scheduled, [x, w]), reference.conv2d(x, w, Window((3, 3)), 16))
