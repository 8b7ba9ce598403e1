"""What rules share that write a kernel of constant weights anew: which parameter these are, and the function."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from tvm import tirx

from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.write_code import Code
from edgetvm.schedule.types import Packing


def position_of(kernel: DotKernel, func: tirx.PrimFunc) -> int:
    """Which parameter of `func` holds the weights."""
    return next(position for position, param in enumerate(func.params) if param.same_as(kernel.w))


def packed_weights(kernel: DotKernel, packing: Packing, dtype: str = "int8") -> tirx.Buffer:
    """The weights as `packing` lays them out."""
    shape = packing.pack(np.zeros([int(size) for size in kernel.w.shape], np.int8)).shape
    return tirx.decl_buffer(shape, dtype, name=kernel.w.name)


def rewritten(
    func: tirx.PrimFunc, params: Mapping[int, tirx.Buffer], code: Code, aliased: bool = False
) -> tirx.PrimFunc:
    """`func` with these parameters by position and another body.

    With `aliased` nothing promises LLVM that pointers differ: loads of weights then stay within their tile, where it
    would hoist and spill them.
    """
    changed = [params.get(position, param) for position, param in enumerate(func.params)]
    written = tirx.PrimFunc(changed, code.statement(), func.ret_type, func.attrs)
    return written.with_attr("tirx.noalias", False) if aliased else written
