"""What a schedule gives to codegen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from tvm import tirx

# What a rule knows of a kernel's constant operands: by position, the array of every call of the kernel.
Constants: TypeAlias = Mapping[int, tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class ScheduledKernel:
    """A scheduled PrimFunc, the rule that fired, and how constants must be laid out for it.

    `packing` maps the position of a constant parameter to a block size NR: the kernel reads the
    constant `[..., N]` as `[N / NR][...][NR]`.
    """

    func: tirx.PrimFunc
    rule: str
    packing: Mapping[int, int] = field(default_factory=dict)
