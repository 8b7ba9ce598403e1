"""Products of two tensors known at run time, as attention has: right in every shape, and the rule fired."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from tests.schedule.kernels import Emit, assert_close, run, schedule
from tests.schedule.test_register_tile import normal

VECTORS = ["host", "cortex-a53", "cortex-a7"]
SIZES = st.sampled_from([2, 3, 7, 8, 13, 16, 17, 24, 33, 40])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    target=st.sampled_from(VECTORS),
    batch=st.lists(st.integers(1, 3), max_size=2),
    rows=st.integers(1, 20),
    inner=SIZES,
    columns=SIZES,
    shared=st.booleans(),
)
def test_law_any_shape(target: str, batch: list[int], rows: int, inner: int, columns: int, shared: bool) -> None:
    """`shared`: all products have the same second factor."""
    a, b = normal(*batch, rows, inner), normal(*([] if shared else batch), inner, columns)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], p[1]), [a, b], target)
    assert scheduled.rules == ["batched_product"]
    assert_close(run(scheduled, [a, b]), a.astype(np.float64) @ b)


@pytest.mark.parametrize("target", VECTORS)
@pytest.mark.parametrize("length", [1, 5, 13, 64, 197])
def test_attention_of_any_length(target: str, length: int) -> None:
    """Scores with their scale and mask, softmax, weighted values."""
    q, k, v = normal(1, 4, length, 8), normal(4, 1, length, 8).reshape(1, 4, length, 8), 1 - normal(1, 4, length, 8)
    mask = np.where(np.arange(length) < max(length - 2, 1), 0, -1e9).astype(np.float32).reshape(1, 1, 1, length)

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        scores = emit(relax.op.matmul(p[0], emit(relax.op.permute_dims(p[1], [0, 1, 3, 2]))))
        scores = emit(relax.op.add(emit(relax.op.multiply(scores, relax.const(0.125, "float32"))), p[3]))
        return relax.op.matmul(emit(relax.op.nn.softmax(scores)), p[2])

    scheduled = schedule(body, [q, k, v, mask], target)
    assert scheduled.rules.count("batched_product") == 2 or length == 1
    scores = q.astype(np.float64) @ k.transpose(0, 1, 3, 2) * 0.125 + mask
    power = np.exp(scores - scores.max(-1, keepdims=True))
    assert_close(run(scheduled, [q, k, v, mask]), power / power.sum(-1, keepdims=True) @ v)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    target=st.sampled_from(VECTORS),
    extents=st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 20)),
    inner=SIZES,
    columns=SIZES,
    axes=st.sampled_from(["bmhk,bnhk->bhmn", "bhmk,bnhk->bhmn", "bhmk,bnhk->bmhn", "bhmk,bhkn->bmhn", "bhmk,nk->mbhn"]),
)
def test_law_axes_in_any_order(target: str, extents: tuple[int, int, int], inner: int, columns: int, axes: str) -> None:
    """As attention has them: heads behind positions, columns that lie along the sum."""
    size = dict(zip("bhmkn", (*extents, inner, columns), strict=True))
    a, b = (normal(*(size[axis] for axis in side)) for side in axes.partition("->")[0].split(","))
    scheduled = schedule(lambda p, emit: relax.op.einsum((p[0], p[1]), axes), [a, b], target)
    assert scheduled.rules == ["batched_product"]
    assert_close(run(scheduled, [a, b]), np.einsum(axes, a.astype(np.float64), b))


@pytest.mark.parametrize("target", VECTORS)
@pytest.mark.parametrize("shape", [(12, 90, 64, 90), (1, 200, 64, 200), (1, 4, 500, 1200)])
def test_columns_along_the_sum_are_laid_out_by_every_thread(target: str, shape: tuple[int, int, int, int]) -> None:
    heads, rows, inner, columns = shape
    a, b = normal(heads, rows, inner), normal(heads, columns, inner)
    scheduled = schedule(lambda p, emit: relax.op.einsum((p[0], p[1]), "hmk,hnk->hmn"), [a, b], target)
    assert scheduled.rules == ["batched_product"]
    assert scheduled.only.func.script().count("T.parallel") == 1
    assert_close(run(scheduled, [a, b]), np.einsum("hmk,hnk->hmn", a.astype(np.float64), b))


def test_a_sum_across_memory_of_both_factors_is_left_alone() -> None:
    a, b = normal(8, 5), normal(8, 7)
    scheduled = schedule(lambda p, emit: relax.op.einsum((p[0], p[1]), "km,kn->mn"), [a, b])
    assert scheduled.rules == ["register_tile"]
    assert_close(run(scheduled, [a, b]), a.T.astype(np.float64) @ b)


@pytest.mark.parametrize("target", VECTORS)
@pytest.mark.parametrize("shape", [(6, 40, 64, 40), (1, 200, 64, 40), (1, 1, 700, 700)])
def test_large_products_are_shared_among_threads(target: str, shape: tuple[int, int, int, int]) -> None:
    heads, rows, inner, columns = shape
    a, b = normal(heads, rows, inner), normal(heads, inner, columns)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], p[1]), [a, b], target)
    assert scheduled.rules == ["batched_product"]
    assert scheduled.only.func.script().count("T.parallel") == 1
    assert_close(run(scheduled, [a, b]), a.astype(np.float64) @ b)


def test_an_epilogue_that_depends_on_the_place_is_left_alone() -> None:
    a, b = normal(6, 8), normal(8, 7)
    scheduled = schedule(lambda p, emit: relax.op.tril(emit(relax.op.matmul(p[0], p[1]))), [a, b])
    assert "batched_product" not in scheduled.rules or len(scheduled.rules) == 2
    assert_close(run(scheduled, [a, b]), np.tril(a.astype(np.float64) @ b))


def test_without_vectors_it_declines() -> None:
    a, b = normal(3, 8), normal(8, 8)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], p[1]), [a, b], "cortex-m4")
    assert scheduled.rules == ["register_tile"]
