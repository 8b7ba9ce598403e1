"""The loops of a 3x3 convolution by Winograd's tiles on vectors.

Rows of tiles go in bands. Of a band the tiles are transformed, then for every panel of output channels all positions
are multiplied and the sums transformed back. What lies between stays in a cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from tvm import tirx

from edgetvm.schedule.rules.channel_epilogue import Rows, rows_of
from edgetvm.schedule.rules.packed_weights import rewritten
from edgetvm.schedule.rules.winograd_block import Block
from edgetvm.schedule.rules.winograd_cells import ChannelCells, channel_pieces
from edgetvm.schedule.rules.winograd_code import where
from edgetvm.schedule.rules.winograd_input import InputWriter, TilePlace
from edgetvm.schedule.rules.winograd_output import OutputWriter
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.write_code import Code, Offset, number, store
from edgetvm.schedule.types import Loops, Tiles

Place: TypeAlias = tuple[Offset, Offset, Offset]  # the image, the band, the span


def write_loops(func: tirx.PrimFunc, position: int, plan: WinogradPlan, tiles: Tiles) -> Loops:
    """The function that a plan stands for, chosen from `tiles`; `position` is that of the weights."""
    packed = plan.packed()
    code = Code()
    WinogradWriter(code, plan, rows_of(code, plan.kernel, packed), packed).write()
    return Loops(rewritten(func, {position: packed}, code), {position: plan.packing}, tiles=tiles)


@dataclass(frozen=True)
class WinogradWriter:
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
        strip = self.code.array("strip", self.plan.strip_elements, self.plan.numbers.element, "global")
        self._input().clear(strip)
        return strip

    def _input(self) -> InputWriter:
        cells = ChannelCells(self.code, self.plan, self.rows.of(self.plan.kernel.x.buffer))
        return InputWriter(self.code, self.plan, cells)

    def _tiles(self) -> tirx.Buffer:
        size = self.plan.form.products * self.plan.tile_pitch
        return self.code.array("tiles", size, self.plan.numbers.element, "global")

    def _sums(self) -> tirx.Buffer:
        size = self.plan.form.products * self.plan.sum_pitch
        return self.code.array("sums", size, self.plan.numbers.total, "global")

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
        products = Block(code, plan)
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
