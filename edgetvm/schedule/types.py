"""What a schedule gives to codegen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from tvm import tirx

# What a rule knows of a kernel's constant operands: by position, the array of every call of the kernel.
Constants: TypeAlias = Mapping[int, tuple[np.ndarray, ...]]


# What was decided about one kernel instead of by its rule: "tile.pixels" and the like of `TileSize`, names of `Recipe`.
Decision: TypeAlias = Mapping[str, int]


class Packing(Protocol):
    """How a constant is laid out for a kernel. Equal packings give equal data of equal names."""

    @property
    def label(self) -> str:
        """Letters, digits and underscores for the name of the packed constant."""

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array that the kernel reads."""


@dataclass(frozen=True)
class TileSize:
    """`pixels` x `columns` sums that are in registers at once.

    `by_eight` is a form of products on NEON without dot product: see `neon_products.Form`.
    """

    pixels: int
    columns: int
    by_eight: bool = False


# The tiles that a rule can write a kernel in, each with its cost in closed form: operations or instructions.
Tiles: TypeAlias = Mapping[TileSize, float]


def pick(tiles: Tiles, fixed: TileSize | None) -> TileSize:
    """The one that was fixed, if it is among them, else the first of the cheapest."""
    return fixed if fixed is not None and fixed in tiles else min(tiles, key=tiles.__getitem__)


@dataclass(frozen=True)
class Loops:
    """What a rule gives that writes its loops itself instead of transforming those of the schedule.

    `overwrites` are the inputs, by position, over which an output of their size may be written: every element is read
    before anything is stored where it lies.
    """

    func: tirx.PrimFunc
    packing: Mapping[int, Packing]
    overwrites: tuple[int, ...] = ()
    tiles: Tiles = field(default_factory=dict)


# A rule's answer: written loops; or of a transformed schedule, how constant operands are laid out; or that the
# rule does not apply.
Answer: TypeAlias = Loops | Mapping[int, Packing] | None


@dataclass(frozen=True)
class Task:
    """What one rule scheduled: a kernel, or a part of one, which calls it `times` times.

    `tiles` are those that the rule chose from; `decision` is what was decided instead of the rule, if anything.
    """

    func: tirx.PrimFunc
    constants: Constants
    rule: str
    tiles: Tiles
    decision: Decision | None
    times: int = 1


@dataclass(frozen=True)
class ScheduledKernel:
    """A scheduled PrimFunc, the rule that fired, and how constants must be laid out for it.

    `packing` maps the position of a constant parameter to its layout. `blocks` is the function as it was in
    blocks, in which elements keep their order of being read and written; `func` itself if the rule left it so.
    `leads` is for kernels that go by rows: the bytes by which the output must begin before the input of that
    position if it is written over what was read of it. `overwrites` is that of `Loops`.
    `tiles` are those that the rule chose from, if it counts them: `Machine.tile` fixes another one. `tasks` are the
    functions in it that a search can decide about, each for itself; `whole` is the kernel that goes over rows with
    these as its parts. `llvm_level` is that of its recipe.
    """

    func: tirx.PrimFunc
    rule: str
    packing: Mapping[int, Packing] = field(default_factory=dict)
    written_from: tirx.PrimFunc | None = None
    leads: Mapping[int, int] = field(default_factory=dict)
    overwrites: tuple[int, ...] = ()
    tiles: Tiles = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    whole: Task | None = None
    llvm_level: int = 0

    @property
    def blocks(self) -> tirx.PrimFunc:
        return self.written_from or self.func
