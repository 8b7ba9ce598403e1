"""Kernels of one module for several kinds of cores that read the same constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import tvm
from tvm import tirx
from tvm_ffi import structural_equal

from edgetvm.schedule.apply import schedule_kernel
from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_window import GROUP
from edgetvm.schedule.types import Constants, ScheduledKernel


def schedule_variants(
    module: tvm.IRModule, machines: Sequence[Machine], constants: Mapping[str, Constants]
) -> list[dict[str, ScheduledKernel]]:
    """Schedule every PrimFunc of `module` for each machine, the least first.

    A kernel that is no better than on the machine before is that machine's own, the same object.
    """
    kernels: list[dict[str, ScheduledKernel]] = [{} for _ in machines]
    for variable, func in module.functions.items():
        if isinstance(func, tirx.PrimFunc):
            name = variable.name_hint
            for each, kernel in zip(kernels, schedule_alike(func, machines, constants.get(name, {})), strict=True):
                each[name] = kernel
    return kernels


def schedule_alike(func: tirx.PrimFunc, machines: Sequence[Machine], constants: Constants) -> list[ScheduledKernel]:
    """One PrimFunc for each machine: weights lie as the first that has dot products wants them."""
    columns = next((_columns(func, machine, constants) for machine in machines if machine.dot), 0)
    kernels: list[ScheduledKernel] = []
    for machine in machines:
        kernel = schedule_kernel(func, replace(machine, columns=columns), constants)
        if kernels and (kernel.packing != kernels[0].packing or structural_equal(kernel.func, kernels[-1].func)):
            kernel = kernels[-1]
        kernels.append(kernel)
    return kernels


def _columns(func: tirx.PrimFunc, machine: Machine, constants: Constants) -> int:
    """How wide the panels of a machine with dot products are; 0 for a kernel of another kind."""
    layouts = list(schedule_kernel(func, machine, constants).packing.values())
    panels = [layout for layout in layouts if isinstance(layout, Panels) and layout.group == GROUP]
    return panels[0].block if len(layouts) == len(panels) == 1 else 0
