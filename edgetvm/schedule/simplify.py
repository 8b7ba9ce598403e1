"""Melt blocks that only pass values on into their readers."""

from __future__ import annotations

from tvm.ir import TensorLoad
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from edgetvm.schedule.analysis import all_blocks, has_branch, is_simple, loads, reduction_axes, store_of


def inline_elementwise(sch: Schedule) -> None:
    """Inline every block whose value one other block reads, unless that would compute it more than once.

    Copies may be inlined into reductions; padding, which branches, and arithmetic may not.
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
    consumers = sch.get_consumers(block)
    if len(consumers) != 1:
        return False
    reader = sch.get(consumers[0])
    if store_of(reader) is None or not is_simple(reader):
        return False
    if not reduction_axes(reader):
        # Reading an element several times would compute it several times.
        reads = [load for load in loads(reader) if load.source.same_as(store.buffer)]
        return len(reads) == 1 and not (has_branch(body) and has_branch(reader))
    return isinstance(store.value, TensorLoad)


def _is_own_axis(index: object, body: object) -> bool:
    return any(index.same_as(axis.var) for axis in body.iter_vars) or str(index) == "0"
