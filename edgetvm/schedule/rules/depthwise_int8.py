"""int8 depthwise convolution: channels along the vector, rows of pixels, no test of borders in the loops."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Rows, rows_of
from edgetvm.schedule.rules.depthwise_products import BLOCK, DepthwiseProducts, depthwise_products
from edgetvm.schedule.rules.depthwise_seen import Seen
from edgetvm.schedule.rules.depthwise_window import Lines, Run, lines_of, runs_of
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.neon_strip import Strip, strip_of
from edgetvm.schedule.rules.write_code import Code, Offset, constant, piece
from edgetvm.schedule.types import Answer, Constants, Loops


def depthwise_int8(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of a depthwise convolution of int8 by constant int8 weights."""
    kernel = dot_kernel(sch, list(constants), depthwise=True)
    if kernel is None or not can_lift(kernel.value):
        return None
    func = sch.mod["main"]
    position = next(i for i, param in enumerate(func.params) if param.same_as(kernel.w))
    products = depthwise_products(machine, constants[position])
    if products is None:
        return None
    shape = products.packing.pack(np.zeros([int(size) for size in kernel.w.shape], np.int8)).shape
    packed = tirx.decl_buffer(shape, "int8", name=kernel.w.name)
    code = Code()
    rows = rows_of(code, kernel, packed)
    neon = Neon(machine.neon) if machine.neon else None
    widths = (16, 8, 4, 1) if neon else tuple(w for w in (16, 8, 4, 1) if w <= products.lanes)
    epilogue = ChannelEpilogue(code, kernel, rows, widths, neon)
    tiles = tiles_of(kernel, products.operations(kernel.taps), machine)
    DepthwiseWriter(kernel, code, rows, epilogue, products, tiles, packed).write()
    params = [packed if i == position else param for i, param in enumerate(func.params)]
    written = tirx.PrimFunc(params, code.statement(), func.ret_type, func.attrs)
    return Loops(written, {position: products.packing})


@dataclass(frozen=True)
class Tiles:
    """Strips of rows, copied with their border or not, and in them `pixels` of a row at a time."""

    strip: Strip
    lines: Lines
    pixels: int

    def rows(self, height: int) -> list[Run]:
        """Rows of a strip, which begin with the same taps."""
        return runs_of(self.lines.rows, height, 1)

    @property
    def columns(self) -> list[Run]:
        """Pixels of a row."""
        return runs_of(self.lines.columns, self.strip.kernel.extents[2], self.pixels)


def tiles_of(kernel: DotKernel, operations: int, machine: Machine) -> Tiles:
    """Without a copy, unless borders make too many bodies. A pixel takes `operations`."""
    pixels = pixels_at_a_time(kernel.extents[2], operations, machine)
    whole = Tiles(Strip(kernel, kernel.extents[1], copied=False), lines_of(kernel, False), pixels)
    written = sum(run.count for run in whole.columns) * len(whole.rows(kernel.extents[1])) * operations
    if kernel.border is None or written <= machine.recipe.peeled_operations:
        return whole
    return Tiles(strip_of(kernel, machine, odd=False), lines_of(kernel, True), pixels)


def pixels_at_a_time(width: int, operations: int, machine: Machine) -> int:
    """Pixels of a row that one body computes, which share loads: a divisor of the row if there is one."""
    most = max(machine.recipe.unrolled_operations // (4 * operations), 1)
    if machine.vector_registers < 2 * operations:  # activations to share would push the weights out
        return 1
    fitting = range(1, min(most, width) + 1)
    return max(fitting, key=lambda count: (min(count, 2), width % count == 0, count))


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
        code, kernel, strip = self.code, self.kernel, self.tiles.strip
        whole, rest = divmod(kernel.channels, BLOCK)
        with code.loop("b", kernel.extents[0]) as b:
            for count, height, first in strip.pieces:
                with code.loop("strip", count) as number:
                    y0 = first + number * strip.height
                    x, at = self.rows.of(kernel.x.buffer), self.tiles.lines.base + b * self.tiles.lines.image
                    if strip.copied:
                        x, at = strip.write(code, x, b, y0, height)
                    if whole:
                        with code.loop("block", whole) as block:
                            self._rows(x, at, (b, y0), height, block, 0, BLOCK)
                    for start in range(0, rest, self.products.least):
                        self._rows(x, at, (b, y0), height, whole, start, min(rest - start, self.products.least))

    def _rows(
        self,
        x: tirx.Buffer,
        at: Offset,
        origin: tuple[Offset, Offset],
        height: int,
        block: Offset,
        start: int,
        outputs: int,
    ) -> None:
        code, tiles = self.code, self.tiles
        rows, columns = tiles.lines.rows, tiles.lines.columns
        for run in tiles.rows(height):
            with code.loop("y", run.repeats) as y:
                line = run.first + y
                row = at + (rows.first + line * rows.step) * rows.pitch + block * BLOCK + start
                for pixels in tiles.columns:
                    with code.loop("z", pixels.repeats) as z:
                        pixel = pixels.first + z * pixels.count
                        first = row + (columns.first + pixel * columns.step) * columns.pitch
                        self._pixels(x, first, (origin[0], origin[1] + line, pixel), run, pixels, block, start, outputs)

    def _pixels(
        self,
        x: tirx.Buffer,
        origin: Offset,
        place: tuple[Offset, Offset, Offset],
        line: Run,
        pixels: Run,
        block: Offset,
        start: int,
        outputs: int,
    ) -> None:
        """`origin` is where the first pixel's window begins, perhaps outside of the image."""
        code, products, epilogue = self.code, self.products, self.epilogue
        rows, columns = self.tiles.lines.rows, self.tiles.lines.columns
        wide = BLOCK if outputs == BLOCK else products.least
        inside = {(i, j): i * rows.pitch + j * columns.pitch for i in line.seen for j in pixels.seen}
        nearest = min(inside.values(), default=0)
        xp = code.view("xp", x, origin + nearest, max(inside.values(), default=0) - nearest + wide)
        seen = Seen(
            code,
            xp,
            {at: offset - nearest for at, offset in inside.items()},
            tuple(i * rows.apart for i in range(rows.taps)),
            tuple(
                tuple(p * columns.step + j * columns.apart for j in range(columns.taps)) for p in range(pixels.count)
            ),
            outputs,
            wide,
            self.kernel.border.fill if self.kernel.border else 0,
        )
        size = math.prod(int(extent) for extent in self.packed.shape[1:])
        wp = code.view("wp", self.rows.of(self.packed), block * size + start, size - start)
        channel = block * BLOCK + start
        vectors = wide // products.lanes
        biased = outputs == wide and epilogue.bias is not None
        zero = constant(0, "int32", products.lanes)
        initial = epilogue.load_bias(channel, vectors, products.lanes) if biased else [zero] * vectors
        extra = products.start(code, wp)
        if extra:
            initial = [code.let("s", a + b) for a, b in zip(initial, extra, strict=True)]
        starts = [list(initial) for _ in range(pixels.count)]
        products.write(code, seen, wp, starts)
        for p, sums in enumerate(starts):

            def chosen(first: int, lanes: int, sums: list[tirx.Expr] = sums) -> tirx.Expr:
                return piece(sums, first, lanes)

            epilogue.write(chosen, (place[0], place[1], place[2] + p), channel, outputs, biased)
