"""Every kernel of a module -> its schedule: the first rule that fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import tvm
from tvm import tirx
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import ScheduleError

from edgetvm.cost.row_stages import STAGES
from edgetvm.schedule.concat_kernel import constants_of, join_parts, split_concat
from edgetvm.schedule.decision import decided, decided_parts
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rounding_conversion import replace_rounding
from edgetvm.schedule.row_kernel import schedule_rows
from edgetvm.schedule.rules.batched_product import batched_product
from edgetvm.schedule.rules.channel_window import channel_window
from edgetvm.schedule.rules.depthwise_int8 import depthwise_int8
from edgetvm.schedule.rules.dot_panels import dot_panels
from edgetvm.schedule.rules.dot_tile import dot_tile
from edgetvm.schedule.rules.dsp_depthwise import dsp_depthwise
from edgetvm.schedule.rules.dsp_tile import dsp_tile
from edgetvm.schedule.rules.dsp_winograd import dsp_winograd
from edgetvm.schedule.rules.elementwise import elementwise
from edgetvm.schedule.rules.functions_apart import functions_apart
from edgetvm.schedule.rules.half_tile import half_tile
from edgetvm.schedule.rules.helium_depthwise import helium_depthwise
from edgetvm.schedule.rules.helium_tile import helium_tile
from edgetvm.schedule.rules.matrix_tile import matrix_tile
from edgetvm.schedule.rules.neon_panels import neon_panels
from edgetvm.schedule.rules.neon_tile import neon_tile
from edgetvm.schedule.rules.neon_winograd import neon_winograd
from edgetvm.schedule.rules.nibble_tile import nibble_tile
from edgetvm.schedule.rules.plain_tile import plain_tile
from edgetvm.schedule.rules.register_tile import register_tile
from edgetvm.schedule.rules.row_pass import row_pass
from edgetvm.schedule.rules.scalar_depthwise import scalar_depthwise
from edgetvm.schedule.rules.scalar_tile import scalar_tile
from edgetvm.schedule.rules.smmla_tile import smmla_tile
from edgetvm.schedule.rules.winograd import winograd
from edgetvm.schedule.simplify import inline_elementwise, scalars_as_rows
from edgetvm.schedule.types import Answer, Constants, Loops, ScheduledKernel, Task
from edgetvm.schedule.vector_functions import replace_functions

Rule = Callable[[Schedule, Machine, Constants], Answer]

# In order of preference; the last one never declines.
RULES: list[Rule] = [
    smmla_tile,
    dot_panels,
    dot_tile,
    depthwise_int8,
    helium_depthwise,
    helium_tile,
    dsp_depthwise,
    dsp_winograd,
    dsp_tile,
    scalar_depthwise,
    nibble_tile,  # before what would take bytes
    plain_tile,
    scalar_tile,
    neon_panels,
    neon_winograd,
    neon_tile,
    functions_apart,
    winograd,
    channel_window,
    half_tile,
    matrix_tile,
    batched_product,
    row_pass,
    register_tile,
    elementwise,
]


def schedule_module(
    module: tvm.IRModule, machine: Machine, constants: Mapping[str, Constants]
) -> dict[str, ScheduledKernel]:
    """Schedule every PrimFunc of `module`. `constants` has the constant operands of each kernel."""
    return {
        variable.name_hint: schedule_kernel(func, machine, constants.get(variable.name_hint, {}))
        for variable, func in module.functions.items()
        if isinstance(func, tirx.PrimFunc)
    }


def schedule_kernel(func: tirx.PrimFunc, machine: Machine, constants: Constants) -> ScheduledKernel:
    """Schedule one PrimFunc by the first rule that fits; stage by stage or part by part if it has several."""
    func = scalars_as_rows(func)
    if STAGES in func.attrs:
        rows = schedule_rows(func, decided_parts(machine, func), constants, schedule_kernel)
        return replace(rows, whole=Task(func, constants, rows.rule, {}, None), llvm_level=machine.recipe.llvm_level)
    if parts := split_concat(func):
        kernels = [schedule_kernel(part, machine, constants_of(func, part, constants)) for part in parts]
        return join_parts(func, parts, kernels)
    machine, decision = decided(machine, func)
    kernel = _first_that_fits(func, machine, constants)
    task = Task(func, constants, kernel.rule, kernel.tiles, decision)
    return replace(kernel, tasks=(task,), llvm_level=machine.recipe.llvm_level)


def _first_that_fits(func: tirx.PrimFunc, machine: Machine, constants: Constants) -> ScheduledKernel:
    start = Schedule(tvm.IRModule({"main": func.with_attr("global_symbol", "main")}))
    inline_elementwise(start)
    before = start.mod["main"]
    for rule in RULES:
        sch = Schedule(start.mod)
        try:
            answer = rule(sch, machine, constants)
        except ScheduleError:
            continue  # TVM refused a step: a simpler rule gives a slower kernel, never a wrong one
        if isinstance(answer, Loops):
            func, packing = _finish(answer.func, machine), answer.packing
            return ScheduledKernel(
                func, rule.__name__, packing, before, overwrites=answer.overwrites, tiles=answer.tiles
            )
        if answer is not None:
            return ScheduledKernel(_finish(sch.mod["main"], machine), rule.__name__, answer)
    return ScheduledKernel(func.with_attr("global_symbol", "main"), "unscheduled")


def _finish(func: tirx.PrimFunc, machine: Machine) -> tirx.PrimFunc:
    """Arithmetic for the functions of which vectors have none, an instruction for what scalars have one for."""
    if machine.vector_bytes:
        return replace_functions(func)
    return replace_rounding(func) if machine.vcvtr else func
