"""Float 3x3 convolution by Winograd's tiles: fewer products for larger weights and two transforms."""

from __future__ import annotations

from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import dot_kernel, float_factors
from edgetvm.schedule.rules.packed_weights import position_of
from edgetvm.schedule.rules.winograd_choice import choose_plan
from edgetvm.schedule.rules.winograd_grid import is_plain_3x3
from edgetvm.schedule.rules.winograd_writer import write_loops
from edgetvm.schedule.types import Constants, Loops


def winograd(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of one such convolution; None where it is none, or where the direct one is as fast."""
    if not machine.vector_bytes or not machine.recipe.winograd_side:
        return None
    kernel = dot_kernel(sch, tuple(constants), factors=float_factors)
    if kernel is None or not is_plain_3x3(kernel) or (kernel.border is not None and kernel.border.fill != 0):
        return None
    chosen = choose_plan(kernel, machine)
    if chosen is None:
        return None
    func = sch.mod["main"]
    return write_loops(func, position_of(kernel, func), *chosen)
