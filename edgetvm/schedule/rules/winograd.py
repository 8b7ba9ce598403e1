"""Float 3x3 convolution by Winograd's tiles: fewer products for larger weights and two transforms.

Rows of tiles go in bands. Of a band the tiles are transformed, then for every panel of output channels all positions
are multiplied and the sums transformed back. What lies between stays in a cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import Rows, rows_of
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel, float_factors
from edgetvm.schedule.rules.winograd_code import where
from edgetvm.schedule.rules.winograd_input import InputWriter, channel_pieces
from edgetvm.schedule.rules.winograd_output import OutputWriter
from edgetvm.schedule.rules.winograd_plan import WinogradPlan, choose_plan
from edgetvm.schedule.rules.winograd_products import ProductWriter
from edgetvm.schedule.rules.winograd_transform import TAPS
from edgetvm.schedule.rules.write_code import Code, Offset, number
from edgetvm.schedule.types import Constants, Loops


def winograd(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of one such convolution; None where it is none, or where the direct one is as fast."""
    if not machine.vector_bytes or not machine.recipe.winograd_side:
        return None
    kernel = dot_kernel(sch, tuple(constants), factors=float_factors)
    if kernel is None or not is_plain_3x3(kernel) or not can_lift(kernel.value):
        return None
    plan = choose_plan(kernel, machine)
    if plan is None:
        return None
    packed = plan.packed()
    old = list(sch.mod["main"].params)
    code = Code()
    _Writer(code, plan, rows_of(code, kernel, packed), packed).write()
    func = tirx.PrimFunc([packed if param.same_as(kernel.w) else param for param in old], code.statement())
    position = next(i for i, param in enumerate(old) if param.same_as(kernel.w))
    return Loops(func.with_attr("global_symbol", "main"), {position: plan.packing})


def is_plain_3x3(kernel: DotKernel) -> bool:
    """Whether it is a convolution by 3x3 taps, of stride and dilation 1, with nothing or zeros around the image."""
    if kernel.taps != (TAPS, TAPS) or len(kernel.w.shape) != 4 or len(kernel.out.buffer.shape) != 4:
        return False
    if kernel.border is not None and kernel.border.fill != 0:
        return False
    padded = kernel.x.buffer if kernel.border is None else kernel.border.padded
    batch, height, width, depth = (int(size) for size in padded.shape)
    pixel = (height * width * depth, width * depth, depth)
    steps = tuple(step if extent > 1 else 0 for step, extent in zip(pixel, kernel.extents, strict=True))
    sizes = (batch, height - TAPS + 1, width - TAPS + 1)
    return kernel.extents == sizes and kernel.x.rows == steps and kernel.steps == pixel[1:] and kernel.x.base == 0


@dataclass(frozen=True)
class _Writer:
    """Writes one kernel."""

    code: Code
    plan: WinogradPlan
    rows: Rows
    packed: tirx.Buffer

    def write(self) -> None:
        """The whole function."""
        code, plan, shared = self.code, self.plan, self.plan.shared
        images = plan.kernel.extents[0]
        if shared == "bands":
            by_band = plan.bands > 1
            with code.loop("b", images, not by_band) as b, code.loop("band", plan.bands, by_band) as band:
                strip, tiles, sums = self._strip(), self._tiles(), self._sums()
                self._transform(strip, tiles, b, band)
                self._panels(tiles, sums, b, band)
            return
        tiles = self._tiles()
        both = None if shared else (self._strip(), self._sums())
        with code.loop("b", images) as b, code.loop("band", plan.bands) as band:
            self._transform(both[0] if both else None, tiles, b, band)
            self._panels(tiles, both[1] if both else None, b, band)

    def _strip(self) -> tirx.Buffer:
        strip = self.code.array("strip", self.plan.strip_floats, "float32", "global")
        InputWriter(self.code, self.plan, self.rows.of(self.plan.kernel.x.buffer)).clear(strip)
        return strip

    def _tiles(self) -> tirx.Buffer:
        return self.code.array("tiles", self.plan.form.products * self.plan.tile_pitch, "float32", "global")

    def _sums(self) -> tirx.Buffer:
        return self.code.array("sums", self.plan.form.products * self.plan.sum_pitch, "float32", "global")

    def _transform(self, strip: tirx.Buffer | None, tiles: tirx.Buffer, image: Offset, band: Offset) -> None:
        """The tiles of a band; without a strip threads share the channels."""
        code, plan = self.code, self.plan
        whole = plan.tile_rows % plan.band == 0
        writer = InputWriter(code, plan, self.rows.of(plan.kernel.x.buffer))
        for channels in channel_pieces(plan):
            with code.loop("c", channels.count, strip is None) as c:
                own = self._strip() if strip is None else strip
                with code.loop("r", plan.band) as r:
                    channel = channels.first + c * channels.lanes
                    row = band * plan.band + r
                    with where(code, number(row) < number(plan.tile_rows), always=whole):
                        writer.write(own, tiles, image, row, r, channel, channels.lanes)

    def _panels(self, tiles: tirx.Buffer, sums: tirx.Buffer | None, image: Offset, band: Offset) -> None:
        """Products and outputs of a band; without a place for sums threads share the panels."""
        code, plan = self.code, self.plan
        with code.loop("o", plan.panels, sums is None) as panel:
            own = self._sums() if sums is None else sums
            self._products(tiles, own, band, panel)
            self._outputs(own, image, band, panel)

    def _products(self, tiles: tirx.Buffer, sums: tirx.Buffer, band: Offset, panel: Offset) -> None:
        code, plan, form = self.code, self.plan, self.plan.form
        depth, whole = plan.kernel.depth, plan.tile_rows % plan.band == 0
        products = ProductWriter(code, plan)
        with code.loop("p", form.products) as p:
            size = depth * plan.columns
            weights = code.view("w", self.rows.of(self.packed), (panel * form.products + p) * size, size)
            with code.loop("block", plan.blocks) as block:
                there = number(band * plan.tiles + block * plan.rows) < number(plan.tile_rows * plan.tile_columns)
                with where(code, there, always=whole):
                    first = block * plan.rows
                    if plan.tiles % plan.rows:
                        first = tirx.min(number(first), number(plan.tiles - plan.rows))
                    at = p * plan.tile_pitch + first * depth
                    products.write(tiles, at, weights, sums, p * plan.sum_pitch + first * plan.columns)

    def _outputs(self, sums: tirx.Buffer, image: Offset, band: Offset, panel: Offset) -> None:
        code, plan, form = self.code, self.plan, self.plan.form
        outputs, whole = OutputWriter(code, plan, self.rows), plan.tile_rows % plan.band == 0
        with code.loop("r", plan.band) as r:
            row = band * plan.band + r
            there = where(code, number(row) < number(plan.tile_rows), always=whole)
            with there, code.loop("t", plan.tile_columns) as t, code.loop("v", plan.vectors) as v:
                at = (r * plan.tile_columns + t) * plan.columns + v * plan.lanes
                place = (image, row * form.outputs, t * form.outputs)
                outputs.write(sums, at, place, panel * plan.columns + v * plan.lanes)
