"""Kernels as rules want them: blocks that only pass values on melted into their readers, no operand without axes."""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir import TensorLoad, TensorRegion
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from edgetvm.schedule.analysis import all_blocks, has_call, is_simple, loads, reduction_axes, store_of


def scalars_as_rows(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """Inputs without axes as rows of one element: the same in memory, and what views and vectors are made of."""
    written: list[tirx.Buffer] = []
    tvm_ffi.structural_walk(func.body, (tirx.BufferStore, lambda store: written.append(store.buffer)))
    rows = {
        param: tirx.decl_buffer((1,), str(param.dtype), name=param.name)
        for param in func.params
        if len(param.shape) == 0 and not any(param.same_as(buffer) for buffer in written)
    }
    if not rows:
        return func
    zero, one = tirx.const(0, "int64"), tirx.const(1, "int64")

    def load(old: TensorLoad) -> tirx.Expr:
        return tirx.BufferLoad(rows[old.source], [zero]) if old.source in rows else old

    def region(old: TensorRegion) -> TensorRegion:
        row = [tvm.ir.Range.from_min_extent(zero, one)]
        return tirx.BufferRegion(rows[old.source], row) if old.source in rows else old

    body = tvm_ffi.structural_map(func.body, ((TensorLoad, load), (TensorRegion, region)))
    params = [rows.get(param, param) for param in func.params]
    return tirx.PrimFunc(params, body, func.ret_type, func.attrs)


def inline_elementwise(sch: Schedule) -> None:
    """Inline elementwise blocks into their readers, unless that would compute a function more than once.

    Into reductions only plain copies go: padding and arithmetic would be repeated for every step.
    """
    outputs = {block.name_hint for block in map(sch.get, sch.get_output_blocks("root"))}
    for block in all_blocks(sch):
        if sch.get(block).name_hint not in outputs and _may_inline(sch, block):
            sch.compute_inline(block)


def _may_inline(sch: Schedule, block: SBlockRV) -> bool:
    body = sch.get(block)
    store = store_of(body)
    if store is None or reduction_axes(body) or not is_simple(body) or body.init is not None:
        return False
    if not all(_is_own_axis(index, body) for index in store.indices):
        return False
    readers = [sch.get(consumer) for consumer in sch.get_consumers(block)]
    if not readers or not all(store_of(reader) is not None and is_simple(reader) for reader in readers):
        return False
    if any(reduction_axes(reader) for reader in readers):
        return len(readers) == 1 and isinstance(store.value, TensorLoad)
    # Arithmetic may be repeated, since LLVM removes the repetition; functions may not.
    reads = [load for reader in readers for load in loads(reader) if load.source.same_as(store.buffer)]
    return len(reads) == 1 or not has_call(body)


def _is_own_axis(index: tirx.Expr, body: s_tir.SBlock) -> bool:
    return any(index.same_as(axis.var) for axis in body.iter_vars) or str(index) == "0"
