"""`neon_tile` on weights that kernels with dot products read too: panels of groups of four, as wide as those want."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tvm.s_tir import Schedule

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.dot_window import GROUP, loads_of, window_of
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.neon_plan import Plan, tile_cost
from edgetvm.schedule.rules.neon_products import Form
from edgetvm.schedule.rules.neon_strip import VECTOR, strip_of
from edgetvm.schedule.rules.neon_tile import write_loops
from edgetvm.schedule.rules.packed_weights import position_of
from edgetvm.schedule.types import Answer, Constants


def neon_panels(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of a convolution or product of int8 by such weights; None where panels are free."""
    if not machine.neon or not machine.columns:
        return None
    kernel = dot_kernel(sch, list(constants))
    if kernel is None or not can_lift(kernel.value):
        return None
    func = sch.mod["main"]
    position = position_of(kernel, func)
    return write_loops(func, position, plan_rows(kernel, machine, constants[position]))


def plan_rows(kernel: DotKernel, machine: Machine, weights: tuple[np.ndarray, ...]) -> Plan:
    """Choose the rows of a tile; its columns are given."""
    assert machine.neon is not None
    form, columns = Form(by_eight=False), machine.columns
    window = replace(window_of(kernel, VECTOR // GROUP), shared=1)
    strip = strip_of(kernel, machine, window.length % GROUP != 0)
    pixels = kernel.extents[2] if kernel.extents[0] * kernel.extents[1] > 1 else kernel.pixels
    most = machine.recipe.shared_rows
    costs = {rows: tile_cost(form, rows, columns, kernel, window, pixels, machine) for rows in range(1, most + 1)}
    # One row must do, whatever the panel.
    rows = min((rows for rows, cost in costs.items() if cost is not None), key=lambda n: costs[n] or 0.0, default=1)
    panels = Panels(columns, form.group, window.joined)
    chain = form.longest_chain([panels.pack(array) for array in weights])
    loads = loads_of(window, VECTOR // GROUP, strip.copied, GROUP)
    return Plan(kernel, Neon(machine.neon), form, rows, columns, chain, window, loads, panels, strip)
