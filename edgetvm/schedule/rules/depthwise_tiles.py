"""In which pieces and in which order a depthwise convolution is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.depthwise_window import Lines, Run, lines_of, runs_of
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.neon_strip import Strip, strip_of

VECTORS = 4  # of sums that a multiplication of 16 channels counts for, as on NEON


@dataclass(frozen=True)
class Tiles:
    """Strips of rows, copied with their border or not, and in them `pixels` of a row at a time.

    `by_rows` all channels of a row before the next row, else all rows of some channels. `shared` among threads.
    """

    strip: Strip
    lines: Lines
    pixels: int
    by_rows: bool
    shared: bool

    def rows(self, height: int) -> list[Run]:
        """Rows of a strip, which begin with the same taps."""
        return runs_of(self.lines.rows, height, 1)

    @property
    def columns(self) -> list[Run]:
        """Pixels of a row."""
        return runs_of(self.lines.columns, self.strip.kernel.extents[2], self.pixels)


def tiles_of(kernel: DotKernel, operations: int, machine: Machine) -> Tiles:
    """Without a copy, unless borders make too many bodies. A pixel takes `operations`.

    An image that the first cache does not hold is gone through once, all channels of a row at a time.
    """
    pixels = pixels_at_a_time(kernel.extents[2], operations, machine)
    image = math.prod(int(size) for size in kernel.x.buffer.shape[1:])
    by_rows = bool(machine.cache_bytes) and image > machine.cache_bytes[0]
    least = machine.recipe.parallel_operations
    shared = bool(least) and kernel.products >= least
    whole = Strip(kernel, kernel.extents[1], copied=False)
    tiles = Tiles(whole, lines_of(kernel, False), pixels, by_rows, shared)
    written = sum(run.count for run in tiles.columns) * len(tiles.rows(kernel.extents[1])) * operations
    if kernel.border is None or written <= machine.recipe.peeled_operations:
        return tiles
    return Tiles(strip_of(kernel, machine, odd=False), lines_of(kernel, True), pixels, by_rows=False, shared=False)


def pixels_at_a_time(width: int, operations: int, machine: Machine) -> int:
    """Pixels of a row that one body computes, which share loads: a divisor of the row if there is one."""
    most = max(machine.recipe.unrolled_operations // (VECTORS * operations), 1)
    if machine.vector_registers < 2 * operations:  # activations to share would push the weights out
        return 1
    fitting = range(1, min(most, width) + 1)
    return max(fitting, key=lambda count: (min(count, 2), width % count == 0, count))
