"""int8 convolution and matrix product with smmla, which multiplies 2x8 by 8x2 numbers of 8 bits.

Bands, copies, windows and epilogue are those of `dot_tile`; a tile computes its sums for pairs of pixels and of
channels. Weights lie ``[O / NR][taps][K / 8][NR][8]``, or, where cores without smmla read the same constants, as
`dot_tile` has them. Kernels of single pixels, whose results would be half wasted, and shallow ones, whose sums must
be sorted too soon, are left to the dot product.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_instruction import DotInstruction
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.dot_plan import DotPlan, fold_rows
from edgetvm.schedule.rules.dot_shape import dot_tile_of
from edgetvm.schedule.rules.dot_sums import TilePlace
from edgetvm.schedule.rules.dot_tile import DotWriter, write_loops
from edgetvm.schedule.rules.dot_window import GROUP, window_of
from edgetvm.schedule.rules.smmla_shape import DEPTH, LANES, pays, smmla_tiles
from edgetvm.schedule.rules.smmla_sums import SMMLA, SmmlaWriter
from edgetvm.schedule.types import Constants, Loops, pick

LOADED_GROUPS = 4  # of four activations of one pixel, by one load


@dataclass(frozen=True)
class PairPlan(DotPlan):
    """`paired` tells that weights lie as smmla wants them: runs are then filled up to whole eights."""

    paired: bool

    @property
    def packing(self) -> Panels:
        return Panels(self.tile.columns, DEPTH if self.paired else GROUP, self.window.joined)

    def packed(self) -> tirx.Buffer:
        """The weights as a parameter."""
        kept = [int(size) for size in self.kernel.w.shape[: -1 - self.window.joined]]
        groups = self.window.groups * GROUP // self.packing.group
        shape = (self.panels, *kept, groups, self.tile.columns, self.packing.group)
        return tirx.decl_buffer(shape, "int8", name=self.kernel.w.name)


def smmla_tile(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of one such kernel; None where the machine or the kernel is another."""
    kernel = dot_kernel(sch, tuple(constants)) if machine.matrix == "smmla" else None
    if kernel is None or not can_lift(kernel.value):
        return None
    plan = plan_pairs(kernel, machine)
    if not pays(plan.window, dot_tile_of(pick(plan.tiles, None), LANES), plan.paired):
        return None
    return write_loops(sch, kernel, plan, _PairWriter)


def plan_pairs(kernel: DotKernel, machine: Machine) -> PairPlan:
    """Decide everything."""
    paired = machine.columns == 0
    instruction = DotInstruction(SMMLA, LANES, LOADED_GROUPS, 0, 1)
    window = window_of(kernel, LOADED_GROUPS)
    copied = kernel.border is not None or window.length % (DEPTH if paired else GROUP) != 0
    if paired:
        window = replace(window, length=-(-window.length // DEPTH) * DEPTH)
    tiles = smmla_tiles(kernel, window, machine, paired, machine.columns)
    tile = dot_tile_of(pick(tiles, machine.tile), LANES)
    if kernel.border is None and kernel.taps == (1, 1):
        kernel = fold_rows(kernel, tile.pixels)
    return PairPlan(kernel, window, instruction, tile, machine, copied, tiles, paired)


@dataclass(frozen=True)
class _PairWriter(DotWriter):
    plan: PairPlan

    def sums(self, place: TilePlace, pixels: int, channels: int) -> None:
        SmmlaWriter(self.code, self.plan, self.rows, pixels, channels, self.plan.paired).write(place)
