"""Functions of each row: softmax, layer normalization, sums and maxima along the last axis.

All blocks of a kernel run on one row before the next, so that what lies between them is a row long. Sums are kept
in several vectors and added up by halves.
"""

from __future__ import annotations

import math

from tvm import s_tir
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from edgetvm.schedule import analysis as facts
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.vectors import vectorize_last
from edgetvm.schedule.types import Constants, Packing


def row_pass(sch: Schedule, machine: Machine, constants: Constants) -> dict[int, Packing] | None:
    """Schedule a function whose reductions all run along rows; None for others and where there are no vectors."""
    del constants
    blocks = facts.all_blocks(sch)
    if machine.vector_bytes == 0 or not blocks or not all(facts.is_simple(sch.get(block)) for block in blocks):
        return None
    if not all(len(sch.get(block).writes) == 1 for block in blocks):  # written by hand: what they read is not known
        return None
    reductions = [block for block in blocks if facts.reduction_axes(sch.get(block))]
    if not reductions or not all(_reduces_rows(sch.get(block)) for block in reductions):
        return None
    last, rows = blocks[-1], _row_extents(sch.get(reductions[0]))
    if not rows or any(_row_extents(sch.get(block)) != rows for block in reductions):
        return None
    if not _runs_over(sch.get(last), rows) or len(list(sch.get_output_blocks("root"))) != 1:
        return None
    for block in reductions:
        _halve(sch, block, machine)
    row = sch.fuse(*sch.get_loops(last)[: len(rows)])
    for block in reversed(facts.all_blocks(sch)[:-1]):
        sch.compute_at(block, row, preserve_unit_loops=True)
    inside = list(sch.get_child_blocks(row))
    if _worth_sharing(sch, inside, math.prod(rows), machine):
        sch.parallel(row)
    for block in inside:
        if facts.reduction_axes(sch.get(block)):
            _vectorize_sums(sch, block, machine)
        else:
            vectorize_last(sch, block, machine)
    return {}


def _row_extents(block: s_tir.SBlock) -> list[int]:
    """The extents of the axes that are not reduced."""
    return [facts.extent(axis) for axis in block.iter_vars if axis.iter_type == facts.Axis.DataPar]


def _runs_over(block: s_tir.SBlock, rows: list[int]) -> bool:
    """Whether the rows are the first axes of a block that writes its elements in order."""
    store = facts.store_of(block)
    if store is None:
        return False
    return _row_extents(block)[: len(rows)] == rows


def _reduces_rows(block: s_tir.SBlock) -> bool:
    """Whether the last axis is reduced, along memory, and no row reads what another reads."""
    axes = list(block.iter_vars)
    store = facts.store_of(block)
    if store is None or axes[-1].iter_type != facts.Axis.CommReduce:
        return False
    if any(axis.iter_type == facts.Axis.CommReduce for axis in axes[:-1]) or facts.has_call(block, "extern", "packed"):
        return False
    along = facts.reads_along(block, axes[-1])
    if not all(step in (0, 1) for step in along) or 1 not in along:
        return False
    rows = [axis for axis in axes[:-1] if facts.extent(axis) > 1]
    return all(step != 0 for axis in rows for step in facts.reads_along(block, axis))


def _halve(sch: Schedule, block: SBlockRV, machine: Machine) -> None:
    """Partial sums of several vectors in a block of their own; then one block for every halving of them."""
    store = facts.store_of(sch.get(block))
    assert store is not None
    loop = sch.get_loops(block)[-1]
    length = int(sch.get(loop).extent)
    width = machine.lanes(facts.element_bytes(store.buffer))
    while length % width:
        width //= 2
    if width == 1:
        return
    # As many sums as hide the latency of one port: each number that is added is loaded, one or two a cycle.
    most, pieces = max(machine.recipe.least_accumulators // 2, 1), length // width
    width *= max(v for v in range(1, most + 1) if v == 1 or (pieces % v == 0 and v < pieces))
    while width > 1:
        _, inner = sch.split(loop, [None, width])
        partial = sch.rfactor(inner, len(sch.get_loops(block)) - 2)
        sch.set_scope(partial, 0, "local")
        loop = sch.get_loops(block)[-1]
        width = width // 2 if width % 2 == 0 else width // 3


def _vectorize_sums(sch: Schedule, block: SBlockRV, machine: Machine) -> None:
    """Step by step, in each all partial sums as vectors."""
    body = sch.get(block)
    store = facts.store_of(body)
    assert store is not None
    loops = sch.get_loops(block)[1:]
    if len(loops) != len(body.iter_vars):  # the last block of all: its rows are the loop above
        return
    by_axis = list(zip(body.iter_vars, loops, strict=True))
    step = next(loop for axis, loop in by_axis if axis.iter_type == facts.Axis.CommReduce)
    sums = [loop for axis, loop in by_axis if facts.extent(axis) > 1 and facts.writes_along(body, axis) == 1]
    if not sums or step.same_as(sums[0]):
        return
    count = int(sch.get(sums[0]).extent)
    lanes = math.gcd(machine.lanes(facts.element_bytes(store.buffer)), count)
    vector, lane = sch.split(sums[0], [None, lanes])
    sch.reorder(step, vector, lane)
    sch.unroll(vector)
    sch.vectorize(lane)
    if int(sch.get(step).extent) == 2:
        sch.unroll(step)
    sch.decompose_reduction(block, step)


def _worth_sharing(sch: Schedule, blocks: list[SBlockRV], rows: int, machine: Machine) -> bool:
    """Whether the kernel is work for several threads, and what lies between its blocks fits their stacks."""
    least = machine.recipe.parallel_operations
    bodies = [sch.get(block) for block in blocks]
    operations = sum(math.prod(facts.extent(axis) for axis in body.iter_vars) for body in bodies)
    row_bytes = sum(facts.buffer_bytes(body.writes[0].source) for body in bodies) // rows
    return bool(least) and operations >= least and row_bytes <= machine.recipe.thread_stack_bytes
