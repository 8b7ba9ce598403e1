"""How a float product is tiled: rows of pixels by vectors of channels, whatever is left in smaller tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.types import TileSize, pick

FLOAT_BYTES = 4


@dataclass(frozen=True)
class MatrixPlan:
    """`pixels` x `columns` sums in a tile.

    lanes         of a vector; the last one of a panel may be half as long, or a quarter, ...
    group         activations of a pixel that one load brings: a vector that is multiplied by lane, or one number
    panels_first  whether all pixels use a panel of weights before the next: weights are larger than the cache
    """

    kernel: DotKernel
    machine: Machine
    pixels: int
    columns: int
    lanes: int
    group: int
    panels_first: bool

    @property
    def packing(self) -> Panels:
        return Panels(self.columns)

    @property
    def panels(self) -> int:
        return -(-self.kernel.channels // self.columns)

    @property
    def shared(self) -> bool:
        """Whether threads share the kernel."""
        least = self.machine.recipe.parallel_operations
        return bool(least) and self.kernel.products >= least

    def steps(self, length: int) -> int:
        """Steps of the sum that one body unrolls, of `length` that follow one another: a divisor if there is one."""
        vectors = -(-self.columns // self.lanes)
        most = max(self.machine.recipe.unrolled_operations // (self.pixels * vectors), 1)
        if self.group > 1:
            return max(most // self.group, 1) * self.group
        fitting = range(1, min(most, length) + 1)
        return max(fitting, key=lambda count: (length % count == 0, count))


def matrix_plan(kernel: DotKernel, machine: Machine) -> MatrixPlan:
    """The tile with the fewest operations in closed form."""
    tile = pick(matrix_tiles(kernel, machine), machine.tile)
    lanes = _lanes(kernel.channels, machine)
    weights = math.prod(kernel.taps) * kernel.depth * kernel.channels * FLOAT_BYTES
    panels_first = bool(machine.cache_bytes) and weights > machine.cache_bytes[-1] // 2
    return MatrixPlan(kernel, machine, tile.pixels, tile.columns, lanes, _group(lanes, machine), panels_first)


def matrix_tiles(kernel: DotKernel, machine: Machine) -> dict[TileSize, float]:
    """Tiles that the registers hold, and the operations of the kernel in each.

    A step of the sum costs a multiply-add for each vector of sums, never fewer than `least_accumulators`, which hide
    their latency, and a part of the loads of weights and activations, which run beside them.
    """
    lanes, recipe, registers = _lanes(kernel.channels, machine), machine.recipe, machine.vector_registers
    group = _group(lanes, machine)
    row, length = kernel.extents[2], math.prod(kernel.taps) * kernel.depth
    channels = sum(vector_lengths(kernel.channels, lanes))
    vectors = -(-channels // lanes)

    def fits(height: int, width: int) -> bool:
        operands = width + (height if group > 1 else 1)
        return height * width + operands <= registers or height * width == 1

    def tile_cost(height: int, width: float) -> float:
        activations = height / group
        step = max(height * width, activations + width, recipe.least_accumulators)
        step += (activations + recipe.matrix_weights * width) / max(recipe.matrix_loads, 1)
        return step * length + recipe.matrix_epilogue * height * width + recipe.matrix_tile

    def cost(height: int, columns: int) -> float:
        panels = _pieces(channels, columns)
        return sum(m * n * tile_cost(h, c / lanes) for h, m in _pieces(row, height) for c, n in panels)

    heights = range(1, min(row, max(recipe.max_rows, 1)) + 1)
    widths = range(1, min(vectors, recipe.max_vectors) + 1)
    fitting = [(h, min(w * lanes, channels)) for h in heights for w in widths if fits(h, w)]
    return {TileSize(*tile): cost(*tile) for tile in fitting}


def _group(lanes: int, machine: Machine) -> int:
    """Activations of a pixel that one load brings."""
    return lanes if machine.neon else 1


def _lanes(channels: int, machine: Machine) -> int:
    """Half of a vector of 64 bytes where few channels are whole halves: processors issue two such at once."""
    lanes = machine.lanes(FLOAT_BYTES)
    few = channels < machine.recipe.half_vectors * lanes and channels % lanes
    return lanes // 2 if machine.lanes(1) == 64 and few and channels % (lanes // 2) == 0 else lanes


def vector_lengths(channels: int, lanes: int) -> list[int]:
    """Whole vectors, then for what is left the shortest that holds it."""
    whole, rest = divmod(channels, lanes)
    return [lanes] * whole + ([1 << (rest - 1).bit_length()] if rest else [])


def _pieces(total: int, size: int) -> list[tuple[int, int]]:
    """(size, how many) of whole pieces and of what is left."""
    whole, rest = divmod(total, size)
    return [(size, whole), *([(rest, 1)] if rest else [])]
