"""`matrix_tile` for sums in half precision: vectors of twice as many numbers."""

from __future__ import annotations

from dataclasses import replace

from tvm import s_tir, tirx
from tvm.ir import TensorLoad
from tvm.s_tir import Schedule

from edgetvm.schedule import analysis as facts
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import dot_kernel
from edgetvm.schedule.rules.matrix_plan import matrix_plan
from edgetvm.schedule.rules.matrix_tile import write_loops
from edgetvm.schedule.types import Constants, Loops

HALF = "float16"


def half_tile(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of a convolution or product of float16 with constant weights; None for others."""
    if machine.vector_bytes == 0:
        return None
    kernel = dot_kernel(sch, list(constants), factors=half_factors)
    if kernel is None or kernel.out.channel != 1 or (kernel.border is not None and kernel.border.fill != 0):
        return None
    # The plan counts numbers of four bytes: vectors twice as wide hold as many as there are halves in one.
    recipe = replace(machine.recipe, vector_bytes=2 * machine.recipe.vector_bytes)
    twice = replace(machine, vector_bytes=2 * machine.vector_bytes, recipe=recipe)
    return write_loops(sch, kernel, matrix_plan(kernel, twice))


def half_factors(main: s_tir.SBlock) -> tuple[TensorLoad, TensorLoad] | None:
    """The two loads of ``acc = acc + x * w`` in float16."""
    sum_ = facts.store_of(main)
    if sum_ is None or str(sum_.buffer.dtype) != HALF or not isinstance(sum_.value, tirx.Add):
        return None
    total, product = sum_.value.a, sum_.value.b
    if not isinstance(total, TensorLoad) or not total.source.same_as(sum_.buffer) or not isinstance(product, tirx.Mul):
        return None
    if not isinstance(product.a, TensorLoad) or not isinstance(product.b, TensorLoad):
        return None
    return product.a, product.b
