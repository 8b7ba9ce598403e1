"""int8 depthwise convolution: channels along the vector, rows of pixels, no test of borders in the loops."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Rows, rows_of
from edgetvm.schedule.rules.depthwise_products import DepthwiseProducts, depthwise_products
from edgetvm.schedule.rules.depthwise_seen import BLOCK, Seen
from edgetvm.schedule.rules.depthwise_tiles import Tiles, tiles_of
from edgetvm.schedule.rules.depthwise_window import Run
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.packed_weights import packed_weights, position_of, rewritten
from edgetvm.schedule.rules.write_code import Code, Offset, constant, piece
from edgetvm.schedule.types import Answer, Constants, Loops


def depthwise_int8(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of a depthwise convolution of int8 by constant int8 weights."""
    kernel = dot_kernel(sch, list(constants), depthwise=True)
    if kernel is None or not can_lift(kernel.value):
        return None
    func = sch.mod["main"]
    position = position_of(kernel, func)
    products = depthwise_products(machine, constants[position])
    if products is None:
        return None
    packed = packed_weights(kernel, products.packing)
    code = Code()
    rows = rows_of(code, kernel, packed)
    neon = Neon(machine.neon) if machine.neon else None
    widths = (16, 8, 4, 1) if neon else tuple(w for w in (16, 8, 4, 1) if w <= products.lanes(BLOCK))
    epilogue = ChannelEpilogue(code, kernel, rows, widths, neon)
    tiles = tiles_of(kernel, products.operations(kernel.taps), machine)
    DepthwiseWriter(kernel, code, rows, epilogue, products, tiles, packed).write()
    return Loops(rewritten(func, {position: packed}, code), {position: products.packing})


@dataclass(frozen=True)
class Channels:
    """`count` channels from `start` on of a block."""

    block: Offset
    start: int
    count: int

    @property
    def first(self) -> Offset:
        return self.block * BLOCK + self.start


@dataclass(frozen=True)
class DepthwiseWriter:
    """Writes the loops: strips of rows, blocks of channels, rows, pixels."""

    kernel: DotKernel
    code: Code
    rows: Rows
    epilogue: ChannelEpilogue
    products: DepthwiseProducts
    tiles: Tiles
    packed: tirx.Buffer

    def write(self) -> None:
        """All of it."""
        code, kernel, tiles = self.code, self.kernel, self.tiles
        with code.loop("b", kernel.extents[0]) as b:
            for count, height, first in tiles.strip.pieces:
                with code.loop("strip", count) as number:
                    y0 = first + number * tiles.strip.height
                    x, at = self.rows.of(kernel.x.buffer), tiles.lines.base + b * tiles.lines.image
                    if tiles.strip.copied:
                        x, at = tiles.strip.write(code, x, b, y0, height)
                    if tiles.by_rows:
                        for run in tiles.rows(height):
                            with code.loop("y", run.repeats, tiles.shared) as y:
                                for channels in self._channels():
                                    self._row(x, at, (b, y0, run.first + y), run, channels)
                        continue
                    for channels in self._channels(tiles.shared):
                        for run in tiles.rows(height):
                            with code.loop("y", run.repeats) as y:
                                self._row(x, at, (b, y0, run.first + y), run, channels)

    def _channels(self, shared: bool = False) -> Iterator[Channels]:
        """Loops over blocks of channels and over parts of what is left."""
        whole, rest = divmod(self.kernel.channels, BLOCK)
        if whole:
            with self.code.loop("block", whole, shared) as block:
                yield Channels(block, 0, BLOCK)
        least = self.products.least
        for start in range(0, rest, least):
            yield Channels(whole, start, min(rest - start, least))

    def _row(
        self, x: tirx.Buffer, at: Offset, place: tuple[Offset, Offset, Offset], run: Run, channels: Channels
    ) -> None:
        """One row of some channels; `place` is its image, the first row of its strip and its number there."""
        code, products, epilogue = self.code, self.products, self.epilogue
        rows, columns = self.tiles.lines.rows, self.tiles.lines.columns
        wide = BLOCK if channels.count == BLOCK else products.least
        size = math.prod(int(extent) for extent in self.packed.shape[1:])
        start = channels.start * products.channel_bytes
        wp = code.view("wp", self.rows.of(self.packed), channels.block * size + start, size - start)
        weights = products.weights(code, wp, self.kernel.taps, wide)
        biased = channels.count == wide and epilogue.bias is not None
        lanes = products.lanes(wide)
        bias: list[tirx.Expr] = [constant(0, "int32", lanes)] * (wide // lanes)
        if biased:
            bias = epilogue.load_bias(channels.first, wide // lanes, lanes)
        initial = products.start(code, weights, bias)
        first = at + (rows.first + place[2] * rows.step) * rows.pitch + channels.first
        for pixels in self.tiles.columns:
            with code.loop("z", pixels.repeats) as z:
                pixel = pixels.first + z * pixels.count
                origin = first + (columns.first + pixel * columns.step) * columns.pitch
                sums = [list(initial) for _ in range(pixels.count)]
                products.write(code, self._seen(x, origin, run, pixels, channels.count, wide), weights, sums)
                for p, vectors in enumerate(sums):

                    def chosen(first: int, lanes: int, vectors: list[tirx.Expr] = vectors) -> tirx.Expr:
                        return piece(vectors, first, lanes)

                    there = (place[0], place[1] + place[2], pixel + p)
                    epilogue.write(chosen, there, channels.first, channels.count, biased)

    def _seen(self, x: tirx.Buffer, origin: Offset, line: Run, pixels: Run, count: int, wide: int) -> Seen:
        """What some pixels see. `origin` is where the first one's window begins, perhaps outside of the image."""
        rows, columns = self.tiles.lines.rows, self.tiles.lines.columns
        inside = {(i, j): i * rows.pitch + j * columns.pitch for i in line.seen for j in pixels.seen}
        nearest = min(inside.values(), default=0)
        return Seen(
            self.code,
            self.code.view("xp", x, origin + nearest, max(inside.values(), default=0) - nearest + wide),
            {at: offset - nearest for at, offset in inside.items()},
            tuple(i * rows.apart for i in range(rows.taps)),
            tuple(
                tuple(p * columns.step + j * columns.apart for j in range(columns.taps)) for p in range(pixels.count)
            ),
            count,
            wide,
            self.kernel.border.fill if self.kernel.border else 0,
        )
