"""`dot_tile` on weights that kernels without dot products read too: as many pixels as panels so wide allow."""

from __future__ import annotations

from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_instruction import DotInstruction, dot_instruction
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.dot_plan import DotPlan, fold_rows
from edgetvm.schedule.rules.dot_shape import DotTile, registers
from edgetvm.schedule.rules.dot_tile import write_loops
from edgetvm.schedule.rules.dot_window import GROUP, window_of
from edgetvm.schedule.types import Constants, Loops


def dot_panels(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of a convolution or product of int8 by such weights; None where panels are free."""
    instruction = dot_instruction(machine) if machine.columns and machine.dot == "sdot" else None
    kernel = None if instruction is None else dot_kernel(sch, tuple(constants))
    if instruction is None or kernel is None or not can_lift(kernel.value):
        return None
    return write_loops(sch, kernel, plan_panels(kernel, instruction, machine))


def plan_panels(kernel: DotKernel, instruction: DotInstruction, machine: Machine) -> DotPlan:
    """Choose the pixels of a tile; its channels are given. Equal tiles are better than one that is left over."""
    window = window_of(kernel, instruction.unit)
    vectors, row = machine.columns // instruction.lanes, kernel.extents[-1]
    room = machine.vector_registers - machine.recipe.dot_spare_registers
    fitting = [
        n for n in range(1, min(row, machine.recipe.max_rows) + 1) if registers(n, vectors, window, instruction) <= room
    ]
    pixels = -(-row // -(-row // max(fitting, default=1)))
    copied = kernel.border is not None or window.length % GROUP != 0
    if kernel.border is None and kernel.taps == (1, 1):
        kernel = fold_rows(kernel, pixels)
    return DotPlan(kernel, window, instruction, DotTile(pixels, vectors, instruction.lanes), machine, copied, {})
