"""float32 depthwise convolution: channels along the vector, rows of pixels, no test of borders in the loops.

A row of outputs is computed for one vector of channels after the other. The window's weights stay in registers
where they fit, neighbouring pixels share what they load, and nothing is copied: outputs whose window reaches over
the border have loops of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import Rows, rows_of
from edgetvm.schedule.rules.depthwise_window import Lines, Run, lines_of, runs_of
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel, float_factors
from edgetvm.schedule.rules.float_epilogue import FloatEpilogue
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, store
from edgetvm.schedule.types import Constants, Loops, TileSize, pick

FLOAT_BYTES = 4


def channel_window(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of a depthwise convolution of float32; None for others and where there are no vectors."""
    if machine.vector_bytes == 0:
        return None
    kernel = dot_kernel(sch, list(constants), depthwise=True, factors=float_factors)
    if kernel is None or kernel.out.channel != 1:
        return None
    if kernel.border is not None and kernel.border.fill != 0:
        return None
    code = Code()
    lines = lines_of(kernel, copied=False)
    tiles = window_tiles(kernel, machine)
    pixels = pick(tiles, machine.tile).pixels
    _Writer(code, kernel, rows_of(code, kernel, kernel.w), lines, pixels, machine).write()
    return Loops(sch.mod["main"].with_body(code.statement()), {}, tiles=tiles)


def window_tiles(kernel: DotKernel, machine: Machine) -> dict[TileSize, float]:
    """Pixels by a vector of channels, and the operations of a row: products or loads, whichever are more."""
    taps, width = kernel.taps[0] * kernel.taps[1], kernel.extents[2]
    free = machine.vector_registers - machine.recipe.spare_registers
    most = min(machine.recipe.unrolled_operations // taps, free - taps if _weights_stay(kernel, machine) else free)
    step, apart = max(kernel.x.rows[2], 1), kernel.steps[1]

    def cost(count: int) -> float:
        total = 0.0
        for size, times in ((count, width // count), (width % count, 1 if width % count else 0)):
            seen = {n * step + t * apart for n in range(size) for t in range(kernel.taps[1])}
            total += times * (max(size * taps, len(seen) * kernel.taps[0]) + size + machine.recipe.window_tile)
        return total

    lanes = machine.lanes(FLOAT_BYTES)
    return {TileSize(count, lanes): cost(count) for count in range(1, max(min(most, width), 1) + 1)}


def _weights_stay(kernel: DotKernel, machine: Machine) -> bool:
    """Whether a window's weights leave enough registers for the sums of a tile."""
    return 2 * kernel.taps[0] * kernel.taps[1] <= machine.vector_registers


@dataclass(frozen=True)
class _Writer:
    """Writes one kernel: rows, in each vectors of channels, in these tiles of pixels."""

    code: Code
    kernel: DotKernel
    rows: Rows
    lines: Lines
    pixels: int
    machine: Machine

    def write(self) -> None:
        """The whole function."""
        code, kernel = self.code, self.kernel
        images, height, _ = kernel.extents
        least = self.machine.recipe.parallel_operations
        shared = bool(least) and kernel.products >= least
        with code.loop("b", images, shared and images > 1) as b:
            for run in runs_of(self.lines.rows, height, 1):
                with code.loop("y", run.repeats, shared and images == 1) as y:
                    self._row(b, run, run.first + y)

    def _row(self, image: Offset, run: Run, y: Offset) -> None:
        lanes, channels = self.machine.lanes(FLOAT_BYTES), self.kernel.channels
        whole, done = channels // lanes, channels // lanes * lanes
        if whole:
            with self.code.loop("c", whole) as block:
                self._channels(image, run, y, block * lanes, lanes)
        while done < channels:
            while done + lanes > channels:
                lanes //= 2
            self._channels(image, run, y, done, lanes)
            done += lanes

    def _channels(self, image: Offset, run: Run, y: Offset, channel: Offset, lanes: int) -> None:
        """One row of outputs of `lanes` channels."""
        code, kernel, lines = self.code, self.kernel, self.lines
        weights: dict[tuple[int, int], tirx.Expr] = {}
        if _weights_stay(kernel, self.machine):
            for i in self._taps(run):
                for j in range(kernel.taps[1]):
                    weights[i, j] = code.let("w", self._weight(i, j, channel, lanes))
        line = lines.rows.first + y * lines.rows.step
        origin = lines.base + image * lines.image + line * lines.rows.pitch + channel
        for pixels in runs_of(lines.columns, kernel.extents[2], self.pixels):
            with code.loop("z", pixels.repeats) as z:
                first = pixels.first + z * pixels.count
                column = lines.columns.first + first * lines.columns.step
                place = (image, y, first)
                self._tile(run, pixels, origin + column * lines.columns.pitch, place, channel, lanes, weights)

    def _tile(
        self,
        run: Run,
        pixels: Run,
        origin: Offset,
        place: tuple[Offset, Offset, Offset],
        channel: Offset,
        lanes: int,
        weights: dict[tuple[int, int], tirx.Expr],
    ) -> None:
        """Neighbouring pixels. `origin` is where the first one's window begins, perhaps outside of the image."""
        code, kernel, lines = self.code, self.kernel, self.lines
        x = self.rows.of(kernel.x.buffer)
        sums: list[tirx.Expr | None] = [None] * pixels.count
        for i in self._taps(run):
            for seen in pixels.seen:
                offset = i * lines.rows.apart * lines.rows.pitch + seen * lines.columns.pitch
                value = code.let("x", load(x, origin + offset, lanes))
                for p in range(pixels.count):
                    for j in range(kernel.taps[1]):
                        if p * lines.columns.step + j * lines.columns.apart != seen:
                            continue
                        weight = weights[i, j] if weights else self._weight(i, j, channel, lanes)
                        before = sums[p]
                        product = value * weight
                        sums[p] = code.let("s", product if before is None else before + product)
        array = code.array("sums", pixels.count * lanes, "float32", "local")
        epilogue = FloatEpilogue(code, kernel, self.rows, array)
        image, y, z = place
        for p, total in enumerate(sums):
            code.add(store(array, p * lanes, constant(0.0, "float32", lanes) if total is None else total))
        for p in range(pixels.count):
            epilogue.write(p * lanes, lanes, (image, y, z + p), channel)

    def _taps(self, run: Run) -> list[int]:
        """The rows of the window that are inside of the image."""
        return [i for i in range(self.kernel.taps[0]) if i * self.lines.rows.apart in run.seen]

    def _weight(self, i: int, j: int, channel: Offset, lanes: int) -> tirx.Expr:
        tap = i * self.kernel.taps[1] + j
        return load(self.rows.of(self.kernel.w), channel + tap * self.kernel.channels, lanes)
