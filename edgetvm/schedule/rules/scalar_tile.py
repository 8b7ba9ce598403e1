"""int8 convolution and matrix product one product at a time, on microcontrollers without more than multiply-add.

A tile of sums stays in registers until the epilogue has used it. Activations are read where they lie, or from a copy of
a few rows with their border; weights follow one another in the order in which a tile multiplies them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.byte_constants import byte_constants
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Place, Rows, rows_of
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.dot_plan import fold_rows
from edgetvm.schedule.rules.helium_window import runs_of_window
from edgetvm.schedule.rules.neon_strip import Strip, strip_of
from edgetvm.schedule.rules.packed_weights import packed_weights, position_of, rewritten
from edgetvm.schedule.rules.scalar_plan import scalar_tiles, unrolled_steps
from edgetvm.schedule.rules.scalar_sums import Sums
from edgetvm.schedule.rules.word_epilogue import has_word_epilogue
from edgetvm.schedule.rules.write_code import Code, Offset, number
from edgetvm.schedule.types import Answer, Constants, Loops, TileSize, pick


def scalar_tile(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of one such kernel; None where the machine or the kernel is another."""
    kernel = dot_kernel(sch, list(constants)) if machine.plain else None
    if kernel is None or not can_lift(kernel.value):
        return None
    tiles = scalar_tiles(kernel, machine)
    tile = pick(tiles, machine.tile)
    if kernel.border is None and kernel.taps == (1, 1):
        kernel = fold_rows(kernel, tile.pixels)
    words = has_word_epilogue(sch, kernel, constants)
    func = sch.mod["main"]
    position = position_of(kernel, func)
    kernel, narrowed, as_bytes = byte_constants(kernel, func.params, constants)
    packing = ColumnPanels(tile.columns)
    packed = packed_weights(kernel, packing)
    code = Code()
    rows, strip = rows_of(code, kernel, packed), strip_of(kernel, machine, odd=False)
    ScalarWriter(kernel, machine, code, rows, strip, tile, rows.of(packed), words).write()
    written = rewritten(func, {**narrowed, position: packed}, code, aliased=True)
    return Loops(written, {**as_bytes, position: packing}, tiles=tiles)


@dataclass(frozen=True)
class ColumnPanels:
    """Weights ``[..., O]`` as one row: for each `columns` channels, the last perhaps fewer, ``[..., columns]``."""

    columns: int

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        return f"columns{self.columns}"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        flat = data.reshape(-1, data.shape[-1])
        firsts = range(0, data.shape[-1], self.columns)
        return np.concatenate([flat[:, first : first + self.columns].ravel() for first in firsts])


@dataclass(frozen=True)
class ScalarWriter:
    """Writes the loops: strips of rows, panels of channels, rows, pixels. `words` as for `Lift`."""

    kernel: DotKernel
    machine: Machine
    code: Code
    rows: Rows
    strip: Strip
    tile: TileSize
    weights: tirx.Buffer
    words: bool

    def write(self) -> None:
        """All of it."""
        code, kernel = self.code, self.kernel
        for b, y0, height, x, at in self.strip.walk(code, self.rows.of(kernel.x.buffer)):
            for panel, columns in pieces(code, "o", kernel.channels, self.tile.columns):
                with code.loop("y", height) as y:
                    for tile, pixels in pieces(code, "z", kernel.extents[2], self.tile.pixels):
                        z = tile * self.tile.pixels
                        origin = at + y * kernel.x.rows[1] + z * kernel.x.rows[2]
                        self._tile(x, origin, (b, y0 + y, z), pixels, panel * self.tile.columns, columns)

    def _tile(self, x: tirx.Buffer, origin: Offset, place: Place, pixels: int, channel: Offset, columns: int) -> None:
        """Some pixels from `place` on, whose windows begin at `origin`, and some channels."""
        code, kernel = self.code, self.kernel
        epilogue = ChannelEpilogue(code, kernel, self.rows, (1,), None, {}, words=self.words)
        biased = epilogue.bias is not None
        starts = epilogue.load_bias(channel, columns, 1) if biased else [number(0)] * columns
        sums = Sums(code, pixels, columns, code.array("sums", pixels * columns, "int32", "local"))
        sums.start(starts)
        self._products(sums, x, origin, channel)
        b, y, z = place
        for p in range(pixels):
            epilogue.write(sums.of_pixel(p), (b, y, z + p), channel, columns, biased)

    def _products(self, sums: Sums, x: tirx.Buffer, origin: Offset, channel: Offset) -> None:
        code, runs = self.code, runs_of_window(self.kernel)
        steps = unrolled_steps(runs, sums.pixels * sums.columns, self.machine)
        with code.loops("k", (runs.rows, runs.columns, runs.length // steps)) as (i, j, k):
            xp = code.view("xp", x, origin + i * runs.steps[0] + j * runs.steps[1] + k * steps, 1)
            done = (i * runs.columns + j) * runs.length + k * steps
            first = channel * (runs.count * runs.length) + done * sums.columns
            wp = code.view("wp", self.weights, first, steps * sums.columns)
            for step in range(steps):
                sums.add(xp, step, self.kernel.x.rows[2], wp, step * sums.columns)


def pieces(code: Code, name: str, extent: int, size: int) -> Iterator[tuple[Offset, int]]:
    """`extent` in pieces of `size` and a last one: the number of each and its size."""
    whole, rest = divmod(extent, size)
    if whole:
        with code.loop(name, whole) as piece:
            yield piece, size
    if rest:
        yield whole, rest
