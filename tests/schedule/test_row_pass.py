"""Functions of rows: right for every length of rows and number of them, in vectors, and the rule fired."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from tests.schedule.kernels import Emit, Scheduled, assert_close, machine, run, schedule

FEW = settings(max_examples=30, deadline=None, derandomize=True)
VECTORS = ["host", "cortex-a53"]
TARGETS = st.sampled_from(VECTORS)
SHAPES = st.tuples(
    st.lists(st.sampled_from([1, 2, 3, 7]), min_size=1, max_size=3),
    st.sampled_from([2, 3, 7, 8, 12, 16, 17, 24, 48, 64, 96, 320]),
).map(lambda parts: (*parts[0], parts[1]))


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def softmax(x: np.ndarray) -> np.ndarray:
    power = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return np.asarray(power / power.sum(-1, keepdims=True))


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    wide = x.astype(np.float64)
    centred = wide - wide.mean(-1, keepdims=True)
    return np.asarray(centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-5) * gamma + beta)


def widest(scheduled: Scheduled) -> int:
    """The lanes of the widest loop along vectors."""
    found = [1]

    def on_loop(loop: tvm.tirx.For) -> None:
        if loop.kind == tvm.tirx.ForKind.VECTORIZED:
            found.append(int(loop.extent))

    tvm_ffi.structural_walk(scheduled.only.func.body, (tvm.tirx.For, on_loop))
    return max(found)


@FEW
@given(target=TARGETS, shape=SHAPES)
def test_law_softmax(target: str, shape: tuple[int, ...]) -> None:
    x = 5 * normal(*shape)
    scheduled = schedule(lambda p, emit: relax.op.nn.softmax(p[0]), [x], target)
    assert scheduled.rules == ["row_pass"]
    assert_close(run(scheduled, [x]), softmax(x), 1e-6)


@FEW
@given(target=TARGETS, shape=SHAPES)
def test_law_layer_norm_and_what_follows_it(target: str, shape: tuple[int, ...]) -> None:
    x, gamma, beta = 3 + normal(*shape), normal(shape[-1]), normal(shape[-1], 1)[:, 0]

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        y = emit(relax.op.nn.layer_norm(p[0], relax.const(gamma), relax.const(beta), [-1], 1e-5))
        return relax.op.nn.relu(y)

    scheduled = schedule(body, [x], target)
    assert scheduled.rules == ["row_pass"]
    assert_close(run(scheduled, [x]), np.maximum(layer_norm(x, gamma, beta), 0))


@FEW
@given(target=TARGETS, shape=SHAPES, keep=st.booleans(), largest=st.booleans())
def test_law_one_reduction(target: str, shape: tuple[int, ...], keep: bool, largest: bool) -> None:
    x = normal(*shape)
    operator = relax.op.max if largest else relax.op.sum
    scheduled = schedule(lambda p, emit: operator(p[0], [-1], keep), [x], target)
    assert scheduled.rules == ["row_pass"]
    wide = x.astype(np.float64)
    assert_close(run(scheduled, [x]), wide.max(-1, keepdims=keep) if largest else wide.sum(-1, keepdims=keep))


@pytest.mark.parametrize("target", VECTORS)
def test_rows_are_summed_in_whole_vectors(target: str) -> None:
    x = normal(6, 64)
    scheduled = schedule(lambda p, emit: relax.op.nn.softmax(p[0]), [x], target)
    assert widest(scheduled) == machine(target).lanes(4)


@pytest.mark.parametrize("target", VECTORS)
def test_many_rows_are_shared_among_threads(target: str) -> None:
    x = normal(4, 128, 256)
    scheduled = schedule(lambda p, emit: relax.op.nn.softmax(p[0]), [x], target)
    assert "T.parallel" in scheduled.only.func.script()
    assert_close(run(scheduled, [x]), softmax(x), 1e-6)


@pytest.mark.parametrize("target", VECTORS)
def test_products_of_rows_are_left_to_the_tiles(target: str) -> None:
    """What rows share would be read again for each."""
    a, b = normal(6, 16), normal(24, 16)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], emit(relax.op.permute_dims(p[1]))), [a, b], target)
    assert "row_pass" not in scheduled.rules
    assert_close(run(scheduled, [a, b]), a.astype(np.float64) @ b.T)


@pytest.mark.parametrize("axis", [0, 1])
def test_other_axes_are_left_alone(axis: int) -> None:
    x = normal(6, 7, 16)
    scheduled = schedule(lambda p, emit: relax.op.nn.softmax(p[0], axis), [x])
    assert scheduled.rules == ["elementwise"]
    power = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    assert_close(run(scheduled, [x]), power / power.sum(axis, keepdims=True), 1e-6)


def test_without_vectors_it_declines() -> None:
    x = normal(6, 16)
    scheduled = schedule(lambda p, emit: relax.op.nn.softmax(p[0]), [x], "cortex-m4")
    assert scheduled.rules == ["elementwise"]
    assert_close(run(scheduled, [x]), softmax(x), 1e-6)
