"""The part of a kernel that computes some rows of its result: a kernel of its own for the rules to schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tvm
import tvm_ffi
from tvm import s_tir, sym, tirx
from tvm.ir import TensorLoad, TensorRegion

from edgetvm.cost.row_windows import AXIS, block_in, nests, row_axis, rows_needed

Rows = tuple[int, int]


def slice_rows(func: tirx.PrimFunc, rows: Rows) -> tirx.PrimFunc:
    """`func` for `rows` (first, end) of its result, whose images hold no other rows than those needed.

    They hold the rows of the border too, which then need no test. `func` is one that `rows_needed` accepts.
    """
    kept = rows_needed(func, *rows)
    assert kept is not None
    parts = {buffer: _part(buffer, place) for buffer, place in kept.items()}
    root = func.body.block
    seq = [_slice(nest, kept, parts) for nest in nests(func)]
    arrays = [parts.get(buffer, buffer) for buffer in root.alloc_buffers]
    body = seq[0] if len(seq) == 1 else tirx.SeqStmt(seq)
    block = s_tir.SBlock([], [], [], root.name_hint, body, None, arrays)
    params = [parts.get(param, param) for param in func.params]
    part = tirx.PrimFunc(params, s_tir.SBlockRealize([], True, block), func.ret_type, func.attrs)
    return s_tir.renew_defs(part)  # parts of one stage stand in one function


def _part(buffer: tirx.Buffer, rows: Rows) -> tirx.Buffer:
    shape = [rows[1] - rows[0] if axis == AXIS else int(extent) for axis, extent in enumerate(buffer.shape)]
    return tirx.decl_buffer([tirx.const(extent, "int64") for extent in shape], str(buffer.dtype), name=buffer.name)


def _slice(nest: tirx.Stmt, kept: Mapping[tirx.Buffer, Rows], parts: Mapping[tirx.Buffer, tirx.Buffer]) -> tirx.Stmt:
    """The loops of one block for the rows that are kept of what it writes."""
    block = block_in(nest)
    axis = None if block is None else row_axis(block)
    assert block is not None and axis is not None
    first, end = kept[block.body.buffer]
    dtype = str(axis.var.ty.dtype)
    moved = axis.var + tirx.const(first, dtype)
    domain = tvm.ir.Range.from_min_extent(tirx.const(0, dtype), tirx.const(end - first, dtype))
    analyzer = sym.Analyzer()
    for each in block.iter_vars:
        analyzer.bind(each.var, domain if each.same_as(axis) else each.dom)

    def place(index: tirx.Expr, buffer: tirx.Buffer) -> tirx.Expr:
        return analyzer.simplify(index - tirx.const(kept[buffer][0], dtype))

    def load(old: TensorLoad) -> tirx.Expr:
        if old.source not in parts:
            return old
        indices = [place(index, old.source) if n == AXIS else index for n, index in enumerate(old.indices)]
        return tirx.BufferLoad(parts[old.source], indices)

    def region(old: TensorRegion) -> TensorRegion:
        if old.source not in parts:
            return old
        ranges = list(old.region)
        ranges[AXIS] = tvm.ir.Range.from_min_extent(place(ranges[AXIS].min, old.source), ranges[AXIS].extent)
        return tirx.BufferRegion(parts[old.source], ranges)

    def choice(call: tvm.ir.Call) -> tirx.Expr:
        """Without tests of rows."""
        if getattr(call.op, "name", "") != "prim.if_then_else":
            return call
        condition, inside, outside = call.args
        terms = [term for term in _terms(condition) if not _only(term, axis.var)]
        return tirx.if_then_else(tirx.all(*terms), inside, outside) if terms else inside

    def rewritten(node: Any) -> Any:
        shifted = tvm_ffi.structural_map(node, (tirx.Var, lambda var: moved if var.same_as(axis.var) else var))
        return tvm_ffi.structural_map(shifted, ((TensorLoad, load), (TensorRegion, region), (tvm.ir.Call, choice)))

    def stored(store: tirx.BufferStore) -> tirx.Stmt:
        return tirx.BufferStore(parts[store.buffer], rewritten(store.value), list(store.indices))

    axes = [tirx.IterVar(domain, each.var, each.iter_type) if each.same_as(axis) else each for each in block.iter_vars]
    regions = [[rewritten(each) for each in side] for side in (block.reads, block.writes)]
    init = None if block.init is None else stored(block.init)
    inner = s_tir.SBlock(axes, *regions, block.name_hint, stored(block.body), init)
    return _around(nest, inner, [each.same_as(axis) for each in block.iter_vars].index(True), end - first)


def _around(nest: tirx.Stmt, block: s_tir.SBlock, position: int, rows: int) -> tirx.Stmt:
    """The loops of `nest` around another block, of which one is as long as there are rows."""
    loops: list[tirx.For] = []
    while isinstance(nest, tirx.For):
        loops.append(nest)
        nest = nest.body
    value = nest.iter_values[position]
    body: tirx.Stmt = s_tir.SBlockRealize(list(nest.iter_values), nest.predicate, block)
    for loop in reversed(loops):
        extent = tirx.const(rows, str(loop.extent.ty.dtype)) if loop.loop_var.same_as(value) else loop.extent
        body = tirx.For(loop.loop_var, loop.min, extent, loop.kind, body)
    return body


def _terms(condition: tirx.Expr) -> list[tirx.Expr]:
    """The parts of a conjunction."""
    if isinstance(condition, tirx.And):
        return _terms(condition.a) + _terms(condition.b)
    return [condition]


def _only(term: tirx.Expr, variable: tirx.Var) -> bool:
    """Whether no other variable is in a comparison."""
    found: list[tirx.Var] = []
    tvm_ffi.structural_walk(term, (tirx.Var, found.append))
    return all(each.same_as(variable) for each in found)
