"""Constants of an epilogue that fit in a byte are stored in one, as shifts do: a load widens it at no cost on Arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tvm import tirx

from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.types import Constants, Packing

LOW, HIGH = -128, 127


@dataclass(frozen=True)
class Bytes:
    """The same elements as int8."""

    label: str = "bytes"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        return data.astype(np.int8)


def byte_constants(
    kernel: DotKernel, params: Sequence[tirx.Buffer], constants: Constants
) -> tuple[DotKernel, Mapping[int, tirx.Buffer], Mapping[int, Packing]]:
    """The kernel reading bytes where constants of every call are such: (kernel, those parameters, their layouts).

    Of 16 bits are few constants, and biases of dense layers then take more addresses than they save.
    """
    packing: dict[int, Packing] = {}
    narrowed: dict[int, tirx.Buffer] = {}
    operands = list(kernel.operands)
    for position, arrays in constants.items():
        param = params[position]
        used = [at for at, (_, access) in enumerate(operands) if access.buffer.same_as(param)]
        fits = all(array.size and array.min() >= LOW and array.max() <= HIGH for array in arrays)
        if not used or not fits or str(param.dtype) != "int32":
            continue
        packing[position] = Bytes()
        narrowed[position] = tirx.decl_buffer(param.shape, "int8", name=param.name)
        for at in used:
            load, access = operands[at]
            operands[at] = (load, replace(access, buffer=narrowed[position]))
    return replace(kernel, operands=tuple(operands)), narrowed, packing
