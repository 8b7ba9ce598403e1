"""Blocks without reductions: along the vector where rows are contiguous, right in every element type."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from tests.schedule.kernels import MACHINES, Emit, Scheduled, assert_close, machine, run, schedule

DTYPES = ("bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64")


def values(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 60, shape).astype(dtype)


def double(x: relax.Var, dtype: str) -> tvm.ir.Expr:
    return relax.op.logical_not(x) if dtype == "bool" else relax.op.add(x, x)


def vectors(scheduled: Scheduled) -> list[int]:
    """The extent of every vectorised loop."""
    found: list[int] = []

    def on_loop(loop: tvm.tirx.For) -> None:
        if loop.kind == tvm.tirx.ForKind.VECTORIZED:
            found.append(int(loop.extent))

    for kernel in scheduled.kernels.values():
        tvm_ffi.structural_walk(kernel.func.body, (tvm.tirx.For, on_loop))
    return found


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_whole_vector_of_any_type(target: str, dtype: str) -> None:
    x = values((3, 128), dtype)
    scheduled = schedule(lambda p, emit: double(p[0], dtype), [x], target)
    assert scheduled.rules == ["elementwise"]
    lanes = machine(target).lanes(x.itemsize)
    assert vectors(scheduled) == ([lanes] if lanes > 1 else [])
    assert_close(run(scheduled, [x]), np.logical_not(x) if dtype == "bool" else x + x, 0)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    target=st.sampled_from(MACHINES),
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.sampled_from([1, 2, 3, 6, 7, 12, 16, 40]), max_size=4).map(tuple),
)
def test_law_any_shape_of_any_type(target: str, dtype: str, shape: tuple[int, ...]) -> None:
    x = values(shape, dtype)
    scheduled = schedule(lambda p, emit: double(p[0], dtype), [x], target)
    assert all(lanes <= machine(target).lanes(x.itemsize) for lanes in vectors(scheduled))
    assert_close(run(scheduled, [x]), np.logical_not(x) if dtype == "bool" else x + x, 0)


@pytest.mark.parametrize("target", MACHINES)
def test_the_widest_type_decides(target: str) -> None:
    x = values((4, 64), "int8")
    scheduled = schedule(lambda p, emit: relax.op.astype(p[0], "int64"), [x], target)
    lanes = machine(target).lanes(8)
    assert vectors(scheduled) == ([lanes] if lanes > 1 else [])
    assert_close(run(scheduled, [x]), x.astype(np.int64))


@pytest.mark.parametrize("target", MACHINES)
def test_a_strided_read_stays_scalar(target: str) -> None:
    x = values((32, 64), "float32")
    scheduled = schedule(lambda p, emit: relax.op.permute_dims(p[0]), [x], target)
    assert vectors(scheduled) == []
    assert_close(run(scheduled, [x]), x.T)


@pytest.mark.parametrize("target", MACHINES)
def test_broadcasts_and_joined_tensors(target: str) -> None:
    a, b, c = values((2, 8, 16), "float32"), values((8, 1), "float32"), values((16,), "float32")

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        total = emit(relax.op.add(emit(relax.op.multiply(p[0], p[1])), p[2]))
        return relax.op.concat([total, p[0]], 1)

    scheduled = schedule(body, [a, b, c], target)
    assert_close(run(scheduled, [a, b, c]), np.concatenate([a * b + c, a], 1))


@pytest.mark.parametrize("target", MACHINES)
def test_a_scalar_has_no_loop(target: str) -> None:
    x = np.asarray(3.0, np.float32)
    scheduled = schedule(lambda p, emit: relax.op.add(p[0], p[0]), [x], target)
    assert scheduled.rules == ["elementwise"]
    assert_close(run(scheduled, [x]), np.asarray(6.0))


@pytest.mark.parametrize("target", ["host", "cortex-a53"])
def test_short_rows_fill_vectors(target: str) -> None:
    """Three channels are less than a vector, an image of them is many; what is left is done one by one."""
    x = np.linspace(-3, 3, 5 * 7 * 3, dtype=np.float32).reshape(1, 5, 7, 3)
    scheduled = schedule(lambda p, emit: relax.op.add(p[0], relax.op.multiply(p[0], p[0])), [x], target)
    assert scheduled.rules == ["elementwise"]
    assert vectors(scheduled) == [machine(target).lanes(4)]
    assert_close(run(scheduled, [x]), x + x * x, 1e-6)
    bias = np.arange(3, dtype=np.float32)
    other = schedule(lambda p, emit: relax.op.add(p[0], relax.const(bias)), [x], target)  # not in step
    assert_close(run(other, [x]), x + bias, 1e-6)


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize("shape", [(6, 7), (4, 16), (3, 5, 9)])
def test_values_that_depend_on_their_place(target: str, shape: tuple[int, ...]) -> None:
    """A triangle: which elements are kept is told by the axes, not by what is loaded."""
    x = values(shape, "float32")
    scheduled = schedule(lambda p, emit: relax.op.tril(p[0], 1), [x], target)
    assert_close(run(scheduled, [x]), np.tril(x, 1))


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize(("channels", "width"), [(3, 32), (3, 7), (64, 32)])
def test_few_planes_become_pixels_by_vectors_of_a_row(target: str, channels: int, width: int) -> None:
    x = values((1, channels, 5, width), "float32")
    scheduled = schedule(lambda p, emit: relax.op.permute_dims(p[0], [0, 2, 3, 1]), [x], target)
    assert scheduled.rules == ["elementwise"]
    lanes = machine(target).lanes(x.itemsize)
    assert vectors(scheduled) == ([lanes] if channels < lanes and width % lanes == 0 else [])
    np.testing.assert_array_equal(run(scheduled, [x]), x.transpose(0, 2, 3, 1))
