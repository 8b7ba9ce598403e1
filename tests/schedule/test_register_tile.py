"""Register tiles: convolutions, products, pools and means are right in every shape, and the rule fired."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from tests.schedule import reference
from tests.schedule.kernels import MACHINES, Emit, assert_close, run, schedule
from tests.schedule.reference import Window

FEW = settings(max_examples=20, deadline=None, derandomize=True)
CHANNELS = st.sampled_from([1, 3, 4, 7, 8, 16, 17, 24, 32])
TARGETS = st.sampled_from(MACHINES)


def pair(values: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(values, values)


@st.composite
def windows(draw: st.DrawFn, height: int, width: int) -> Window:
    """Any window that fits: strides beyond the kernel, uneven pads, dilation."""
    small = st.integers(1, 3)
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    window = Window(draw(pair(small)), draw(pair(st.integers(1, 4))), pads, draw(pair(st.integers(1, 2))))
    return window if window.fits(height, width) else Window((1, 1), window.strides, window.pads)


def sums_nothing(weights: np.ndarray) -> bool:
    """A 1x1 window over one channel multiplies elements: no reduction is left to tile."""
    return int(np.prod(weights.shape[:3])) == 1


@FEW
@given(data=st.data(), target=TARGETS, batch=st.integers(1, 3), sizes=pair(st.integers(1, 9)), channels=pair(CHANNELS))
def test_conv2d(
    data: st.DataObject, target: str, batch: int, sizes: tuple[int, int], channels: tuple[int, int]
) -> None:
    window = data.draw(windows(*sizes))
    x, w = normal(batch, *sizes, channels[0]), normal(*window.kernel, *channels)
    # With vectors, constant weights have rules of their own.
    given_ = [x] if target == "cortex-m4" and data.draw(st.booleans()) else [x, w]
    scheduled = schedule(lambda p, emit: conv(p[0], p[1] if len(p) > 1 else w, window), given_, target)
    assert scheduled.rules == ["register_tile"] or sums_nothing(w)
    assert_close(run(scheduled, given_), reference.conv2d(x, w, window))


@FEW
@given(data=st.data(), target=TARGETS, groups=st.integers(2, 4), per_group=pair(st.sampled_from([1, 2, 3, 8])))
def test_conv2d_in_groups(data: st.DataObject, target: str, groups: int, per_group: tuple[int, int]) -> None:
    window = data.draw(windows(5, 6))
    x, w = normal(1, 5, 6, groups * per_group[0]), normal(*window.kernel, per_group[0], groups * per_group[1])
    scheduled = schedule(lambda p, emit: conv(p[0], w, window, groups), [x], target)
    by_channel = per_group == (1, 1) and target != "cortex-m4"
    assert scheduled.rules == ["channel_window" if by_channel else "register_tile"] or sums_nothing(w)
    assert_close(run(scheduled, [x]), reference.conv2d(x, w, window, groups))


@FEW
@given(data=st.data(), target=TARGETS, batch=st.integers(1, 2), channels=CHANNELS)
def test_depthwise_conv2d(data: st.DataObject, target: str, batch: int, channels: int) -> None:
    window = data.draw(windows(6, 5))
    x, w = normal(batch, 6, 5, channels), normal(*window.kernel, 1, channels)
    scheduled = schedule(lambda p, emit: conv(p[0], w, window, channels), [x], target)
    by_channel = channels > 1 and target != "cortex-m4"
    assert scheduled.rules == ["channel_window" if by_channel else "register_tile"] or sums_nothing(w)
    assert_close(run(scheduled, [x]), reference.conv2d(x, w, window, channels))


@pytest.mark.parametrize("target", MACHINES)
def test_conv2d_with_bias_residual_and_relu(target: str) -> None:
    window = Window((5, 5), pads=(2, 2, 2, 2))
    x, w, bias = normal(2, 6, 8, 16), normal(5, 5, 16, 16), normal(1, 1, 1, 16)

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        y = emit(relax.op.add(emit(conv(p[0], p[1], window)), relax.const(bias)))
        return relax.op.nn.relu(emit(relax.op.add(y, p[0])))

    scheduled = schedule(body, [x, w], target)
    assert scheduled.rules == ["register_tile"]
    assert_close(run(scheduled, [x, w]), np.maximum(reference.conv2d(x, w, window) + bias + x, 0))


@FEW
@given(data=st.data(), target=TARGETS, rows=st.integers(1, 20), inner=CHANNELS, columns=CHANNELS)
def test_matmul(data: st.DataObject, target: str, rows: int, inner: int, columns: int) -> None:
    weights_constant = target == "cortex-m4" and data.draw(st.booleans())
    a, b = normal(rows, inner), normal(inner, columns)
    given_ = [a] if weights_constant else [a, b]
    scheduled = schedule(
        lambda p, emit: relax.op.matmul(p[0], relax.const(b) if weights_constant else p[1]), given_, target
    )
    # One element and one step are no loop at all.
    assert scheduled.rules == [tiles_of_products(target)] or 1 in (inner, columns)
    assert_close(run(scheduled, given_), a.astype(np.float64) @ b)


@FEW
@given(target=TARGETS, batch=st.integers(1, 4), rows=st.integers(1, 9), inner=CHANNELS, columns=CHANNELS)
def test_batched_matmul(target: str, batch: int, rows: int, inner: int, columns: int) -> None:
    a, b = normal(batch, rows, inner), normal(batch, inner, columns)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], p[1]), [a, b], target)
    assert scheduled.rules == [tiles_of_products(target)] or 1 in (inner, columns)
    assert_close(run(scheduled, [a, b]), a.astype(np.float64) @ b)


@pytest.mark.parametrize("target", MACHINES)
def test_matmul_of_a_transposed_operand(target: str) -> None:
    a, b = normal(6, 16), normal(24, 16)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], emit(relax.op.permute_dims(p[1]))), [a, b], target)
    assert tiles_of_products(target) in scheduled.rules
    assert_close(run(scheduled, [a, b]), a.astype(np.float64) @ b.T)


@FEW
@given(data=st.data(), target=TARGETS, channels=CHANNELS)
def test_max_pool(data: st.DataObject, target: str, channels: int) -> None:
    window = data.draw(windows(7, 6))
    x = normal(1, 7, 6, channels) - 5  # below zero: padding must not win
    scheduled = schedule(lambda p, emit: relax.op.nn.max_pool2d(p[0], **pooling(window), layout="NHWC"), [x], target)
    assert scheduled.rules == ["register_tile"] or window.kernel == (1, 1)
    expected = reference.max_pool(x, window)
    inside = np.isfinite(expected)  # a window in the padding alone has no maximum
    ours = run(scheduled, [x])
    np.testing.assert_array_equal(ours[inside], expected[inside])


@FEW
@given(data=st.data(), target=TARGETS, channels=CHANNELS, counted=st.booleans())
def test_average_pool(data: st.DataObject, target: str, channels: int, counted: bool) -> None:
    kernel = data.draw(pair(st.integers(1, 3)))
    pads = tuple(data.draw(st.integers(0, extent - 1)) for extent in (*kernel, *kernel))
    window = Window(kernel, data.draw(pair(st.integers(1, 3))), pads)
    x = normal(1, 7, 6, channels)
    scheduled = schedule(
        lambda p, emit: relax.op.nn.avg_pool2d(p[0], **pooling(window), count_include_pad=counted, layout="NHWC"),
        [x],
        target,
    )
    assert_close(run(scheduled, [x]), reference.average_pool(x, window, counted))


@FEW
@given(target=TARGETS, batch=st.integers(1, 3), channels=CHANNELS, keep=st.booleans())
def test_mean_over_the_image(target: str, batch: int, channels: int, keep: bool) -> None:
    x = normal(batch, 5, 7, channels)
    scheduled = schedule(lambda p, emit: relax.op.mean(p[0], [1, 2], keep), [x], target)
    assert "register_tile" in scheduled.rules or channels == batch == 1
    assert_close(run(scheduled, [x]), x.astype(np.float64).mean((1, 2), keepdims=keep))


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sum_over_one_axis(target: str, axis: int) -> None:
    x = normal(5, 6, 16)
    scheduled = schedule(lambda p, emit: relax.op.sum(p[0], [axis]), [x], target)
    along_memory = axis == 2 and target != "cortex-m4"
    assert scheduled.rules == ["row_pass" if along_memory else "register_tile"]
    assert_close(run(scheduled, [x]), x.astype(np.float64).sum(axis))


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize(("dtype", "accumulator"), [("int8", "int32"), ("int64", "int64"), ("float64", "float64")])
def test_other_element_types(target: str, dtype: str, accumulator: str) -> None:
    rng = np.random.default_rng(0)
    window = Window((3, 3), pads=(1, 1, 1, 1))
    x = rng.integers(-128, 128, (1, 6, 8, 16)).astype(dtype)
    w = rng.integers(-128, 128, (3, 3, 16, 32)).astype(dtype)
    # Weights that are no constants: other rules are for those of int8.
    scheduled = schedule(lambda p, emit: conv(p[0], p[1], window, out_dtype=accumulator), [x, w], target)
    assert scheduled.rules == ["register_tile"]
    assert_close(run(scheduled, [x, w]), reference.conv2d(x, w, window).astype(accumulator), 1e-14)


@pytest.mark.parametrize("target", MACHINES)
def test_a_kernel_worth_sharing_among_threads(target: str) -> None:
    window = Window((3, 3), pads=(1, 1, 1, 1))
    x, w = normal(1, 20, 20, 16), normal(3, 3, 16, 16)
    scheduled = schedule(lambda p, emit: conv(p[0], w, window), [x], target)
    assert ("T.parallel" in scheduled.only.func.script()) == (target != "cortex-m4")
    assert_close(run(scheduled, [x]), reference.conv2d(x, w, window))


@pytest.mark.parametrize("target", MACHINES)
def test_weights_beyond_the_cache(target: str) -> None:
    a, b = normal(12, 600), normal(600, 1024)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], p[1]), [a, b], target)
    assert scheduled.rules == [tiles_of_products(target)]
    assert_close(run(scheduled, [a, b]), a.astype(np.float64) @ b)


@pytest.mark.parametrize("target", MACHINES)
def test_two_reductions_are_left_to_the_next_rule(target: str) -> None:
    x = normal(6, 16)
    scheduled = schedule(lambda p, emit: relax.op.nn.softmax(p[0]), [x], target)
    assert scheduled.rules == ["elementwise" if target == "cortex-m4" else "row_pass"]
    power = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    assert_close(run(scheduled, [x]), power / power.sum(1, keepdims=True))


@pytest.mark.parametrize("target", MACHINES)
def test_a_sum_over_everything_has_no_rows(target: str) -> None:
    x = normal(6, 16)
    scheduled = schedule(lambda p, emit: relax.op.sum(p[0]), [x], target)
    assert_close(run(scheduled, [x]), x.astype(np.float64).sum())


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize(("a", "b"), [((0, 3), (3, 4)), ((2, 3), (3, 0)), ((2, 0), (0, 4))])
def test_empty_tensors(target: str, a: tuple[int, int], b: tuple[int, int]) -> None:
    inputs = [normal(*a), normal(*b)]
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], p[1]), inputs, target)
    assert_close(run(scheduled, inputs), inputs[0] @ inputs[1])


def tiles_of_products(target: str) -> str:
    """The rule for matrix products: with vectors it is another."""
    return "register_tile" if target == "cortex-m4" else "batched_product"


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def conv(
    x: relax.Var, w: np.ndarray | relax.Var, window: Window, groups: int = 1, out_dtype: str | None = None
) -> tvm.ir.Expr:
    return relax.op.nn.conv2d(
        x,
        w if isinstance(w, relax.Var) else relax.const(w),
        window.strides,
        window.pads,
        window.dilation,
        groups,
        "NHWC",
        "HWIO",
        "NHWC",
        out_dtype,
    )


def pooling(window: Window) -> dict[str, object]:
    return {
        "pool_size": window.kernel,
        "strides": window.strides,
        "padding": window.pads,
        "dilation": window.dilation,
    }
