"""int8 convolution and matrix product on Cortex-M without DSP instructions: `dsp_tile` by `plain_pairs`."""

from __future__ import annotations

from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import dot_kernel
from edgetvm.schedule.rules.dsp_tile import write_pairs
from edgetvm.schedule.rules.packed_weights import position_of
from edgetvm.schedule.types import Constants, Loops

LEAST_WEIGHT = -127  # two weights of -128 and two such activations have a sum of 17 bits


def plain_tile(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of such a kernel; None on other machines, of one pixel, where a weight is -128."""
    kernel = dot_kernel(sch, tuple(constants)) if machine.plain else None
    if kernel is None:
        return None
    position = position_of(kernel, sch.mod["main"])
    if kernel.pixels == 1 and not machine.recipe.wide_percent:
        return None  # to widen weights for a single product takes what it saves
    if any(array.min() < LEAST_WEIGHT for array in constants[position]):
        return None
    return write_pairs(sch, machine, constants)
