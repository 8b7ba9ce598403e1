"""The kernels of an optimized model, scheduled for every kind of core of a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import tvm

from edgetvm.codegen.assemble import constant_operands
from edgetvm.codegen.choose_rows import choose_rows
from edgetvm.codegen.fit import enough_ram
from edgetvm.codegen.predict import least_kernels
from edgetvm.codegen.program import Program, extract_program
from edgetvm.passes.join_rows import Segment
from edgetvm.passes.pipeline import OptimizedModel, with_rows
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.types import ScheduledKernel
from edgetvm.schedule.variants import schedule_variants
from edgetvm.target.types import Target

# Bytes. Linux: a cache line, and the widest vector. Cortex-M: its widest element.
ARENA_ALIGN = {"linux": 64, "none": 8}


@dataclass(frozen=True)
class ScheduledModel:
    """The graph as it was scheduled, its calls, and the kernels for each machine."""

    optimized: OptimizedModel
    program: Program
    kernels: Sequence[Mapping[str, ScheduledKernel]]


def schedule_model(
    optimized: OptimizedModel, target: Target, machines: Sequence[Machine], optimize: str
) -> ScheduledModel:
    """Schedule for `machines`, those of the target's kinds of cores, the least first.

    Which kernels go over rows does not depend on decisions: these are about the kernels that there are then.
    """
    undecided = [replace(machine, decisions={}) for machine in machines]
    model = _schedule(optimized, undecided)
    enough = enough_ram(target, optimize, machines[0].recipe.reserved_ram)
    rows: tuple[Segment, ...] = ()
    if enough is not None:
        align, recipe = ARENA_ALIGN[target.processor.os], machines[0].recipe
        rows = choose_rows(optimized.module, model.program, model.kernels[0], align, enough, recipe)
    if not rows and undecided == list(machines):
        return model
    return _schedule(with_rows(optimized, rows) if rows else optimized, machines)


def small_kernels(
    model: ScheduledModel, target: Target, compiler: tvm.target.Target, machine: Machine
) -> frozenset[str]:
    """The kernels that take least as the rules schedule them: as many as `small_percent` of the recipe says.

    Decisions do not change which: a kernel is compiled for what it was tuned for.
    """
    percent = machine.recipe.small_percent
    if not percent:
        return frozenset()
    kernels = model.kernels[0]
    if machine.decisions:
        undecided, constants = replace(machine, decisions={}), constant_operands(model.program)
        (kernels,) = schedule_variants(model.optimized.module, [undecided], constants)
    return least_kernels(model.program, kernels, compiler, target.processor, percent)


def with_small_kernels(
    model: ScheduledModel,
    target: Target,
    compiler: tvm.target.Target,
    machines: Sequence[Machine],
    small: Sequence[Machine],
) -> ScheduledModel:
    """The kernels that take least scheduled for `small`, the machines as they are for size, the others kept."""
    least = small_kernels(model, target, compiler, machines[0])
    if not least:
        return model
    again = schedule_variants(model.optimized.module, small, constant_operands(model.program), least)
    return replace(model, kernels=[{**all_, **own} for all_, own in zip(model.kernels, again, strict=True)])


def _schedule(optimized: OptimizedModel, machines: Sequence[Machine]) -> ScheduledModel:
    program = extract_program(optimized.module, optimized.sources)
    return ScheduledModel(optimized, program, schedule_variants(optimized.module, machines, constant_operands(program)))
