"""Kernels in which every element depends on the elements at its own place alone."""

from __future__ import annotations

from collections.abc import Sequence

import tvm
from tvm import tirx
from tvm.s_tir import SBlock, Schedule

from edgetvm.cost.loads import loads_in
from edgetvm.operators.define import ELEMENTWISE

_ELEMENTWISE = 0  # OpPatternKind::kElemWise of TVM


def permuted_kernel(func: tirx.PrimFunc, axes: Sequence[int]) -> tirx.PrimFunc | None:
    """The kernel that computes ``inner`` where ``func`` computes ``permute_dims(inner, axes)``.

    All its operands are then given in the order of ``inner`` too. None unless `func` is one block in
    which every element depends on the elements at its own place alone.
    """
    sch = Schedule(tvm.IRModule({"main": func.with_attr("global_symbol", "main")}))
    blocks = sch.get_child_blocks(sch.get_sblock("root"))
    if len(blocks) != 1 or not _elementwise(sch.get(blocks[0]), func.params):
        return None

    def inner(*index: tirx.Expr) -> list[tirx.Expr]:
        return [index[list(axes).index(axis)] for axis in range(len(axes))]

    index_map = tirx.IndexMap.from_func(inner, ndim=len(axes), index_dtype="int64")
    for position in range(len(sch.get(blocks[0]).reads)):
        sch.transform_layout(blocks[0], ("read", position), index_map)
    sch.transform_layout(blocks[0], ("write", 0), index_map)
    sch.transform_block_layout(blocks[0], index_map)
    return sch.mod["main"].without_attr("global_symbol")


@tvm.transform.module_pass(opt_level=0, name="MarkElementwise")
class MarkElementwise:
    """Tell the fuser which kernels are elementwise: TVM's own analysis gives up at an axis of length 1."""

    def transform_module(self, module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        """Give such kernels the `op_pattern` of an elementwise one, and those that say so themselves."""
        marked = {
            name: func.with_attr("op_pattern", _ELEMENTWISE)
            for name, func in module.functions.items()
            if isinstance(func, tirx.PrimFunc) and (is_elementwise(func) or ELEMENTWISE in (func.attrs or {}))
        }
        return tvm.IRModule({**dict(module.functions), **marked})


def is_elementwise(func: tirx.PrimFunc) -> bool:
    """Whether `func` is one block that reads each operand where it writes the result."""
    sch = Schedule(tvm.IRModule({"main": func.with_attr("global_symbol", "main")}))
    blocks = sch.get_child_blocks(sch.get_sblock("root"))
    return len(blocks) == 1 and _elementwise(sch.get(blocks[0]), func.params)


def _elementwise(block: SBlock, params: Sequence[tirx.Buffer]) -> bool:
    store = block.body
    if not isinstance(store, tirx.BufferStore) or any(a.iter_type != tirx.IterVar.DataPar for a in block.iter_vars):
        return False
    loads = loads_in(store.value)
    shape = [int(extent) for extent in store.buffer.shape]
    accesses = [(store.buffer, store.indices), *((load.source, load.indices) for load in loads)]
    known = all(any(buffer.same_as(param) for param in params) for buffer, _ in accesses)
    return known and all(
        [int(extent) for extent in buffer.shape] == shape and all(map(_is_axis, indices, block.iter_vars))
        for buffer, indices in accesses
    )


def _is_axis(index: tirx.Expr, axis: tirx.IterVar) -> bool:
    return bool(index.same_as(axis.var)) or int(axis.dom.extent) == 1
