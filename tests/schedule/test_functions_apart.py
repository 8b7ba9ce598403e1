"""int8 products followed by functions: by the dot product where there is one, right in every shape."""

from __future__ import annotations

from math import erf

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from tests.schedule.kernels import Emit, Scheduled, assert_close, run, schedule

FUNCTIONS = {"gelu": relax.op.nn.gelu, "swish": relax.op.nn.silu}
SCALE = np.float32(0.01)
SIZES = st.sampled_from([1, 3, 7, 16, 17, 40])


def codes(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).integers(-128, 128, shape).astype(np.int8)


def layer(x: np.ndarray, w: np.ndarray, bias: np.ndarray, function: str, target: str, residual: bool) -> Scheduled:
    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        sums = emit(relax.op.astype(emit(relax.op.matmul(p[0], relax.const(w), "int32")), "float32"))
        y = emit(relax.op.add(emit(relax.op.multiply(sums, relax.const(SCALE))), relax.const(bias)))
        y = emit(FUNCTIONS[function](y))
        return relax.op.add(y, p[1]) if residual else relax.op.nn.relu(y)

    r = np.zeros((x.shape[0], w.shape[1]), np.float32)
    return schedule(body, [x, r] if residual else [x], target)


def expected(x: np.ndarray, w: np.ndarray, bias: np.ndarray, function: str) -> np.ndarray:
    y = x.astype(np.float64) @ w.astype(np.float64) * float(SCALE) + bias
    part = (1 + np.vectorize(erf)(y / np.sqrt(2))) / 2 if function == "gelu" else (1 + np.tanh(y / 2)) / 2
    return np.asarray(np.maximum(y * part, 0))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(rows=SIZES, inner=st.sampled_from([4, 7, 32, 60]), columns=SIZES, function=st.sampled_from(sorted(FUNCTIONS)))
def test_law_any_shape(rows: int, inner: int, columns: int, function: str) -> None:
    x, w, bias = codes(rows, inner), codes(inner, columns), np.linspace(-1, 1, columns, dtype=np.float32)
    scheduled = layer(x, w, bias, function, "host", residual=False)
    assert scheduled.rules == ["functions_apart"]
    assert_close(run(scheduled, [x]), expected(x, w, bias, function))


@pytest.mark.parametrize("target", ["cortex-a53", "cortex-a76"])
def test_on_neon_with_and_without_dot_products(target: str) -> None:
    x, w, bias = codes(8, 32), codes(32, 16), np.zeros(16, np.float32)
    assert layer(x, w, bias, "gelu", target, residual=False).rules == ["functions_apart"]


def test_what_reads_more_after_the_function_is_left_to_the_tiles() -> None:
    """The operand might lie where the result does."""
    x, w, bias = codes(8, 32), codes(32, 16), np.zeros(16, np.float32)
    scheduled = layer(x, w, bias, "gelu", "host", residual=True)
    assert scheduled.rules == ["register_tile"]


def test_without_vectors_it_declines() -> None:
    x, w, bias = codes(8, 32), codes(32, 16), np.zeros(16, np.float32)
    assert layer(x, w, bias, "gelu", "cortex-m4", residual=False).rules == ["register_tile"]
