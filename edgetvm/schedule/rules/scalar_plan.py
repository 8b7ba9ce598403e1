"""How many pixels and channels a tile of sums has where every product is an instruction, by a closed-form count."""

from __future__ import annotations

from collections.abc import Iterator

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.helium_window import Runs, runs_of_window
from edgetvm.schedule.types import TileSize


def scalar_tiles(kernel: DotKernel, machine: Machine) -> dict[TileSize, float]:
    """Tiles that the registers hold, and the instructions of a row of outputs in each."""
    most, row, runs = machine.recipe.scalar_sums, kernel.extents[2], runs_of_window(kernel)
    return {
        TileSize(pixels, columns): sum(
            times * panels * _tile_cost(height, width, runs, machine)
            for height, times in _pieces(row, pixels)
            for width, panels in _pieces(kernel.channels, columns)
        )
        for pixels in range(1, min(row, most) + 1)
        for columns in range(1, min(kernel.channels, most // pixels) + 1)
    }


def depthwise_tiles(kernel: DotKernel, machine: Machine) -> dict[TileSize, float]:
    """The same of a depthwise convolution, whose tiles are of one channel, for a row of it."""
    most, row = machine.recipe.scalar_sums, kernel.extents[2]
    return {
        TileSize(pixels, 1): sum(times * _depthwise_cost(kernel, size, machine) for size, times in _pieces(row, pixels))
        for pixels in range(1, min(row, most) + 1)
    }


def seen_by(kernel: DotKernel, pixels: int) -> dict[int, list[tuple[int, int]]]:
    """What neighbouring pixels read of one row: every element with the (pixel, tap) that it is multiplied for."""
    users: dict[int, list[tuple[int, int]]] = {}
    for p in range(pixels):
        for j in range(kernel.taps[1]):
            users.setdefault(p * kernel.x.rows[2] + j * kernel.steps[1], []).append((p, j))
    return dict(sorted(users.items()))


def unrolled_steps(runs: Runs, sums: int, machine: Machine) -> int:
    """Steps of a run in one body."""
    most = max(machine.recipe.scalar_unrolled // sums, 1)
    return max(n for n in range(1, min(most, runs.length) + 1) if runs.length % n == 0)


def _tile_cost(pixels: int, columns: int, runs: Runs, machine: Machine) -> float:
    recipe, sums = machine.recipe, pixels * columns
    bodies = runs.count * runs.length // unrolled_steps(runs, sums, machine)
    products = runs.count * runs.length * (sums * recipe.scalar_product + (pixels + columns) * recipe.scalar_load)
    return (
        products
        + bodies * recipe.scalar_loop
        + sums * recipe.scalar_output
        + columns * recipe.scalar_channel
        + recipe.scalar_overhead
    )


def _depthwise_cost(kernel: DotKernel, pixels: int, machine: Machine) -> float:
    recipe, (height, width) = machine.recipe, kernel.taps
    row = pixels * width * recipe.scalar_product + (len(seen_by(kernel, pixels)) + width) * recipe.scalar_load
    return height * row + pixels * recipe.scalar_output + recipe.scalar_overhead


def _pieces(extent: int, size: int) -> Iterator[tuple[int, int]]:
    """Sizes of the pieces of `extent`, and how many there are."""
    if extent // size:
        yield size, extent // size
    if extent % size:
        yield extent % size, 1
