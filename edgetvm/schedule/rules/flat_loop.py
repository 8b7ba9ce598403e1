"""One loop over all elements, where every tensor is gone through in its order: rows of any length fill vectors."""

from __future__ import annotations

import math

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad
from tvm.s_tir import Schedule

from edgetvm.schedule import analysis as facts
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.vectors import most_lanes
from edgetvm.schedule.rules.write_code import Code, number


def flat_loop(sch: Schedule, machine: Machine) -> tirx.PrimFunc | None:
    """The function of one block written so; None where it is another or its last axis fills vectors by itself."""
    blocks = facts.all_blocks(sch)
    if len(blocks) != 1:
        return None
    body = sch.get(blocks[0])
    store, axes = facts.store_of(body), list(body.iter_vars)
    if store is None or not axes or not facts.is_simple(body) or facts.reduction_axes(body):
        return None
    if facts.uses_place(store.value, axes):
        return None
    lanes = most_lanes(body, axes[-1], machine)
    if lanes == 1 or facts.extent(axes[-1]) % lanes == 0:
        return None
    own = [axis.var for axis in axes]
    shape = [facts.extent(axis) for axis in axes]
    places = [(store.buffer, store.indices), *((load.source, load.indices) for load in facts.loads(body))]
    for buffer, indices in places:
        if [int(size) for size in buffer.shape] != shape:
            return None
        if not all(index.same_as(var) or size == 1 for index, var, size in zip(indices, own, shape, strict=True)):
            return None
    code = Code()
    rows = {buffer: code.view(f"{buffer.name}_row", buffer, 0, math.prod(shape)) for buffer, _ in places}

    def at(place: tirx.Expr) -> tirx.Stmt:
        def read(load: TensorLoad) -> tvm.ir.Expr:
            return tirx.BufferLoad(rows[load.source], [place])

        value = tvm_ffi.structural_map(store.value, (TensorLoad, read))
        return tirx.BufferStore(rows[store.buffer], value, [place])

    whole, rest = divmod(math.prod(shape), lanes)
    if whole:
        with code.loop("at", whole) as first:
            lane = tvm.ir.Var("lane", tvm.ir.PrimType("int32"))
            code.add(tirx.For(lane, number(0), number(lanes), tirx.ForKind.VECTORIZED, at(first * lanes + lane)))
    if rest:
        with code.loop("last", rest) as last:
            code.add(at(whole * lanes + number(last)))
    func = sch.mod["main"]
    return tirx.PrimFunc(func.params, code.statement(), func.ret_type, func.attrs)
