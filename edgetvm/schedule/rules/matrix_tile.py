"""float32 convolution and matrix product with constant weights: a tile of sums in registers, without a copy.

Weights are packed in panels ``[N / NR][taps][K][NR]``.
"""

from __future__ import annotations

import math

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import rows_of
from edgetvm.schedule.rules.depthwise_window import lines_of
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel, float_factors
from edgetvm.schedule.rules.matrix_plan import MatrixPlan, matrix_plan, matrix_tiles
from edgetvm.schedule.rules.matrix_writer import MatrixWriter, Weights
from edgetvm.schedule.rules.packed_weights import position_of, rewritten
from edgetvm.schedule.rules.write_code import Code
from edgetvm.schedule.types import Constants, Loops


def matrix_tile(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of such a kernel of float32; None for others and where there are no vectors."""
    if machine.vector_bytes == 0:
        return None
    kernel = dot_kernel(sch, list(constants), factors=float_factors)
    if kernel is None or kernel.out.channel != 1 or (kernel.border is not None and kernel.border.fill != 0):
        return None
    return write_loops(sch, kernel, matrix_plan(kernel, machine))


def write_loops(sch: Schedule, kernel: DotKernel, plan: MatrixPlan) -> Loops:
    """The function that a plan stands for, with packed weights of the type that they have."""
    func = sch.mod["main"]
    position = position_of(kernel, func)
    kept = [int(size) for size in kernel.w.shape[:-1]]
    packed = tirx.decl_buffer((plan.panels, *kept, plan.columns), str(kernel.w.dtype), name=kernel.w.name)
    weights = Weights(packed, 0, 0, 0, math.prod(kept) * plan.columns, plan.columns, filled=True)
    code = Code()
    MatrixWriter(code, plan, rows_of(code, kernel, packed), lines_of(kernel, copied=False), weights).write()
    written = rewritten(func, {position: packed}, code)
    return Loops(written, {position: plan.packing}, tiles=matrix_tiles(kernel, plan.machine))
