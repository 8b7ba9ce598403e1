"""Float 3x3 convolution by Winograd's tiles: fewer products for larger weights and two transforms.

Rows of tiles go in bands. Of a band the tiles are transformed, then for every panel of output channels all positions
are multiplied and the sums transformed back. What lies between stays in a cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import Rows, rows_of
from edgetvm.schedule.rules.dot_kernel import dot_kernel, float_factors
from edgetvm.schedule.rules.packed_weights import position_of, rewritten
from edgetvm.schedule.rules.winograd_block import Block
from edgetvm.schedule.rules.winograd_cells import FloatCells, channel_pieces
from edgetvm.schedule.rules.winograd_choice import choose_plan
from edgetvm.schedule.rules.winograd_code import where
from edgetvm.schedule.rules.winograd_grid import is_plain_3x3
from edgetvm.schedule.rules.winograd_input import InputWriter, TilePlace
from edgetvm.schedule.rules.winograd_output import OutputWriter
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.write_code import Code, Offset, number, store
from edgetvm.schedule.types import Constants, Loops

Place: TypeAlias = tuple[Offset, Offset, Offset]  # the image, the band, the span


def winograd(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of one such convolution; None where it is none, or where the direct one is as fast."""
    if not machine.vector_bytes or not machine.recipe.winograd_side:
        return None
    kernel = dot_kernel(sch, tuple(constants), factors=float_factors)
    if kernel is None or not is_plain_3x3(kernel) or (kernel.border is not None and kernel.border.fill != 0):
        return None
    chosen = choose_plan(kernel, machine)
    if chosen is None:
        return None
    plan, tiles = chosen
    packed = plan.packed()
    func = sch.mod["main"]
    position = position_of(kernel, func)
    code = Code()
    _Writer(code, plan, rows_of(code, kernel, packed), packed).write()
    return Loops(rewritten(func, {position: packed}, code), {position: plan.packing}, tiles=tiles)


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
        by_band = shared == "bands" and plan.bands > 1
        apart = shared != "bands"
        tiles = self._tiles() if apart else None
        alone = (self._strip(), self._sums()) if shared is None else None
        with (
            code.loop("b", plan.kernel.extents[0], shared == "bands" and not by_band) as b,
            code.loop("band", plan.bands, by_band) as band,
        ):
            own = self._tiles() if tiles is None else tiles
            parts = (self._strip(), self._sums()) if shared == "bands" else alone
            with code.loop("span", plan.spans) as span:
                self._transform(parts[0] if parts else None, own, (b, band, span))
                self._panels(own, parts[1] if parts else None, (b, band, span))

    def _strip(self) -> tirx.Buffer:
        strip = self.code.array("strip", self.plan.strip_floats, "float32", "global")
        self._input().clear(strip)
        return strip

    def _input(self) -> InputWriter:
        cells = FloatCells(self.code, self.plan, self.rows.of(self.plan.kernel.x.buffer))
        return InputWriter(self.code, self.plan, cells)

    def _tiles(self) -> tirx.Buffer:
        return self.code.array("tiles", self.plan.form.products * self.plan.tile_pitch, "float32", "global")

    def _sums(self) -> tirx.Buffer:
        return self.code.array("sums", self.plan.form.products * self.plan.sum_pitch, "float32", "global")

    @contextmanager
    def _rows(self, band: Offset) -> Iterator[tuple[Offset, Offset]]:
        """The rows of tiles of a band: in the image, in the band."""
        plan = self.plan
        with self.code.loop("r", plan.band) as r:
            row = band * plan.band + r
            with where(self.code, number(row) < number(plan.tile_rows), always=plan.tile_rows % plan.band == 0):
                yield row, r

    def _transform(self, strip: tirx.Buffer | None, tiles: tirx.Buffer, at: Place) -> None:
        """Some tiles; without a strip threads share the channels."""
        image, band, span = at
        for channels in channel_pieces(self.plan):
            with self.code.loop("c", channels.count, strip is None) as c:
                own = self._strip() if strip is None else strip
                channel = channels.first + c * channels.lanes
                with self._rows(band) as (row, r):
                    self._input().write(own, tiles, TilePlace(image, row, r, span), channel, channels.lanes)

    def _panels(self, tiles: tirx.Buffer, sums: tirx.Buffer | None, at: Place) -> None:
        """Products and outputs; without a place for sums threads share the panels."""
        with self.code.loop("o", self.plan.panels, sums is None) as panel:
            own = self._sums() if sums is None else sums
            self._products(tiles, own, at[1], panel)
            self._outputs(own, at, panel)

    def _products(self, tiles: tirx.Buffer, sums: tirx.Buffer, band: Offset, panel: Offset) -> None:
        code, plan, form = self.code, self.plan, self.plan.form
        depth, whole = plan.kernel.depth, plan.tile_rows % plan.band == 0
        products = Block(code, plan.machine, plan.rows, plan.vectors, depth)
        with code.loop("p", form.products) as p:
            size = depth * plan.columns
            weights = code.view("w", self.rows.of(self.packed), (panel * form.products + p) * size, size)
            with code.loop("block", plan.blocks) as block:
                there = number(band * plan.tiles + block * plan.rows) < number(plan.tile_rows * plan.span)
                with where(code, there, always=whole):
                    first = block * plan.rows
                    if plan.tiles % plan.rows:
                        first = tirx.min(number(first), number(plan.tiles - plan.rows))
                    found = products.write(tiles, p * plan.tile_pitch + first * depth, weights)
                    for i, row in enumerate(found):
                        for v, value in enumerate(row):
                            at = p * plan.sum_pitch + (first + i) * plan.columns + v * plan.lanes
                            code.add(store(sums, at, value))

    def _outputs(self, sums: tirx.Buffer, at: Place, panel: Offset) -> None:
        code, plan, form = self.code, self.plan, self.plan.form
        image, band, span = at
        outputs, whole = OutputWriter(code, plan, self.rows), plan.tile_columns % plan.span == 0
        with self._rows(band) as (row, r), code.loop("t", plan.span) as t:
            column = span * plan.span + t
            there = where(code, number(column) < number(plan.tile_columns), always=whole)
            with there, code.loop("v", plan.vectors) as v:
                first = (r * plan.span + t) * plan.columns + v * plan.lanes
                place = (image, row * form.outputs, column * form.outputs)
                outputs.write(sums, first, place, panel * plan.columns + v * plan.lanes)
