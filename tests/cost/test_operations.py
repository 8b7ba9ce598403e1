"""The counted operations of small loops, by hand; and of kernels, beside what an emulator executes."""

from __future__ import annotations

import pytest
import tvm
from tvm import te, tirx
from tvm.s_tir import Schedule

from edgetvm.codegen.lower import lower
from edgetvm.cost.operations import Operations, count_operations
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target

ARM = 16  # bytes of a NEON register


def counted(func: tirx.PrimFunc, *, vector: int = 0, vector_bytes: int = ARM) -> Operations:
    """The operations of a function whose innermost loop runs on `vector` lanes."""
    sch = Schedule(tvm.IRModule({"main": func.with_attr("global_symbol", "main")}))
    if vector:
        for block in sch.get_child_blocks(sch.get_sblock("root")):
            _, lanes = sch.split(sch.get_loops(block)[-1], [None, vector])
            sch.vectorize(lanes)
    target = tvm_target(load_target("cortex-a53"))
    return count_operations(lower("main", sch.mod["main"], target).func, vector_bytes, accumulates=True)


def axpy(length: int = 64) -> tirx.PrimFunc:
    x, y, a = (te.placeholder((size,), name=name) for size, name in ((length, "x"), (length, "y"), (1, "a")))
    return te.create_prim_func([x, y, a, te.compute((length,), lambda i: y[i] + x[i] * a[0], name="out")])


def test_scalars() -> None:
    """Each element: two loads, a multiply-add, a store, a step; the factor is loaded once, before the loop."""
    assert counted(axpy()) == Operations(compute=64, loads=2 * 64 + 1, stores=64, control=2 * 64)


@pytest.mark.parametrize(("vector", "registers"), [(4, 16), (8, 16), (16, 16)])
def test_vectors_count_by_the_registers_that_they_fill(vector: int, registers: int) -> None:
    found = counted(axpy(), vector=vector)
    assert (found.compute, found.loads, found.stores) == (registers, 2 * registers + 1, registers)
    assert found.control == (2 * 64 / vector if vector < 64 else 0)


def test_wider_registers_need_fewer_instructions() -> None:
    assert counted(axpy(), vector=16, vector_bytes=64).compute == 4


def test_a_function_of_the_library_counts_for_each_element() -> None:
    x = te.placeholder((8,), name="x")
    func = te.create_prim_func([x, te.compute((8,), lambda i: te.exp(x[i]), name="out")])
    assert counted(func).compute >= 8 * 10


def test_nested_loops_multiply() -> None:
    x = te.placeholder((6, 10), name="x")
    func = te.create_prim_func([x, te.compute((6, 10), lambda i, j: x[i, j] + 1.0, name="out")])
    found = counted(func)
    assert (found.compute, found.loads, found.stores, found.control) == (60, 60, 60, 2 * (60 + 6))
    assert found.instructions == 60 * 3 + 132
