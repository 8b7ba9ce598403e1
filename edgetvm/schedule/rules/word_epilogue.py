"""Epilogues of single elements in registers of 32 bits: which kernels have one that `Lift` writes with `words`."""

from __future__ import annotations

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad
from tvm.s_tir import Schedule

from edgetvm.schedule.rules.dot_epilogue import as_requantized, can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.lift_epilogue import HIGH_WORD, MOST_LATE_SHIFT
from edgetvm.schedule.types import Constants


def has_word_epilogue(sch: Schedule, kernel: DotKernel, constants: Constants) -> bool:
    """Whether every part has a form, and shifts that are read are constants by which all roundings fit high words."""
    if not can_lift(kernel.value):
        return False
    params = list(sch.mod["main"].params)
    for shift in _shifts(kernel.value):
        position = next((i for i, param in enumerate(params) if param.same_as(shift.source)), None)
        arrays = constants.get(position, ()) if position is not None else ()
        if not arrays or any(array.min() <= HIGH_WORD or array.max() > MOST_LATE_SHIFT for array in arrays):
            return False
    return True


def _shifts(value: tirx.Expr) -> list[TensorLoad]:
    """The numbers of places of all requantizations that are no numbers."""
    found: list[TensorLoad] = []

    def visit(cast: tirx.Cast) -> None:
        requantized = as_requantized(cast)
        if requantized is not None and isinstance(requantized.shift, TensorLoad):
            found.append(requantized.shift)

    tvm_ffi.structural_walk(value, (tirx.Cast, visit))
    return found
