"""Every block of what is left: its innermost axis along the vector."""

from __future__ import annotations

from tvm.s_tir import Schedule

from edgetvm.schedule import analysis as facts
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.vectors import vectorize_last
from edgetvm.schedule.types import Constants, Packing


def elementwise(sch: Schedule, machine: Machine, constants: Constants) -> dict[int, Packing] | None:
    """Vectorise blocks without reductions; fits every function, so it never declines."""
    del constants
    for block in facts.all_blocks(sch):
        body = sch.get(block)
        if facts.is_simple(body) and not facts.reduction_axes(body):
            vectorize_last(sch, block, machine)
    return {}
