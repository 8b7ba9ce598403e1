"""int8 convolution and matrix product with an instruction that sums four products of 8 bits.

Weights are packed ``[O / NR][taps][K / 4][NR][4]`` at compile time. A tile of sums stays in registers until the
epilogue has used it. Activations are read where they lie, or from a band of rows that was copied before: with
its border, as unsigned numbers, or with room behind an odd depth.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import Rows, offset_of, rows_of
from edgetvm.schedule.rules.dot_copy import copy_image_rows, copy_pixels
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_instruction import dot_instruction
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.dot_plan import DotPlan, plan_of
from edgetvm.schedule.rules.dot_sums import TilePlace, TileWriter
from edgetvm.schedule.rules.packed_weights import position_of, rewritten
from edgetvm.schedule.rules.write_code import Code, Offset
from edgetvm.schedule.types import Constants, Loops


def dot_tile(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of one such kernel; None where the machine or the kernel is another."""
    instruction = dot_instruction(machine)
    kernel = None if instruction is None else dot_kernel(sch, tuple(constants))
    if instruction is None or kernel is None or not can_lift(kernel.value):
        return None
    return write_loops(sch, kernel, plan_of(kernel, instruction, machine))


def write_loops(sch: Schedule, kernel: DotKernel, plan: DotPlan, writer: type[DotWriter] | None = None) -> Loops:
    """The function that a plan stands for, and how it wants the weights; `writer` instead of `DotWriter` itself."""
    packed = plan.packed()
    func = sch.mod["main"]
    position = position_of(kernel, func)
    code = Code()
    (writer or DotWriter)(code, plan, rows_of(code, kernel, packed), packed).write()
    return Loops(rewritten(func, {position: packed}, code, aliased=True), {position: plan.packing}, tiles=plan.tiles)


@dataclass(frozen=True)
class Band:
    """Rows of the output that are computed together, and where their activations were copied to."""

    image: Offset
    first: Offset
    rows: int
    copy: tirx.Buffer | None


@dataclass(frozen=True)
class DotWriter:
    """Writes one kernel: bands of rows, in each panels of channels, in these rows, in these tiles."""

    code: Code
    plan: DotPlan
    rows: Rows
    packed: tirx.Buffer

    def write(self) -> None:
        """The whole function."""
        code, plan, band = self.code, self.plan, self.plan.band
        images, rows, _ = plan.kernel.extents
        by_band = plan.shared and rows > band
        by_image = plan.shared and not by_band and images > 1
        with code.loop("b", images, by_image) as b, code.loop("band", rows // band, by_band) as at:
            first = at * band
            part = Band(b, first, band, self._copy(b, first, band) if plan.copied else None)
            self._panels(part, parallel=plan.shared and not by_band and images == 1)

    def _copy(self, image: Offset, first: Offset, band: int) -> tirx.Buffer:
        """The rows that one band reads, as this kernel wants them."""
        code, plan, kernel = self.code, self.plan, self.plan.kernel
        source, lanes = self.rows.of(kernel.x.buffer), plan.machine.lanes(1)
        flip = plan.instruction.offset != 0
        scratch = code.array("rows", plan.scratch_bytes(band), "int8", "global")
        if plan.by_image:
            image_row = image * int(plan.border.image.shape[1])
            start, count = first * plan.row_step, plan.image_rows(band)
            copy_image_rows(code, scratch, source, plan.border, image_row, start, count, lanes, flip)
            return scratch
        start = offset_of(kernel.x, (image, first, 0), 0)
        counts, steps = (band, kernel.extents[2]), kernel.x.rows[1:]
        copy_pixels(code, scratch, source, start, counts, steps, kernel.depth, plan.pixel_bytes, lanes, flip)
        return scratch

    def _panels(self, band: Band, parallel: bool) -> None:
        columns, channels = self.plan.tile.columns, self.plan.kernel.channels
        whole, rest = divmod(channels, columns)
        if whole:
            with self.code.loop("o", whole, parallel) as panel:
                self._rows(band, panel, columns)
        if rest:
            self._rows(band, whole, rest)

    def _rows(self, band: Band, panel: Offset, channels: int) -> None:
        code, plan = self.code, self.plan
        row = plan.kernel.extents[2]
        size = plan.panel_bytes
        weights = code.view("w", self.rows.of(self.packed), panel * size, size)
        whole, rest = divmod(row, plan.tile.pixels)
        with code.loop("y", band.rows) as y:
            if whole:
                with code.loop("z", whole) as z:
                    self._tile(band, y, z * plan.tile.pixels, plan.tile.pixels, weights, panel, channels)
            if rest:
                self._tile(band, y, row - rest, rest, weights, panel, channels)

    def _tile(
        self, band: Band, y: Offset, z: Offset, pixels: int, weights: tirx.Buffer, panel: Offset, channels: int
    ) -> None:
        plan, x = self.plan, self.plan.kernel.x
        pixel = (band.image, band.first + y, z)
        if band.copy is None:
            source, start, step = self.rows.of(x.buffer), offset_of(x, pixel, 0), x.rows[2]
        elif plan.by_image:
            source, start, step = band.copy, y * x.rows[1] + z * x.rows[2], x.rows[2]
        else:
            step = plan.pixel_bytes
            source, start = band.copy, (y * plan.kernel.extents[2] + z) * step
        self.sums(TilePlace(source, start, step, weights, pixel, panel * plan.tile.columns), pixels, channels)

    def sums(self, place: TilePlace, pixels: int, channels: int) -> None:
        """One tile: its sums and what becomes of them."""
        TileWriter(self.code, self.plan, self.rows, pixels, channels).write(place)
