"""Every block of what is left: along the vector its innermost axis, all of a tensor if every other is in step, or rows
of planes that become pixels."""

from __future__ import annotations

from tvm.s_tir import Schedule

from edgetvm.schedule import analysis as facts
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.flat_loop import flat_loop
from edgetvm.schedule.rules.vectors import vectorize_last, vectorize_planes
from edgetvm.schedule.types import Answer, Constants, Loops


def elementwise(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Vectorise blocks without reductions; fits every function, so it never declines."""
    del constants
    flat = flat_loop(sch, machine)
    if flat is not None:
        return Loops(flat, {})
    for block in facts.all_blocks(sch):
        body = sch.get(block)
        if facts.is_simple(body) and not facts.reduction_axes(body) and not vectorize_planes(sch, block, machine):
            vectorize_last(sch, block, machine)
    return {}
