"""Kernels of one module for several kinds of cores that read the same constants."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

import tvm
from tvm import tirx
from tvm.s_tir import Schedule
from tvm_ffi import structural_equal

from edgetvm.schedule.apply import schedule_kernel
from edgetvm.schedule.concat_kernel import constants_of, join_parts, split_concat
from edgetvm.schedule.recipe import Machine, Recipe
from edgetvm.schedule.rules.dot_kernel import dot_kernel
from edgetvm.schedule.simplify import inline_elementwise
from edgetvm.schedule.types import Constants, ScheduledKernel

LANES = 4


def schedule_variants(
    module: tvm.IRModule,
    machines: Sequence[Machine],
    constants: Mapping[str, Constants],
    names: Container[str] | None = None,
) -> list[dict[str, ScheduledKernel]]:
    """Schedule every PrimFunc of `module`, or those of `names`, for each machine, the least first.

    A kernel that is no other than on the machine before is that machine's, the same object.
    """
    kernels: list[dict[str, ScheduledKernel]] = [{} for _ in machines]
    for variable, func in module.functions.items():
        name = variable.name_hint
        if isinstance(func, tirx.PrimFunc) and (names is None or name in names):
            for each, kernel in zip(kernels, schedule_alike(func, machines, constants.get(name, {})), strict=True):
                each[name] = kernel
    return kernels


def schedule_alike(func: tirx.PrimFunc, machines: Sequence[Machine], constants: Constants) -> list[ScheduledKernel]:
    """One PrimFunc for each machine, by rules that lay constants out alike."""
    if parts := split_concat(func):
        alike = [schedule_alike(part, machines, constants_of(func, part, constants)) for part in parts]
        return _joined(func, parts, list(zip(*alike, strict=True)))
    columns = shared_columns(func, machines[0].recipe, constants) if len(machines) > 1 else 0
    kernels: list[ScheduledKernel] = []
    for machine in machines:
        kernel = schedule_kernel(func, replace(machine, columns=columns), constants)
        if kernels and (kernel.packing != kernels[0].packing or structural_equal(kernel.func, kernels[-1].func)):
            kernel = kernels[-1]
        kernels.append(kernel)
    return kernels


def _joined(
    func: tirx.PrimFunc, parts: Sequence[tirx.PrimFunc], kernels: Sequence[Sequence[ScheduledKernel]]
) -> list[ScheduledKernel]:
    """The kernels of the parts joined for each machine."""
    joined: list[ScheduledKernel] = []
    for number, own in enumerate(kernels):
        same = number and all(a is b for a, b in zip(own, kernels[number - 1], strict=True))
        joined.append(joined[-1] if same else join_parts(func, parts, own))
    return joined


def shared_columns(func: tirx.PrimFunc, recipe: Recipe, constants: Constants) -> int:
    """How wide the panels of weights are of a sum of products of int8; 0 for a kernel of another kind."""
    sch = Schedule(tvm.IRModule({"main": func.with_attr("global_symbol", "main")}))
    inline_elementwise(sch)
    kernel = dot_kernel(sch, tuple(constants))
    if kernel is None:
        return 0
    most = recipe.shared_columns_one if kernel.pixels == 1 else recipe.shared_columns
    return min(-(-kernel.channels // LANES) * LANES, most)
