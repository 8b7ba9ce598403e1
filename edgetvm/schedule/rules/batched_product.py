"""float32 product of two tensors that are known at run time, as attention has: many small ones, in tiles of sums."""

from __future__ import annotations

from dataclasses import replace

from tvm import s_tir, tirx
from tvm.ir import TensorLoad
from tvm.s_tir import Schedule

from edgetvm.schedule import analysis as facts
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import rows_of
from edgetvm.schedule.rules.depthwise_window import lines_of
from edgetvm.schedule.rules.dot_kernel import ROW_AXES, Access, DotKernel, float_factors, linear
from edgetvm.schedule.rules.matrix_plan import matrix_plan
from edgetvm.schedule.rules.matrix_writer import MatrixWriter, Weights
from edgetvm.schedule.rules.transposed_panel import write_transposed
from edgetvm.schedule.rules.write_code import Code
from edgetvm.schedule.types import Constants, Loops


def batched_product(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of such a product; None for others and where there are no vectors."""
    del constants
    found = _product(sch) if machine.vector_bytes else None
    if found is None:
        return None
    kernel, weights, apart = found
    plan = matrix_plan(kernel, machine)
    code = Code()
    rows = rows_of(code, kernel, weights.buffer)
    if apart == 1:
        if weights.image or weights.line:
            plan = replace(plan, panels_first=False)
        weights = replace(weights, panel=plan.columns)
        MatrixWriter(code, plan, rows, lines_of(kernel, copied=False), weights).write()
    else:
        write_transposed(code, plan, rows, weights, apart)
    return Loops(sch.mod["main"].with_body(code.statement()), {})


def _product(sch: Schedule) -> tuple[DotKernel, Weights, int] | None:
    """``acc[..., m, n] = sum over k of a[..., m, k] * b[..., k, n]`` and any epilogue, the result along n in memory.

    Row axes may come in any order. `a` lies along k; `b` along n, or along k with so many elements between columns
    as the number tells that comes with it.
    """
    blocks = [sch.get(block) for block in facts.all_blocks(sch)]
    if not 1 <= len(blocks) <= 2 or not all(facts.is_simple(block) for block in blocks):
        return None
    if not all(facts.extent(axis) for axis in blocks[0].iter_vars):
        return None
    main, after = blocks[0], blocks[1] if len(blocks) > 1 else None
    reduced, sides, store = facts.reduction_axes(main), float_factors(main), facts.store_of(main)
    rows = [axis for axis in main.iter_vars if axis.iter_type == facts.Axis.DataPar]
    if len(reduced) != 1 or sides is None or store is None or len(rows) < 2 or not _in_order(main, rows):
        return None
    order = _row_axes(sides[1], rows, reduced[0])
    if order is None or facts.extent(rows[-1]) == 1:
        return None
    inner = rows if after is None else list(after.iter_vars)
    last = main if after is None else after
    end = facts.store_of(last)
    if end is None or (after is not None and (facts.reduction_axes(after) or not _in_order(after, inner))):
        return None
    if after is not None and facts.uses_place(end.value, inner):
        return None
    if [facts.extent(axis) for axis in inner] != [facts.extent(axis) for axis in rows]:
        return None

    def access(load: TensorLoad, axes: list[facts.Axis]) -> tuple[Access, int] | None:
        """Where it lies, and its step along the last of more axes than rows."""
        place = linear(load.indices, load.source.shape, axes)
        if place is None:
            return None
        steps = tuple(0 if i is None else place[1][i] for i in order)
        return Access(load.source, place[0], steps, place[1][len(rows) - 1]), place[1][-1]

    x, w = (access(side, [*rows, reduced[0]]) for side in sides)
    deep = facts.extent(reduced[0]) > 1
    if x is None or w is None or x[0].channel or (deep and x[1] != 1) or (w[0].channel != 1 and w[1] != 1):
        return None
    operands = []
    for load in facts.loads(after) if after is not None else ():
        if load.source.same_as(store.buffer):
            continue
        place = access(load, inner)
        if place is None or place[0].channel not in (0, 1):
            return None
        operands.append((load, place[0]))
    out = access(tirx.BufferLoad(end.buffer, list(end.indices)), inner)
    if out is None or out[0].channel != 1:
        return None
    extents = [1 if i is None else facts.extent(rows[i]) for i in order]
    kernel = DotKernel(
        extents=(extents[0], extents[1], extents[2]),
        channels=facts.extent(rows[-1]),
        taps=(1, 1),
        depth=facts.extent(reduced[0]),
        x=x[0],
        steps=(0, 0),
        border=None,
        w=w[0].buffer,
        acc=store.buffer,
        value=end.value if after is not None else tirx.BufferLoad(store.buffer, list(store.indices)),
        operands=tuple(operands),
        out=out[0],
    )
    return kernel, Weights(w[0].buffer, w[0].base, w[0].rows[0], w[0].rows[1], 0, w[1], filled=False), w[0].channel


def _row_axes(w: TensorLoad, rows: list[facts.Axis], summed: facts.Axis) -> list[int | None] | None:
    """Which axes are the rows of pixels: those with which `w` moves first, so that the last one uses the same weights.

    None stands for an axis of one iteration.
    """
    place = linear(w.indices, w.source.shape, [*rows, summed])
    if place is None:
        return None
    outer = [i for i, axis in enumerate(rows[:-1]) if facts.extent(axis) > 1]
    order: list[int | None] = [*(i for i in outer if place[1][i]), *(i for i in outer if not place[1][i])]
    if all(place[1][i] for i in outer):
        order.append(None)
    return [*[None] * (ROW_AXES - len(order)), *order] if len(order) <= ROW_AXES else None


def _in_order(block: s_tir.SBlock, axes: list[facts.Axis]) -> bool:
    """Whether it writes element (i, j, ...) in iteration (i, j, ...)."""
    store = facts.store_of(block)
    if store is None or len(store.indices) != len(axes):
        return False
    return all(i.same_as(axis.var) or facts.extent(axis) == 1 for i, axis in zip(store.indices, axes, strict=True))
