"""What is decided about an int8 kernel for DSP instructions before its loops are written: see `dsp_choice`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dsp_panels import DspPanels
from edgetvm.schedule.rules.dsp_words import BYTE, PAIR, Words, loads_of, runs_on
from edgetvm.schedule.types import Tiles, TileSize

WORD_BYTES = 4


@dataclass(frozen=True)
class Tile:
    """`pixels` x `channels` sums in registers."""

    pixels: int
    channels: int

    @property
    def sums(self) -> int:
        return self.pixels * self.channels


@dataclass(frozen=True)
class DspPlan:
    """The kernel, where its activations and weights are read, and how many rows of outputs a copy is for.

    `bits` are those of a weight in memory, `tiles` what the tile was chosen from.
    """

    kernel: DotKernel
    machine: Machine
    tile: Tile
    words: Words
    band: int
    bits: int = 8
    tiles: Tiles = field(default_factory=dict, compare=False)

    @property
    def size(self) -> TileSize:
        return TileSize(self.tile.pixels, self.tile.channels)

    def weight_words(self, groups: int, channels: int) -> int:
        """Words of weights of so many groups and channels."""
        return -(-groups * channels * self.bits // (BYTE * PAIR if self.words.apart else BYTE))

    @property
    def whole_words(self) -> bool:
        """Whether no body of a loop begins within a word of weights."""
        loops, places = self.body
        if math.prod(extent for extent, _ in loops) == 1:
            return True
        sizes = (self.tile.channels, self.kernel.channels % self.tile.channels)
        return all(len(places) * self.words.shared * size * self.bits % BYTE == 0 for size in sizes)

    @property
    def packing(self) -> DspPanels:
        kernel, words = self.kernel, self.words
        joined = PAIR if words.image is not None and not words.quads and runs_on(kernel, words.image) else 1
        length = (kernel.taps[1] - 1) * words.depth + kernel.depth if joined > 1 else kernel.depth
        taps_last = words.quads and words.shared > 1
        shape = (self.tile.channels, words.quads, joined, words.depth, length, self.bits)
        return DspPanels(*shape, taps_last, words.apart, plain=self.machine.plain)

    @property
    def body(self) -> tuple[list[tuple[int, int]], list[int]]:
        """(iterations, words that activations move) of the loops, and the places that one body reads from.

        At each place a group, or as many as share activations.
        """
        shared = self.words.shared
        most = max(self.machine.recipe.dsp_unrolled // (self.words.pairs * self.tile.sums), 1)
        loops, places = list(self.words.axes[: -1 if shared > 1 else None]), [0]
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
        size = PAIR if self.words.copied and not self.words.apart else 1
        if self.words.shared > 1:
            read = [word for word, _ in loads_of(self.words, self.tile.pixels)]
        else:
            read = [p * self.words.step + half for p in range(self.tile.pixels) for half in range(size)]
        return len({place + word for place in places for word in read}) == len(places) * len(read)
