"""int8 products whose epilogue calls functions, as GELU does: the functions in a pass over the result.

Rules for products write an epilogue of arithmetic. Here they write the largest part of it that is arithmetic, and a
second loop finishes the result where it lies, whole vectors at a time.
"""

from __future__ import annotations

import math
from dataclasses import replace

import tvm
import tvm_ffi
from tvm import tirx
from tvm.s_tir import Schedule
from tvm_ffi import structural_equal

from edgetvm.cost.loads import loads_in
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.dot_tile import dot_tile
from edgetvm.schedule.rules.neon_tile import neon_tile
from edgetvm.schedule.rules.smmla_tile import smmla_tile
from edgetvm.schedule.rules.write_code import Code, Offset, number
from edgetvm.schedule.types import Answer, Constants, Loops

PRODUCTS = (smmla_tile, dot_tile, neon_tile)
FLOAT_BYTES = 4


def functions_apart(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Schedule such a kernel by a rule for products and a loop after it; None for others."""
    kernel = dot_kernel(sch, tuple(constants))
    if kernel is None or machine.vector_bytes == 0 or str(kernel.out.buffer.dtype) != "float32":
        return None
    if math.prod(int(extent) for extent in kernel.out.buffer.shape) != kernel.pixels * kernel.channels:
        return None  # a slice of a result
    first = arithmetic_part(kernel)
    if first is None or first.same_as(kernel.value):
        return None
    func = sch.mod["main"]
    part = Schedule(tvm.IRModule({"main": func.with_body(_with_value(func.body, kernel, first))}))
    for rule in PRODUCTS:
        answer = rule(part, machine, constants)
        if isinstance(answer, Loops):
            body = tirx.SeqStmt([answer.func.body, _finish(kernel, first, machine)])
            return replace(answer, func=answer.func.with_body(body))
    return None


def arithmetic_part(kernel: DotKernel) -> tirx.Expr | None:
    """The first expression of float32 that rules for products can write and that is all which the rest reads.

    What is read later might lie where the first loop has written its result.
    """
    found: list[tirx.Expr] = []

    def visit(value: tvm.ir.Expr) -> None:
        if str(value.ty.dtype) == "float32" and can_lift(value) and _has_sums(value, kernel):
            found.append(value)

    tvm_ffi.structural_walk(kernel.value, (tvm.ir.Expr, visit))
    nothing = tirx.const(0.0, "float32")
    return next((part for part in found if not loads_in(_replaced(kernel.value, part, nothing))), None)


def _has_sums(value: tirx.Expr, kernel: DotKernel) -> bool:
    return any(load.source.same_as(kernel.acc) for load in loads_in(value))


def _replaced(value: tirx.Expr, part: tirx.Expr, new: tirx.Expr) -> tirx.Expr:
    def swap(expr: tirx.Expr) -> tirx.Expr:
        return new if structural_equal(expr, part) else expr

    return tvm_ffi.structural_map(value, (type(part), swap))


def _with_value(body: tirx.Stmt, kernel: DotKernel, value: tirx.Expr) -> tirx.Stmt:
    """The loops that write `value` to the result."""

    def swap(store: tirx.BufferStore) -> tirx.Stmt:
        if not store.buffer.same_as(kernel.out.buffer):
            return store
        return tirx.BufferStore(store.buffer, value, list(store.indices))

    return tvm_ffi.structural_map(body, (tirx.BufferStore, swap))


def _finish(kernel: DotKernel, first: tirx.Expr, machine: Machine) -> tirx.Stmt:
    """The loop over the result, in which `first` is what it holds."""
    code, lanes, out = Code(), machine.lanes(FLOAT_BYTES), kernel.out.buffer
    size = math.prod(int(extent) for extent in out.shape)
    row = code.view("result", out, 0, size)

    def elements(start: Offset, count: int) -> None:
        lane = tvm.ir.Var("lane", tvm.ir.PrimType("int32"))
        place = number(start) + lane
        value = _replaced(kernel.value, first, tirx.BufferLoad(row, [place]))
        kind = tirx.ForKind.VECTORIZED if count == lanes else tirx.ForKind.SERIAL
        code.add(tirx.For(lane, number(0), number(count), kind, tirx.BufferStore(row, value, [place])))

    whole, rest = divmod(size, lanes)
    least = machine.recipe.parallel_operations
    if whole:
        with code.loop("v", whole, bool(least) and size >= least) as v:
            elements(v * lanes, lanes)
    if rest:
        elements(size - rest, rest)
    return code.statement()
