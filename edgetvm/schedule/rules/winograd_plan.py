"""How a 3x3 convolution is cut into Winograd's tiles, and these are shared out."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.packing import WinogradPanels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.winograd_grid import TileGrid
from edgetvm.schedule.rules.winograd_numbers import FLOATS, Numbers


@dataclass(frozen=True)
class WinogradPlan(TileGrid):
    """How tiles are multiplied.

    rows     tiles of a block of products, whose sums are in registers
    vectors  of `lanes` output channels beside them
    numbers  what tiles and sums are made of
    """

    machine: Machine
    rows: int
    vectors: int
    numbers: Numbers = FLOATS

    @property
    def lanes(self) -> int:
        return self.machine.lanes(self.numbers.element_bytes)

    @property
    def columns(self) -> int:
        """Output channels of a panel of weights."""
        return self.vectors * self.lanes

    @property
    def panels(self) -> int:
        return -(-self.kernel.channels // self.columns)

    @property
    def blocks(self) -> int:
        """Blocks of a band; the last may repeat tiles of the one before."""
        return -(-self.tiles // self.rows)

    @property
    def strip_elements(self) -> int:
        """A span of tiles, transformed along the columns, of one vector of channels."""
        return self.form.side * self.width * self.lanes

    @property
    def tile_pitch(self) -> int:
        """Elements between the transformed inputs of one position and the next: never a multiple of a page."""
        return self.tiles * self.kernel.depth + self.lanes

    @property
    def sum_pitch(self) -> int:
        """The same of the sums of a panel."""
        return self.tiles * self.columns + self.lanes

    @property
    def scratch_bytes(self) -> int:
        """Bytes of everything that a band keeps in memory."""
        tiles, sums = (self.form.products * pitch for pitch in (self.tile_pitch, self.sum_pitch))
        return self.numbers.element_bytes * (self.strip_elements + tiles) + self.numbers.total_bytes * sums

    @property
    def packing(self) -> WinogradPanels:
        return WinogradPanels(self.form.outputs, self.columns, self.numbers.element, self.numbers.places)

    def packed(self) -> tirx.Buffer:
        """The transformed weights as a parameter."""
        shape = (self.panels, self.form.products, self.kernel.depth, self.columns)
        return tirx.decl_buffer(shape, self.numbers.element, name=self.kernel.w.name)

    @property
    def multiply_adds(self) -> int:
        tiles = self.kernel.extents[0] * self.tile_rows * self.tile_columns
        return tiles * self.form.products * self.kernel.depth * self.kernel.channels

    @property
    def shared(self) -> str | None:
        """What threads share, if the kernel is worth it: bands, with scratch on their stacks, or panels of a band."""
        recipe = self.machine.recipe
        if not recipe.parallel_operations or self.multiply_adds < recipe.parallel_operations:
            return None
        enough = self.kernel.extents[0] * self.bands >= recipe.winograd_bands
        if enough and self.scratch_bytes <= recipe.thread_stack_bytes:
            return "bands"
        sums = self.numbers.total_bytes * self.form.products * self.sum_pitch
        small = max(sums, self.numbers.element_bytes * self.strip_elements) <= recipe.thread_stack_bytes
        return "panels" if self.panels > 1 and small else None
