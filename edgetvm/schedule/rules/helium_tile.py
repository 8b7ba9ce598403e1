"""int8 sums of products by Helium: vmladava, which adds the products of 16 codes to a number in a register.

A tile of pixels x channels has its sums in registers and is requantized there, one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.byte_constants import byte_constants
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Place, Rows, constants_of, rows_of
from edgetvm.schedule.rules.dot_copy import copy_bytes
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.helium_epilogue import FourCodes, Lanes, makes_codes
from edgetvm.schedule.rules.helium_instructions import WORDS
from edgetvm.schedule.rules.helium_sums import HeliumSums, Weights
from edgetvm.schedule.rules.helium_window import WHOLE, ChunkPanels, Runs, runs_of_window
from edgetvm.schedule.rules.neon_strip import Strip, strip_of
from edgetvm.schedule.rules.nibbles import are_nibbles
from edgetvm.schedule.rules.packed_weights import packed_weights, position_of, rewritten
from edgetvm.schedule.rules.word_epilogue import has_word_epilogue
from edgetvm.schedule.rules.write_code import Code, Offset, load, number, store
from edgetvm.schedule.types import Answer, Constants, Loops


def helium_tile(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of a convolution or product of int8 by constant int8 weights; None where there is no Helium."""
    if not machine.helium:
        return None
    kernel = dot_kernel(sch, list(constants))
    if kernel is None or not has_word_epilogue(sch, kernel, constants):
        return None
    recipe = machine.recipe
    pixels = min(recipe.helium_pixels, kernel.extents[2])
    columns = min(recipe.helium_columns * recipe.helium_pixels // pixels, kernel.channels)
    seen = runs_of_window(kernel)
    runs = seen.together if seen.count > 1 and seen.length < WHOLE else seen
    func = sch.mod["main"]
    position = position_of(kernel, func)
    kernel, narrowed, as_bytes = byte_constants(kernel, func.params, constants)
    packing = ChunkPanels(columns, runs, _in_nibbles(runs, columns, machine, constants[position]))
    packed = packed_weights(kernel, packing)
    code = Code()
    rows, strip = rows_of(code, kernel, packed), strip_of(kernel, machine, odd=False)
    sums = HeliumSums(code, runs, recipe.helium_unrolled, packing.nibbles)
    vectors = runs.count * len(runs.chunks) * columns
    several = kernel.extents[1] * kernel.extents[2] > 1
    holds = vectors <= recipe.helium_held and several and sums.straight(pixels * columns)
    places = tuple((p, c) for p in range(pixels) for c in range(columns))
    four = FourCodes(code, kernel, rows, places) if len(places) == WORDS and makes_codes(kernel) else None
    HeliumWriter(kernel, code, rows, strip, seen, sums, pixels, packing, rows.of(packed), holds, four).write()
    written = rewritten(func, {**narrowed, position: packed}, code, aliased=True)
    return Loops(written, {**as_bytes, position: packing})


def _in_nibbles(runs: Runs, columns: int, machine: Machine, weights: Sequence[np.ndarray]) -> bool:
    """Whether weights are held in 4 bits: where they fit, are read 16 at a time, and flash is not to buy speed."""
    whole = columns % 2 == 0 and all(chunk.lanes == WHOLE for chunk in runs.chunks)
    return whole and not machine.recipe.wide_percent and are_nibbles(weights)


@dataclass(frozen=True)
class Panel:
    """Channels from `first` on with their weights, what their sums start from, and their epilogue.

    `lanes` are its constants as vectors, where tiles of four sums are requantized in one.
    """

    first: Offset
    weights: Weights
    starts: list[tirx.Expr]
    epilogue: ChannelEpilogue
    lanes: Lanes


@dataclass(frozen=True)
class HeliumWriter:
    """Writes the loops: strips of rows, panels of channels, rows, pixels; or panels last, of pixels that are gathered.

    `seen` are the runs of a window where it lies.
    """

    kernel: DotKernel
    code: Code
    rows: Rows
    strip: Strip
    seen: Runs
    sums: HeliumSums
    pixels: int
    packing: ChunkPanels
    weights: tirx.Buffer
    holds: bool
    four: FourCodes | None

    def write(self) -> None:
        """All of it."""
        code, kernel, gathered = self.code, self.kernel, self.sums.runs.gathered
        pitch = self.sums.runs.bytes
        window = code.array("window", self.pixels * pitch + WHOLE, "int8", "global") if gathered else None
        if window is not None:  # else TVM allocates only what is written
            code.add(store(window, self.pixels * pitch, tirx.Broadcast(tirx.const(0, "int8"), WHOLE)))
        for b, y0, height, x, at in self.strip.walk(code, self.rows.of(kernel.x.buffer)):
            if window is None:
                for at_panel, columns in self._panels():
                    panel = self._panel(at_panel, columns, self.holds)
                    with code.loop("y", height) as y:
                        for z, pixels in self._tiles():
                            origin = at + y * kernel.x.rows[1] + z * kernel.x.rows[2]
                            self._tile(x, origin, kernel.x.rows[2], (b, y0 + y, z), pixels, panel)
                continue
            with code.loop("y", height) as y:
                for z, pixels in self._tiles():
                    origin = at + y * kernel.x.rows[1] + z * kernel.x.rows[2]
                    self._gather(window, x, origin, pixels)
                    for at_panel, columns in self._panels():
                        self._tile(window, 0, pitch, (b, y0 + y, z), pixels, self._panel(at_panel, columns, False))

    def _panels(self) -> Iterator[tuple[Offset, int]]:
        """Loops over panels: (number, channels)."""
        whole, rest = divmod(self.kernel.channels, self.packing.columns)
        with self.code.loop("o", whole) as panel:
            yield panel, self.packing.columns
        if rest:
            yield whole, rest

    def _panel(self, at_panel: Offset, columns: int, holds: bool) -> Panel:
        """The panel of so many channels, with its constants and, if it `holds` them, its weights in registers."""
        code, packing, runs = self.code, self.packing, self.sums.runs.count
        first = at_panel * packing.columns
        size = runs * packing.run_bytes(packing.columns)
        weights = code.view("wp", self.weights, at_panel * size, runs * packing.run_bytes(columns))
        constants = constants_of(code, self.kernel, self.rows, first, columns)
        epilogue = ChannelEpilogue(code, self.kernel, self.rows, (1,), None, constants, words=True)
        biased = epilogue.bias is not None
        starts = epilogue.load_bias(first, columns, 1) if biased else [tirx.const(0, "int32")] * columns
        lanes = self.four.lanes(constants) if self.four and columns == self.packing.columns else {}
        return Panel(first, self.sums.weights(weights, columns, holds), starts, epilogue, lanes)

    def _tiles(self) -> Iterator[tuple[Offset, int]]:
        """Loops over the pixels of a row: (first, number)."""
        whole, rest = divmod(self.kernel.extents[2], self.pixels)
        with self.code.loop("z", whole) as tile:
            yield tile * self.pixels, self.pixels
        if rest:
            yield whole * self.pixels, rest

    def _gather(self, window: tirx.Buffer, x: tirx.Buffer, origin: Offset, pixels: int) -> None:
        """Copy the windows of some pixels. Behind a copied image 16 bytes may be read, and behind a run written."""
        code, seen = self.code, self.seen
        for p in range(pixels):
            for run in range(seen.count):
                i, j = divmod(run, seen.columns)
                start = origin + p * self.kernel.x.rows[2] + i * seen.steps[0] + j * seen.steps[1]
                to = p * self.sums.runs.bytes + run * seen.length
                if self.strip.copied:
                    code.add(store(window, to, load(x, start, WHOLE)))
                else:
                    copy_bytes(code, window, to, x, start, seen.length, WHOLE, flip=False)

    def _tile(self, x: tirx.Buffer, origin: Offset, step: int, place: Place, pixels: int, panel: Panel) -> None:
        """Some pixels from `place` on, whose windows begin at `origin`, `step` elements apart, of a panel."""
        columns = panel.weights.columns
        if self.four is not None and (pixels, columns) == (self.pixels, self.packing.columns):
            sums = self.sums.write(x, origin, step, panel.weights, [[number(0)] * columns for _ in range(pixels)])
            total = self.four.vector([total for own in sums for total in own])
            self.four.write(total, panel.lanes, place, panel.first)
            return
        sums = self.sums.write(x, origin, step, panel.weights, [list(panel.starts) for _ in range(pixels)])
        epilogue, (b, y, z) = panel.epilogue, place
        for p, own in enumerate(sums):
            outputs = (panel.first, columns, epilogue.bias is not None)
            epilogue.write(lambda first, _, own=own: own[first], (b, y, z + p), *outputs)  # type: ignore[misc]
