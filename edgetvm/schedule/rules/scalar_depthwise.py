"""int8 depthwise convolution one product at a time, on microcontrollers without more than multiply-add.

Neighbouring pixels of one channel have their sums in registers: what is loaded for one serves the next ones too, and
the weights of a row of taps all of them. A border is read from a copy of a few rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.byte_constants import byte_constants
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Place, Rows, rows_of
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.neon_strip import Strip, strip_of
from edgetvm.schedule.rules.packed_weights import packed_weights, position_of, rewritten
from edgetvm.schedule.rules.scalar_plan import depthwise_tiles, seen_by
from edgetvm.schedule.rules.scalar_sums import Sums
from edgetvm.schedule.rules.scalar_tile import ColumnPanels, pieces
from edgetvm.schedule.rules.word_epilogue import has_word_epilogue
from edgetvm.schedule.rules.write_code import Code, Offset, load, number
from edgetvm.schedule.types import Answer, Constants, Loops, pick


def scalar_depthwise(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of a depthwise convolution of int8 by constant int8 weights; None on other machines."""
    kernel = dot_kernel(sch, list(constants), depthwise=True) if machine.plain else None
    if kernel is None or not can_lift(kernel.value):
        return None
    tiles = depthwise_tiles(kernel, machine)
    pixels = pick(tiles, machine.tile).pixels
    unrolled = pixels * kernel.taps[0] * kernel.taps[1] <= machine.recipe.scalar_unrolled
    words = has_word_epilogue(sch, kernel, constants)
    func = sch.mod["main"]
    position = position_of(kernel, func)
    kernel, narrowed, as_bytes = byte_constants(kernel, func.params, constants)
    packing = ColumnPanels(1)
    packed = packed_weights(kernel, packing)
    code = Code()
    rows, strip = rows_of(code, kernel, packed), strip_of(kernel, machine, odd=False)
    DepthwiseWriter(kernel, code, rows, strip, pixels, unrolled, rows.of(packed), words).write()
    written = rewritten(func, {**narrowed, position: packed}, code, aliased=True)
    return Loops(written, {**as_bytes, position: packing}, tiles=tiles)


@dataclass(frozen=True)
class DepthwiseWriter:
    """Writes the loops: strips of rows, channels, rows, `pixels` at a time. `words` as for `Lift`.

    With `unrolled` there is no loop over rows of taps.
    """

    kernel: DotKernel
    code: Code
    rows: Rows
    strip: Strip
    pixels: int
    unrolled: bool
    weights: tirx.Buffer
    words: bool

    def write(self) -> None:
        """All of it."""
        code, kernel = self.code, self.kernel
        for b, y0, height, x, at in self.strip.walk(code, self.rows.of(kernel.x.buffer)):
            with code.loop("c", kernel.channels) as c, code.loop("y", height) as y:
                for tile, pixels in pieces(code, "z", kernel.extents[2], self.pixels):
                    z = tile * self.pixels
                    origin = at + y * kernel.x.rows[1] + z * kernel.x.rows[2] + c
                    self._tile(x, origin, (b, y0 + y, z), c, pixels)

    def _tile(self, x: tirx.Buffer, origin: Offset, place: Place, c: Offset, pixels: int) -> None:
        """Some pixels from `place` on, whose windows begin at `origin`, of one channel."""
        code, kernel, (height, width) = self.code, self.kernel, self.kernel.taps
        epilogue = ChannelEpilogue(code, kernel, self.rows, (1,), None, {}, words=self.words)
        biased = epilogue.bias is not None
        sums = Sums(code, pixels, 1, code.array("sums", pixels, "int32", "local"))
        sums.start(epilogue.load_bias(c, 1, 1) if biased else [number(0)])
        weights = code.view("wp", self.weights, c * (height * width), height * width)
        if self.unrolled:
            xp = code.view("xp", x, origin, 1)
            for i in range(height):
                self._row(sums, xp, i * kernel.steps[0], weights, i * width)
        else:
            with code.loop("i", height) as i:
                xp = code.view("xp", x, origin + i * kernel.steps[0], 1)
                self._row(sums, xp, 0, weights, i * width)
        b, y, z = place
        for p in range(pixels):
            epilogue.write(sums.of_pixel(p), (b, y, z + p), c, 1, biased)

    def _row(self, sums: Sums, x: tirx.Buffer, start: int, weights: tirx.Buffer, first: Offset) -> None:
        """The products of one row of taps: from element `start` on by the weights from `first` on."""
        code, kernel = self.code, self.kernel
        kept = [code.let("w", tirx.Cast("int32", load(weights, first + j))) for j in range(kernel.taps[1])]
        for place, users in seen_by(kernel, sums.pixels).items():
            activation = code.let("a", tirx.Cast("int32", load(x, start + place)))
            for p, j in users:
                sums.multiply(p, 0, activation, kept[j])
            sums.wait(users[-1][0])
