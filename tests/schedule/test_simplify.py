"""What is melted into its reader before a schedule, and what is computed once and kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tvm
from tvm import te
from tvm.s_tir import Schedule

from edgetvm.schedule.simplify import inline_elementwise

SHAPE = (4, 6)
Compute = Callable[..., tvm.tirx.Expr]


def stage(name: str, function: Compute, shape: tuple[int, ...] = SHAPE) -> te.Tensor:
    return te.compute(shape, function, name=name)


def blocks_left(inputs: list[te.Tensor], *results: te.Tensor) -> set[str]:
    """The blocks that remain of the function from `inputs` to `results`."""
    sch = Schedule(tvm.IRModule({"main": te.create_prim_func([*inputs, *results])}))
    inline_elementwise(sch)
    return {sch.get(block).name_hint for block in sch.get_child_blocks(sch.get_sblock("root"))}


@pytest.fixture
def x() -> te.Tensor:
    return te.placeholder(SHAPE, name="x")


def rows(source: te.Tensor) -> te.Tensor:
    k = te.reduce_axis((0, SHAPE[1]), name="k")
    return stage("total", lambda i: te.sum(source[i, k], axis=k), SHAPE[:1])


def test_a_chain_becomes_one_block(x: te.Tensor) -> None:
    a = stage("a", lambda i, j: te.exp(x[i, j]))
    b = stage("b", lambda i, j: a[i, j] * 2.0)
    assert blocks_left([x], stage("c", lambda i, j: b[i, j] + 1.0)) == {"c"}


def test_cheap_arithmetic_may_be_repeated(x: te.Tensor) -> None:
    a = stage("a", lambda i, j: x[i, j] * 3.0)
    assert blocks_left([x], stage("b", lambda i, j: a[i, j] * a[i, j])) == {"b"}


def test_a_function_that_is_read_twice_is_computed_once(x: te.Tensor) -> None:
    a = stage("a", lambda i, j: te.exp(x[i, j]))
    assert blocks_left([x], stage("b", lambda i, j: a[i, j] * a[i, j])) == {"a", "b"}


def test_an_output_stays(x: te.Tensor) -> None:
    a = stage("a", lambda i, j: x[i, j] * 3.0)
    assert blocks_left([x], a, stage("b", lambda i, j: a[i, j] + 1.0)) == {"a", "b"}


def test_a_copy_goes_into_a_reduction(x: te.Tensor) -> None:
    moved = stage("moved", lambda j, i: x[i, j], SHAPE[::-1])
    k = te.reduce_axis((0, SHAPE[1]), name="k")
    total = stage("total", lambda i: te.sum(moved[k, i], axis=k), SHAPE[:1])
    assert blocks_left([x], total) == {"total"}


def test_padding_and_arithmetic_stay_out_of_a_reduction(x: te.Tensor) -> None:
    doubled = stage("doubled", lambda i, j: x[i, j] * 2.0)
    assert blocks_left([x], rows(doubled)) == {"doubled", "total"}
    padded = stage("padded", lambda i, j: te.if_then_else(j > 0, x[i, j], 0.0))
    assert blocks_left([x], rows(padded)) == {"padded", "total"}


def test_a_reduction_stays(x: te.Tensor) -> None:
    total = rows(x)
    assert blocks_left([x], stage("b", lambda i: total[i] * 2.0, SHAPE[:1])) == {"total", "b"}
