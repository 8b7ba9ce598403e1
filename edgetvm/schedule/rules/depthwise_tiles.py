"""In which pieces and in which order a depthwise convolution is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.depthwise_products import DepthwiseProducts
from edgetvm.schedule.rules.depthwise_window import Line, Lines, Run, lines_of, runs_of
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.neon_strip import Strip, strip_of
from edgetvm.schedule.types import Tiles, TileSize, pick

LEAST_LANES = 4  # of sums, as on NEON: longer vectors count for several multiplications


@dataclass(frozen=True)
class Part:
    """`count` channels from `start` on of a block, computed as `wide` channels."""

    start: int
    count: int
    wide: int


@dataclass(frozen=True)
class DepthwisePlan:
    """Strips of rows, copied with their border or not, and in them `pixels` of a row by a block of channels at a time.

    `by_rows` all channels of a row before the next row, else all rows of some channels. `shared` among threads.
    `tiles` are those of which one was chosen.
    """

    strip: Strip
    lines: Lines
    products: DepthwiseProducts
    pixels: int
    by_rows: bool
    shared: bool
    tiles: Tiles

    def rows(self, height: int) -> list[Run]:
        """Rows of a strip, which begin with the same taps."""
        return runs_of(self.lines.rows, height, 1)

    @property
    def columns(self) -> list[Run]:
        """Pixels of a row."""
        return runs_of(self.lines.columns, self.strip.kernel.extents[2], self.pixels)


def plan_depthwise(kernel: DotKernel, forms: Sequence[DepthwiseProducts], machine: Machine) -> DepthwisePlan:
    """Without a copy, unless borders make too many bodies.

    An image that the first cache does not hold is gone through once, all channels of a row at a time.
    """
    tiles = depthwise_tiles(kernel, forms, machine)
    tile = pick(tiles, machine.tile)
    products = next(form for form in forms if form.block == tile.columns)
    image = math.prod(int(size) for size in kernel.x.buffer.shape[1:])
    by_rows = bool(machine.cache_bytes) and image > machine.cache_bytes[0]
    least = machine.recipe.parallel_operations
    shared = bool(least) and kernel.products >= least
    whole = Strip(kernel, kernel.extents[1], copied=False)
    plan = DepthwisePlan(whole, lines_of(kernel, False), products, tile.pixels, by_rows, shared, tiles)
    bodies = sum(run.count for run in plan.columns) * len(plan.rows(kernel.extents[1]))
    if kernel.border is None or bodies * products.operations(kernel.taps) <= machine.recipe.peeled_operations:
        return plan
    strip = strip_of(kernel, machine, odd=False)
    return DepthwisePlan(strip, lines_of(kernel, True), products, tile.pixels, False, False, tiles)


def depthwise_tiles(kernel: DotKernel, forms: Sequence[DepthwiseProducts], machine: Machine) -> Tiles:
    """Pixels by channels of a block, and the instructions of a row inside of the image in closed form."""
    columns, width, recipe = lines_of(kernel, False).columns, kernel.extents[2], machine.recipe
    tiles: dict[TileSize, float] = {}
    for products in forms:
        operations = products.operations(kernel.taps)
        most = recipe.unrolled_operations // (operations * products.block // LEAST_LANES)
        if machine.vector_registers < 2 * operations:  # activations to share would push the weights out
            most = 1
        whole, rest = divmod(kernel.channels, products.block)
        wide = [products.block] * whole + [part.wide for part in parts_of(rest, products)]
        for pixels in range(1, min(max(most, 1), width) + 1):
            cost = sum(_row_cost(columns, width, pixels, products, size, kernel.taps, machine) for size in wide)
            tiles[TileSize(pixels, products.block)] = cost
    return tiles


def _row_cost(
    columns: Line,
    width: int,
    pixels: int,
    products: DepthwiseProducts,
    wide: int,
    taps: tuple[int, int],
    machine: Machine,
) -> float:
    """Instructions of a row of `wide` channels; at the border and at the end of a row tiles see and compute less."""
    recipe = machine.recipe
    vectors = products.vectors(wide)
    epilogue = vectors * recipe.neon_epilogue + -(-wide // 8) * recipe.neon_narrow
    if not machine.neon:
        epilogue = vectors * recipe.dot_epilogue
    return sum(
        run.repeats
        * (
            recipe.window_tile
            + len(run.seen) * products.column(wide, taps[0])
            + run.count * (products.pixel(wide, taps) + epilogue)
        )
        for run in runs_of(columns, width, pixels)
    )


def parts_of(channels: int, products: DepthwiseProducts) -> list[Part]:
    """Fewer channels than a block: halves of it as long as they are full, the last one perhaps not."""
    parts: list[Part] = []
    done, wide = 0, products.block
    while done < channels:
        while wide > max(channels - done, products.least):
            wide //= 2
        parts.append(Part(done, min(wide, channels - done), wide))
        done += wide
    return parts
