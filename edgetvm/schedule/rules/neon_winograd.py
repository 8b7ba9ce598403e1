"""int8 3x3 convolution by Winograd's tiles on NEON without dot product, bit for bit the direct one.

Tiles of 2x2 outputs: 16 products instead of 36 for each pair of channels, four in an instruction (`smlal`) where the
direct convolution has eight. Weights are transformed at compile time, four times as large so that they are integers of
16 bits, and take 3.56 times the memory; sums are then four times those of the direct convolution.
"""

from __future__ import annotations

from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import dot_kernel
from edgetvm.schedule.rules.neon_winograd_choice import choose_plan
from edgetvm.schedule.rules.packed_weights import position_of
from edgetvm.schedule.rules.winograd_grid import is_plain_3x3
from edgetvm.schedule.rules.winograd_writer import write_loops
from edgetvm.schedule.types import Constants, Loops


def neon_winograd(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of one such convolution; None where it is none, or where the direct one is as fast."""
    if not machine.neon or not machine.recipe.neon_winograd or machine.columns:
        return None
    kernel = dot_kernel(sch, tuple(constants))
    if kernel is None or not is_plain_3x3(kernel) or not can_lift(kernel.value):
        return None
    func = sch.mod["main"]
    position = position_of(kernel, func)
    chosen = choose_plan(kernel, machine, constants[position])
    return None if chosen is None else write_loops(func, position, *chosen)
