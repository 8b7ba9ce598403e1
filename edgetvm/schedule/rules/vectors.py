"""Vectorising the innermost axis of a block."""

from __future__ import annotations

from tvm import s_tir
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from edgetvm.schedule import analysis as facts
from edgetvm.schedule.recipe import Machine


def vector_lanes(block: s_tir.SBlock, axis: facts.Axis, machine: Machine) -> int:
    """Elements of `axis` that one vector can hold: a power of two that divides its extent; 1 if it cannot."""
    lanes = most_lanes(block, axis, machine)
    while facts.extent(axis) % lanes:
        lanes //= 2
    return lanes


def most_lanes(block: s_tir.SBlock, axis: facts.Axis, machine: Machine) -> int:
    """The same of any extent. Every access must be contiguous or constant along the axis."""
    return _lanes(block, axis, machine) if facts.writes_along(block, axis) == 1 else 1


def _lanes(block: s_tir.SBlock, axis: facts.Axis, machine: Machine) -> int:
    """Elements of `axis` that all fit one vector; 1 where a load is neither contiguous nor constant along it."""
    store = facts.store_of(block)
    if store is None or facts.has_call(block, "extern", "packed"):
        return 1
    if not all(step in (0, 1) for step in facts.reads_along(block, axis)):
        return 1
    widest = max(
        [facts.element_bytes(store.buffer), *(facts.element_bytes(load.source) for load in facts.loads(block))]
    )
    return machine.lanes(widest)


def vectorize_last(sch: Schedule, block: SBlockRV, machine: Machine) -> None:
    """Vectorise the innermost loop of a block whose last axis it runs over."""
    body = sch.get(block)
    if not body.iter_vars:
        return
    lanes = most_lanes(body, body.iter_vars[-1], machine)
    loops = sch.get_loops(block)
    if not loops:  # a scalar
        return
    loop = loops[-1]
    size = int(sch.get(loop).extent)
    while lanes > 1 and size % lanes:
        lanes //= 2
    if lanes > 1:
        _, lane = sch.split(loop, [None, lanes])
        sch.vectorize(lane)


def vectorize_planes(sch: Schedule, block: SBlockRV, machine: Machine) -> bool:
    """Vectorise the axis before the last one where the last is too short and is not how elements lie that are read.

    An image whose channels lie in planes becomes one of pixels: a vector is loaded of each plane, and its elements are
    stored apart. Nothing is done, and False returned, for other blocks.
    """
    body, loops = sch.get(block), sch.get_loops(block)
    axes = list(body.iter_vars)
    if len(axes) < 2 or len(loops) != len(axes) or most_lanes(body, axes[-1], machine) > 1:
        return False
    lanes = _lanes(body, axes[-2], machine)
    if facts.extent(axes[-1]) >= lanes or 1 not in facts.reads_along(body, axes[-2]):
        return False
    while facts.extent(axes[-2]) % lanes:
        lanes //= 2
    if lanes == 1:
        return False
    vector, lane = sch.split(loops[-2], [None, lanes])
    sch.reorder(vector, loops[-1], lane)
    sch.unroll(loops[-1])
    sch.vectorize(lane)
    return True
