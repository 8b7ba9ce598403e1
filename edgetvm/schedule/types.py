"""What a schedule gives to codegen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from tvm import tirx

# What a rule knows of a kernel's constant operands: by position, the array of every call of the kernel.
Constants: TypeAlias = Mapping[int, tuple[np.ndarray, ...]]


class Packing(Protocol):
    """How a constant is laid out for a kernel. Equal packings give equal data of equal names."""

    @property
    def label(self) -> str:
        """Letters, digits and underscores for the name of the packed constant."""

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array that the kernel reads."""


@dataclass(frozen=True)
class Loops:
    """What a rule gives that writes its loops itself instead of transforming those of the schedule.

    `overwrites` are the inputs, by position, over which an output of their size may be written: every element is read
    before anything is stored where it lies.
    """

    func: tirx.PrimFunc
    packing: Mapping[int, Packing]
    overwrites: tuple[int, ...] = ()


# A rule's answer: written loops; or of a transformed schedule, how constant operands are laid out; or that the
# rule does not apply.
Answer: TypeAlias = Loops | Mapping[int, Packing] | None


@dataclass(frozen=True)
class ScheduledKernel:
    """A scheduled PrimFunc, the rule that fired, and how constants must be laid out for it.

    `packing` maps the position of a constant parameter to its layout. `blocks` is the function as it was in
    blocks, in which elements keep their order of being read and written; `func` itself if the rule left it so.
    `leads` is for kernels that go by rows: the bytes by which the output must begin before the input of that
    position if it is written over what was read of it. `overwrites` is that of `Loops`.
    """

    func: tirx.PrimFunc
    rule: str
    packing: Mapping[int, Packing] = field(default_factory=dict)
    written_from: tirx.PrimFunc | None = None
    leads: Mapping[int, int] = field(default_factory=dict)
    overwrites: tuple[int, ...] = ()

    @property
    def blocks(self) -> tirx.PrimFunc:
        return self.written_from or self.func
