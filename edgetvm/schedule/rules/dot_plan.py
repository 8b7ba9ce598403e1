"""What is decided about a dot-product kernel before its loops are written."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import tvm
from tvm import tirx

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_border import Border
from edgetvm.schedule.rules.dot_instruction import DotInstruction
from edgetvm.schedule.rules.dot_kernel import Access, DotKernel
from edgetvm.schedule.rules.dot_shape import DotTile, dot_tile_of, dot_tiles
from edgetvm.schedule.rules.dot_window import GROUP, Window, window_of
from edgetvm.schedule.types import Tiles, pick


@dataclass(frozen=True)
class DotPlan:
    """The kernel, how it is tiled and might have been, and whether activations are copied before they are read.

    Rows are copied with their border and as the instruction wants them, or where the depth leaves part of a
    group: what lies behind a copied run may then be read.
    """

    kernel: DotKernel
    window: Window
    instruction: DotInstruction
    tile: DotTile
    machine: Machine
    copied: bool
    tiles: Tiles

    @property
    def packing(self) -> Panels:
        return Panels(self.tile.columns, GROUP, self.window.joined, self.instruction.offset)

    @property
    def flips(self) -> bool:
        """Whether activations are made unsigned when they are loaded; copies are when they are made."""
        return self.instruction.offset != 0 and not self.copied

    @property
    def panels(self) -> int:
        return -(-self.kernel.channels // self.tile.columns)

    @property
    def header(self) -> int:
        """Bytes before the weights of a panel: what its sums start from."""
        return GROUP * self.tile.columns if self.instruction.offset else 0

    @property
    def group_bytes(self) -> int:
        """Bytes of one group of weights of a panel."""
        return self.tile.columns * GROUP

    @property
    def panel_bytes(self) -> int:
        return self.header + self.window.panel_groups * self.group_bytes

    def packed(self) -> tirx.Buffer:
        """The weights as a parameter."""
        kept = [int(size) for size in self.kernel.w.shape[: -1 - self.window.joined]]
        shape: tuple[int, ...] = (self.panels, *kept, self.window.groups, self.tile.columns, GROUP)
        if self.instruction.offset:
            shape = (self.panels, self.panel_bytes)
        return tirx.decl_buffer(shape, "int8", name=self.kernel.w.name)

    @property
    def by_image(self) -> bool:
        """Whether rows of an image are copied, and not pixels one by one."""
        return self.kernel.border is not None or self.kernel.taps != (1, 1)

    @property
    def border(self) -> Border:
        """The image that is copied; one without a border is its own."""
        x = self.kernel.x.buffer
        return self.kernel.border or Border(x, x, 0, 0, 0)

    @property
    def pitch(self) -> int:
        """Bytes from one row of the copied image to the next."""
        return int(self.border.padded.shape[2]) * int(self.border.padded.shape[3])

    @property
    def row_step(self) -> int:
        """Rows of the image from one row of the output to the next."""
        return self.kernel.x.rows[1] // self.pitch if self.kernel.extents[1] > 1 else 1

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a pixel that is copied by itself: whole groups."""
        return self.window.groups * GROUP

    def image_rows(self, band: int) -> int:
        """Rows of the image that `band` rows of the output read."""
        dilation = self.kernel.steps[0] // self.pitch
        return (band - 1) * self.row_step + (self.kernel.taps[0] - 1) * dilation + 1

    def scratch_bytes(self, band: int) -> int:
        """Bytes of what is copied for `band` rows."""
        if self.by_image:
            return self.image_rows(band) * self.pitch + self.instruction.unit * GROUP
        return band * self.kernel.extents[2] * self.pixel_bytes

    @property
    def shared(self) -> bool:
        """Whether threads share the kernel: it is worth it, and its scratch fits their stacks."""
        least = self.machine.recipe.parallel_operations
        fits = not self.copied or self.scratch_bytes(1) <= self.machine.recipe.thread_stack_bytes
        return bool(least) and fits and self.kernel.products // GROUP >= least

    @property
    def band(self) -> int:
        """Rows that are copied at a time, and that one thread computes at a time."""
        rows, recipe = self.kernel.extents[1], self.machine.recipe
        most = max(rows // recipe.thread_bands, 1) if self.shared else rows
        if not self.copied:
            most = max(rows // recipe.uncopied_bands, 1)
        bands = [d for d in range(1, most + 1) if rows % d == 0]
        if not self.copied:
            return max(bands)
        limit = copy_limit(self.kernel, self.machine)
        return max((d for d in bands if self.scratch_bytes(d) <= limit), default=1)


def copy_limit(kernel: DotKernel, machine: Machine) -> int:
    """Bytes that a copy of rows takes at most, if one row does not need more: cache and arena must hold it."""
    read, written = kernel.x.buffer, kernel.out.buffer
    elements = math.prod(int(size) for size in read.shape), kernel.pixels * kernel.channels
    activations = elements[0] + elements[1] * (tvm.DataType(str(written.dtype)).bits // 8)
    return min(machine.recipe.dot_band_bytes, int(activations) // machine.recipe.dot_band_share)


def plan_of(kernel: DotKernel, instruction: DotInstruction, machine: Machine) -> DotPlan:
    """Decide everything."""
    window = window_of(kernel, instruction.unit)
    copied = kernel.border is not None or window.length % GROUP != 0
    tiles = dot_tiles(kernel, window, instruction, machine)
    tile = dot_tile_of(pick(tiles, machine.tile), instruction.lanes)
    if kernel.border is None and kernel.taps == (1, 1):
        kernel = fold_rows(kernel, tile.pixels)
    return DotPlan(kernel, window, instruction, tile, machine, copied, tiles)


def fold_rows(kernel: DotKernel, pixels: int) -> DotKernel:
    """Make rows of one tile, where one row of the kernel is several whole tiles: no loop is left within a row."""
    outer, row = math.prod(kernel.extents[:2]), kernel.extents[2]
    if outer != 1 or row % pixels:
        return kernel

    def fold(access: Access) -> Access:
        step = access.rows[-1]
        return replace(access, rows=(0, step * pixels, step))

    operands = tuple((value, fold(access)) for value, access in kernel.operands)
    extents = (1, row // pixels, pixels)
    return replace(kernel, extents=extents, x=fold(kernel.x), out=fold(kernel.out), operands=operands)
