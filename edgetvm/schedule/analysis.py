"""Facts about the blocks of a PrimFunc that schedule rules decide on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import tvm
import tvm_ffi
from tvm import s_tir, sym, tirx
from tvm.ir import TensorLoad
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from edgetvm.cost.loads import loads_in

Axis: TypeAlias = tirx.IterVar


def all_blocks(sch: Schedule) -> list[SBlockRV]:
    """The blocks of the function in the order in which they run, without the root."""
    return list(sch.get_child_blocks(sch.get_sblock("root")))


def spatial_axes(block: s_tir.SBlock) -> list[Axis]:
    """Axes whose iterations are independent. An axis of one iteration that the store does not use is none."""
    store = store_of(block)
    independent = [axis for axis in block.iter_vars if axis.iter_type == Axis.DataPar]
    if store is None:
        return independent
    used: list[tvm.ir.Var] = []
    tvm_ffi.structural_walk(store.indices, (tvm.ir.Var, used.append))
    return [axis for axis in independent if extent(axis) > 1 or any(axis.var.same_as(var) for var in used)]


def reduction_axes(block: s_tir.SBlock) -> list[Axis]:
    """Axes that are summed (or maximised, ...) over."""
    return [axis for axis in block.iter_vars if axis.iter_type == Axis.CommReduce]


def is_simple(block: s_tir.SBlock) -> bool:
    """Whether all axes are plain: data-parallel or reductions."""
    return all(axis.iter_type in (Axis.DataPar, Axis.CommReduce) for axis in block.iter_vars)


def extent(axis: Axis) -> int:
    """The constant number of iterations."""
    return int(axis.dom.extent)


def loads(block: s_tir.SBlock) -> list[TensorLoad]:
    """Every element read in the body."""
    return loads_in(block.body)


def store_of(block: s_tir.SBlock) -> tirx.BufferStore | None:
    """The store, if the body is exactly one."""
    return block.body if isinstance(block.body, tirx.BufferStore) else None


def stride(indices: Sequence[tirx.Expr], shape: Sequence[tirx.Expr], axis: Axis) -> int | None:
    """By how many elements of a row-major buffer the place moves when `axis` goes up by one; None if that varies."""
    offset: tirx.Expr = tirx.const(0, str(axis.var.ty.dtype))
    for index, size in zip(indices, shape, strict=True):
        offset = offset * tirx.const(int(size), str(axis.var.ty.dtype)) + index
    analyzer = sym.Analyzer()
    step = tirx.const(1, str(axis.var.ty.dtype))
    moved = _substitute(offset, axis.var, axis.var + step)
    difference = analyzer.simplify(moved - offset)
    return int(difference.value) if isinstance(difference, tirx.IntImm) else None


def reads_along(block: s_tir.SBlock, axis: Axis) -> list[int | None]:
    """The stride of every load along `axis`."""
    return [stride(load.indices, load.source.shape, axis) for load in loads(block)]


def writes_along(block: s_tir.SBlock, axis: Axis) -> int | None:
    """The stride of the store along `axis`."""
    store = store_of(block)
    return None if store is None else stride(store.indices, store.buffer.shape, axis)


def uses_place(value: tirx.Expr, axes: Sequence[Axis]) -> bool:
    """Whether the value depends on the iteration otherwise than through what it loads."""
    found: list[tvm.ir.Var] = []

    def skip(_load: TensorLoad) -> object:
        return tvm_ffi.WalkResult.SKIP

    tvm_ffi.structural_walk(value, ((TensorLoad, skip), (tvm.ir.Var, found.append)), order="pre")
    return any(variable.same_as(axis.var) for variable in found for axis in axes)


def has_call(block: s_tir.SBlock, *parts: str) -> bool:
    """Whether the body calls a function or intrinsic, given `parts`: one whose name has one of them."""
    found: list[object] = []

    def on_call(call: tvm.ir.Call) -> None:
        name = call.op.name if isinstance(call.op, tvm.ir.Op) else ""
        if not parts or any(part in name for part in parts):
            found.append(call)

    tvm_ffi.structural_walk(block.body, (tvm.ir.Call, on_call))
    return bool(found)


def _substitute(expr: tirx.Expr, var: tvm.ir.Var, value: tirx.Expr) -> tirx.Expr:
    def swap(other: tvm.ir.Var) -> tirx.Expr:
        return value if other.same_as(var) else other

    return tvm_ffi.structural_map(expr, (tvm.ir.Var, swap))


def element_bytes(buffer: tirx.Buffer) -> int:
    """Bytes of one element in memory."""
    return (int(tvm.DataType(str(buffer.dtype)).bits) + 7) // 8


def buffer_bytes(buffer: tirx.Buffer) -> int:
    """Bytes of a dense buffer of constant shape."""
    elements = 1
    for size in buffer.shape:
        elements *= int(size)
    return elements * element_bytes(buffer)
