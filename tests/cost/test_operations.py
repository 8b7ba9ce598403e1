"""The counted operations of small loops, by hand; and of kernels, beside what an emulator executes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tvm
from tvm import te, tirx
from tvm.s_tir import Schedule

import edgetvm
from edgetvm.codegen.lower import lower
from edgetvm.cost.operations import Operations, count_operations
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from tests.tools import require_tool

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
    assert counted(axpy()) == Operations(
        compute=64, loads=2 * 64 + 1, stores=64, control=2 * 64, accesses=(64, 64, 1, 64)
    )


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


def test_a_requantization_of_single_elements() -> None:
    """A load, the high word of a product with its rounding, a shift and clamp in one, a store and a step."""
    x = te.placeholder((8,), "int32", name="x")
    half, places = tirx.const(1 << 39, "int64"), tirx.const(40, "int64")

    def code(i: tirx.Var) -> tirx.Expr:
        shifted = (x[i].astype("int64") * tirx.const(1234567, "int64") + half) >> places
        return te.max(te.min(shifted.astype("int32"), tirx.const(127, "int32")), tirx.const(-128, "int32")).astype(
            "int8"
        )

    found = counted(te.create_prim_func([x, te.compute((8,), code, name="out")]), vector_bytes=0)
    assert (found.loads, found.stores) == (8, 8)
    assert found.compute <= 8 * 4


def test_a_branch_counts_as_often_as_it_runs() -> None:
    x = te.placeholder((10,), name="x")
    always = counted(te.create_prim_func([x, te.compute((10,), lambda i: x[i] * 2.0, name="out")]))
    i, y = tirx.Var("i", "int32"), tirx.decl_buffer((10,), "float32")
    product = tirx.BufferStore(y, tirx.BufferLoad(y, [i]) * tirx.const(2.0, "float32"), [i])
    loop = tirx.For(i, tirx.const(0, "int32"), tirx.const(10, "int32"), tirx.ForKind.SERIAL, _when(i < 4, product))
    found = count_operations(tirx.PrimFunc([y], loop), ARM, accumulates=True)
    assert (found.loads, found.stores) == (0.4 * always.loads, 0.4 * always.stores)


def _when(condition: tirx.Expr, then: tirx.Stmt) -> tirx.Stmt:
    return tirx.IfThenElse(condition, then, None)


def test_kernels_over_rows_are_foreseen(compiled: Callable[..., edgetvm.Package], assets: Path) -> None:
    require_tool("qemu-system-arm")
    package = compiled(assets / "kws01" / "reference_int8.tflite", "qemu-mps2-an386")
    calls = [call for call in package.profile().calls if call.rule == "row_stages"]
    assert calls
    for call in calls:
        assert 0.8 < call.predicted / call.instructions < 1.25
