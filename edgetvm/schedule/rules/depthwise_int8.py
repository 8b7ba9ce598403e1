"""int8 depthwise convolution: channels along the vector, rows of pixels, no test of borders in the loops."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Rows, rows_of
from edgetvm.schedule.rules.depthwise_products import BLOCK, NeonTaps, WordPairs, depthwise_products
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
    products = depthwise_products(kernel, machine, constants[position])
    if products is None:
        return None
    shape = products.packing.pack(np.zeros([int(size) for size in kernel.w.shape], np.int8)).shape
    packed = tirx.decl_buffer(shape, "int8", name=kernel.w.name)
    code = Code()
    rows = rows_of(code, kernel, packed)
    neon = Neon(machine.neon) if machine.neon else None
    widths = (16, 8, 4, 1) if neon else tuple(w for w in (16, 8, 4, 1) if w <= products.lanes)
    epilogue = ChannelEpilogue(code, kernel, rows, widths, neon)
    strip = strip_of(kernel, machine, kernel.channels % products.least != 0)
    pixels = pixels_at_a_time(kernel.extents[2], kernel.taps[0] * kernel.taps[1], machine)
    DepthwiseWriter(kernel, code, rows, epilogue, products, strip, pixels, packed).write()
    params = [packed if i == position else param for i, param in enumerate(func.params)]
    written = tirx.PrimFunc(params, code.statement(), func.ret_type, func.attrs)
    return Loops(written, {position: products.packing})


def pixels_at_a_time(width: int, taps: int, machine: Machine) -> int:
    """Pixels of a row that one body computes, which share loads: a divisor of the row if there is one."""
    most = max(machine.recipe.unrolled_operations // (4 * taps), 1)
    if machine.vector_registers < 2 * taps:  # activations to share would push the weights out
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
    products: NeonTaps | WordPairs
    strip: Strip
    pixels: int
    packed: tirx.Buffer

    def write(self) -> None:
        """All of it."""
        code, kernel = self.code, self.kernel
        whole, rest = divmod(kernel.channels, BLOCK)
        with code.loop("b", kernel.extents[0]) as b:
            for count, height, first in self.strip.pieces:
                with code.loop("strip", count) as number:
                    y0 = first + number * self.strip.height
                    x, at = self.strip.write(code, self.rows.of(kernel.x.buffer), b, y0, height)
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
        code = self.code
        width = self.kernel.extents[2]
        with code.loop("y", height) as y:
            row = at + y * self.kernel.x.rows[1] + block * BLOCK + start
            place = (origin[0], origin[1] + y)
            whole, rest = divmod(width, self.pixels)
            if whole:
                with code.loop("z", whole) as z:
                    self._pixels(x, row, (*place, z * self.pixels), self.pixels, block, start, outputs)
            if rest:
                self._pixels(x, row, (*place, whole * self.pixels), rest, block, start, outputs)

    def _pixels(
        self,
        x: tirx.Buffer,
        row: Offset,
        place: tuple[Offset, Offset, Offset],
        count: int,
        block: Offset,
        start: int,
        outputs: int,
    ) -> None:
        code, kernel, products = self.code, self.kernel, self.products
        wide = BLOCK if outputs == BLOCK else products.least
        (i, j), (step_i, step_j) = kernel.taps, kernel.steps
        step = kernel.x.rows[2]
        reach = (count - 1) * step + (i - 1) * step_i + (j - 1) * step_j + wide
        size = int(self.packed_size // self.packed.shape[0])
        xp = code.view("xp", x, row + place[2] * step, reach)
        wp = code.view("wp", self.rows.of(self.packed), block * size + start, size - start)
        channel = block * BLOCK + start
        vectors = wide // products.lanes
        biased = outputs == wide and self.epilogue.bias is not None
        zero = constant(0, "int32", products.lanes)
        starts = [
            self.epilogue.load_bias(channel, vectors, products.lanes) if biased else [zero] * vectors
            for _ in range(count)
        ]
        products.write(code, xp, wp, starts)
        for p, sums in enumerate(starts):

            def chosen(first: int, lanes: int, sums: list[tirx.Expr] = sums) -> tirx.Expr:
                return piece(sums, first, lanes)

            self.epilogue.write(chosen, (place[0], place[1], place[2] + p), channel, outputs, biased)

    @property
    def packed_size(self) -> int:
        return math.prod(int(extent) for extent in self.packed.shape)
