"""What is decided about an int8 kernel for DSP instructions before its loops are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dot_plan import copy_limit, fold_rows
from edgetvm.schedule.rules.dsp_panels import DspPanels
from edgetvm.schedule.rules.dsp_words import PAIR, Image, Words, image_of, in_pixels, in_place, in_rows, runs_on

WORD_BYTES = 4
REGISTERS = 14  # of 16, without stack pointer and program counter
ADDRESSES = 3  # of activations, of weights, and the end of one of them


@dataclass(frozen=True)
class Tile:
    """`pixels` x `channels` sums in registers."""

    pixels: int
    channels: int

    @property
    def registers(self) -> int:
        """Sums, both words of a group of the side that there is less of, one group of the other, addresses."""
        return self.pixels * self.channels + PAIR * min(self.pixels, self.channels) + PAIR + ADDRESSES


@dataclass(frozen=True)
class DspPlan:
    """The kernel, where its activations and weights are read, and how many rows of outputs a copy is for."""

    kernel: DotKernel
    machine: Machine
    tile: Tile
    words: Words
    band: int

    @property
    def wide(self) -> bool:
        """Whether weights have 16 bits in memory too."""
        return bool(self.machine.recipe.wide_weights)

    @property
    def weight_words(self) -> int:
        """Words of weights of one group and channel."""
        return PAIR if self.wide else 1

    @property
    def packing(self) -> DspPanels:
        kernel, words = self.kernel, self.words
        joined = PAIR if words.image is not None and not words.quads and runs_on(kernel, words.image) else 1
        length = (kernel.taps[1] - 1) * words.depth + kernel.depth if joined > 1 else kernel.depth
        return DspPanels(self.tile.channels, words.quads, joined, words.depth, length, self.wide)

    @property
    def body(self) -> tuple[list[tuple[int, int]], list[int]]:
        """(iterations, words that activations move) of the loops around the groups of one body, and their places."""
        most = max(self.machine.recipe.dsp_unrolled // (PAIR * self.tile.pixels * self.tile.channels), 1)
        loops, places = list(self.words.axes), [0]
        while loops:
            extent, step = loops.pop()
            ways = [
                (n, [at * step + place for at in range(n) for place in places])
                for n in range(1, extent + 1)
                if extent % n == 0
            ]
            fitting = [way for way in ways if way[0] == 1 or (len(way[1]) <= most and self._apart(way[1]))]
            count, places = fitting[-1]
            if count < extent:
                loops.append((extent // count, step * count))
                break
        return loops, places

    def _apart(self, places: list[int]) -> bool:
        """Whether no word is read twice: LLVM would keep it for the second time, and spill others for it."""
        size = PAIR if self.words.copied else 1
        starts = [place + p * self.words.step for place in places for p in range(self.tile.pixels)]
        return len({start + half for start in starts for half in range(size)}) == len(starts) * size


def plan_of(kernel: DotKernel, machine: Machine) -> DspPlan | None:
    """Decide everything; None for a window that moves otherwise than over an image."""
    windowed = kernel.border is not None or kernel.taps != (1, 1)
    image = image_of(kernel) if windowed else None
    if windowed and image is None:
        return None
    row = kernel.extents[2]
    tiles = [Tile(p, c) for p in range(1, min(row, 8) + 1) for c in range(1, min(kernel.channels, 8) + 1)]
    tiles = [tile for tile in tiles if tile.pixels * tile.channels <= machine.recipe.scalar_accumulators]
    ways = [(tile, words) for tile in tiles for words in _ways(kernel, image, tile)]
    tile, words = min(ways, key=lambda way: cost_of(kernel, machine, *way))
    band = 1
    if words.image is not None:
        band = band_of(kernel, machine, words.image)
        words = in_rows(kernel, words.image, band)
    if not windowed:
        kernel = fold_rows(kernel, tile.pixels)
    return DspPlan(kernel, machine, tile, words, band)


def _ways(kernel: DotKernel, image: Image | None, tile: Tile) -> Iterator[Words]:
    as_they_lie = in_place(kernel)
    if as_they_lie is not None:
        yield as_they_lie
    yield in_rows(kernel, image, 1) if image is not None else in_pixels(kernel, tile.pixels)


def band_of(kernel: DotKernel, machine: Machine, image: Image) -> int:
    """Rows of outputs that one copy serves: what is copied twice is less, as long as the copy is small."""
    limit, rows = copy_limit(kernel, machine), kernel.extents[1]
    bands = [d for d in range(1, rows + 1) if rows % d == 0]
    return max((d for d in bands if in_rows(kernel, image, d).words * WORD_BYTES <= limit), default=1)


def cost_of(kernel: DotKernel, machine: Machine, tile: Tile, words: Words) -> float:
    """Instructions of one row of outputs in closed form."""
    wholes, rest = divmod(kernel.extents[2], tile.pixels)
    panels, left = divmod(kernel.channels, tile.channels)
    tiles = wholes * panels * _tile_cost(machine, tile, tile, words)
    if left:
        tiles += wholes * _tile_cost(machine, Tile(tile.pixels, left), tile, words)
    if rest:
        tiles += panels * _tile_cost(machine, Tile(rest, tile.channels), tile, words)
    if left and rest:
        tiles += _tile_cost(machine, Tile(rest, left), tile, words)
    if not words.copied:
        return tiles
    copied = words.rows * words.pixels if words.image is not None else kernel.extents[2]
    return tiles + copied * words.depth * (1.25 if words.quads else 2.5)


def _tile_cost(machine: Machine, tile: Tile, planned: Tile, words: Words) -> float:
    recipe = machine.recipe
    weights = tile.channels * (1 if recipe.wide_weights else 3)
    activations = tile.pixels * (1 if words.copied else 3)
    spilled = max(tile.registers - REGISTERS, 0) * recipe.dsp_spill
    body = max(recipe.dsp_unrolled // (PAIR * planned.pixels * planned.channels), 1)
    group = PAIR * tile.pixels * tile.channels + weights + activations + spilled + recipe.dsp_loop / body
    outputs = tile.channels * (tile.pixels * recipe.dsp_output + recipe.dsp_channel)
    return words.groups * group + outputs + recipe.dsp_tile
