"""Which rows of images a kernel reads for some rows of its result: tensors [1, H, W, C], one block after another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import tvm
import tvm_ffi
from tvm import s_tir, sym, tirx
from tvm.ir import TensorLoad

from edgetvm.cost.loads import loads_in

AXIS = 1  # of rows
RANK = 4


@dataclass(frozen=True)
class Window:
    """Row r of the result sees `taps` rows from ``r * stride - before`` on; outside of the image is `border`."""

    stride: int
    taps: int
    before: int
    border: float | None = None  # None where nothing tells


def nests(func: tirx.PrimFunc) -> list[tirx.Stmt]:
    """The loops around each block of a kernel that is not scheduled, in order."""
    body = func.body.block.body
    return list(body.seq) if isinstance(body, tirx.SeqStmt) else [body]


def block_in(nest: tirx.Stmt) -> s_tir.SBlock | None:
    """The block in one of `nests`; None if there is more than loops around it."""
    while isinstance(nest, tirx.For):
        nest = nest.body
    return nest.block if isinstance(nest, s_tir.SBlockRealize) else None


def row_axis(block: s_tir.SBlock) -> tirx.IterVar | None:
    """The axis of the rows that a block writes: all of [1, H, W, C], one element a step."""
    store = block.body
    if not isinstance(store, tirx.BufferStore) or len(store.indices) != RANK or int(store.buffer.shape[0]) != 1:
        return None
    if any(axis.iter_type not in (tirx.IterVar.DataPar, tirx.IterVar.CommReduce) for axis in block.iter_vars):
        return None
    for axis in block.iter_vars:
        if axis.var.same_as(store.indices[AXIS]) and int(axis.dom.extent) == int(store.buffer.shape[AXIS]):
            return axis if int(axis.dom.min) == 0 else None
    return None


def rows_needed(func: tirx.PrimFunc, first: int, end: int) -> dict[tirx.Buffer, tuple[int, int]] | None:
    """The rows of each buffer of which rows `first` to `end` of the result are made, first and end; what is not
    among them is read whatever the rows. Rows outside of an image are its border. None for a kernel that has no rows.
    """
    needed = {func.params[-1]: (first, end)}
    whole: set[tirx.Buffer] = set()
    for nest in reversed(nests(func)):
        block = block_in(nest)
        axis = None if block is None else row_axis(block)
        if block is None or axis is None or block.body.buffer not in needed:
            return None
        own = needed[block.body.buffer]
        analyzer = sym.Analyzer()
        for each in block.iter_vars:
            analyzer.bind(each.var, each.dom)
        analyzer.bind(axis.var, _range(axis, *own), allow_override=True)
        for load in loads_in(block.body):
            if load.source.same_as(block.body.buffer):
                continue
            if not any(_uses(index, axis) for index in load.indices):
                whole.add(load.source)
                continue
            if len(load.indices) != RANK or any(_uses(i, axis) for n, i in enumerate(load.indices) if n != AXIS):
                return None
            bound = analyzer.const_int_bound(load.indices[AXIS])
            low, high = needed.get(load.source, (int(bound.min_value), int(bound.max_value) + 1))
            needed[load.source] = (min(low, int(bound.min_value)), max(high, int(bound.max_value) + 1))
    if any(buffer in needed for buffer in whole) or any(int(buffer.shape[0]) != 1 for buffer in needed):
        return None
    return needed


@lru_cache(maxsize=256)
def windows(func: tirx.PrimFunc) -> dict[int, Window] | None:
    """The window of each parameter that is read by rows, by position; None for a kernel that has no rows to tile."""
    result = func.params[-1]
    rows = int(result.shape[AXIS]) if len(result.shape) == RANK else 0
    if rows < 2:
        return None
    seen = [rows_needed(func, row, row + 1) for row in (0, 1, rows - 1)]
    found: dict[int, Window] = {}
    for position, param in enumerate(func.params[:-1]):
        places = [needed[param] for needed in seen if needed is not None and param in needed]
        if None in seen:
            return None
        if not places:
            continue
        (low, end), (second, _), last = places
        window = Window(second - low, end - low, -low, _border(func, param))
        if last != (low + window.stride * (rows - 1), end + window.stride * (rows - 1)) or window.stride < 1:
            return None
        found[position] = window
    return found or None


def _border(func: tirx.PrimFunc, image: tirx.Buffer) -> float | None:
    """The number that is taken where a row of `image` is not there."""
    found: list[float] = []

    def on_call(call: tvm.ir.Call) -> None:
        if getattr(call.op, "name", "") == "prim.if_then_else" and isinstance(
            call.args[2], tirx.IntImm | tirx.FloatImm
        ):
            inside = call.args[1]
            if isinstance(inside, TensorLoad) and inside.source.same_as(image):
                found.append(float(call.args[2].value))

    tvm_ffi.structural_walk(func.body, (tvm.ir.Call, on_call))
    return found[0] if len(found) == 1 else None


def _range(axis: tirx.IterVar, first: int, end: int) -> object:
    dtype = str(axis.var.ty.dtype)
    return type(axis.dom).from_min_extent(tirx.const(first, dtype), tirx.const(end - first, dtype))


def _uses(expr: tirx.Expr, axis: tirx.IterVar) -> bool:
    found: list[object] = []
    tvm_ffi.structural_walk(expr, (tirx.Var, lambda var: found.append(var) if var.same_as(axis.var) else None))
    return bool(found)
