"""One axis of a depthwise window whose places are taken two by two, as the halves of words.

Place p of the axis lies in word p // 2, counted from the first tap of the first output on. An output whose window
begins at an even place multiplies whole words by the taps (0, 1), (2, 3), ...; one that begins at an odd place
multiplies the upper half of a word by tap 0 and then words by (1, 2), (3, 4), ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgetvm.schedule.rules.depthwise_window import Line

PAIR = 2


@dataclass(frozen=True)
class Product:
    """A word of activations times one of weights, the number of its first tap's pair among `PairedLine.pairs`.

    `halves` are which half of the activations and which of the weights, 1 for the upper one; None for both products.
    """

    word: int
    pair: int
    halves: tuple[int, int] | None


@dataclass(frozen=True)
class PairedLine:
    """`outputs` windows along `line`, whose taps are neighbours."""

    line: Line
    outputs: int

    @property
    def places(self) -> int:
        """How many all windows see."""
        return (self.outputs - 1) * self.line.step + self.line.taps

    @property
    def words(self) -> int:
        """Of all places."""
        return -(-self.places // PAIR)

    @property
    def together(self) -> int:
        """Outputs after which windows begin at an even place again."""
        return 1 + self.line.step % PAIR if self.outputs > 1 else 1

    @property
    def pairs(self) -> tuple[int, ...]:
        """The first tap of each pair of taps that a word of weights holds."""
        taps = self.line.taps
        return tuple(range(max(taps - 1, 1)) if self.together > 1 else range(0, taps, PAIR))

    @property
    def multiplications(self) -> float:
        """Instructions of one output, for one place of the other axis."""
        return sum(len(list(self.products(output))) for output in range(self.together)) / self.together

    def products(self, output: int) -> Iterator[Product]:
        """What makes up an output; it and the words are counted from an output on that begins at an even place."""
        tap, taps, pairs = 0, self.line.taps, self.pairs
        while tap < taps:
            word, upper = divmod(output * self.line.step + tap, PAIR)
            if not upper and tap + 1 < taps:
                yield Product(word, pairs.index(tap), None)
                tap += PAIR
                continue
            first = tap if tap in pairs else tap - 1
            yield Product(word, pairs.index(first), (upper, tap - first))
            tap += 1

    def inside(self, place: int) -> bool:
        """Whether a place that the windows see is in the image."""
        return place < self.places and self.line.inside(self.line.first + place)


@dataclass(frozen=True)
class TapWords:
    """Weights ``[i, j, 1, C]`` as int32 words of two neighbouring taps of one axis: ``[C, other axis, pairs]``.

    `pairs` are the taps in the lower halves; in the upper ones are the next, 0 beyond the last. With `narrow` a word
    has bytes for two such words: ``[C, words]``, bytes 0 and 2 for the first of them, 1 and 3 for the second.
    """

    axis: int
    pairs: tuple[int, ...]
    narrow: bool = False

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        return f"taps{self.axis}_{'_'.join(map(str, self.pairs))}{'_narrow' if self.narrow else ''}"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        taps = np.moveaxis(data[:, :, 0].astype(np.int32), (2, 1 - self.axis), (0, 1))
        taps = np.pad(taps, ((0, 0), (0, 0), (0, 1)))
        lower, upper = taps[..., list(self.pairs)], taps[..., [tap + 1 for tap in self.pairs]]
        if not self.narrow:
            return np.ascontiguousarray((lower & 0xFFFF) | (upper << 16))
        halves = np.stack([lower, upper], axis=-2).swapaxes(1, 2).reshape(len(taps), PAIR, -1)
        filled = np.pad(halves, ((0, 0), (0, 0), (0, halves.shape[2] % PAIR))).astype(np.int8)
        return filled.reshape(len(taps), PAIR, -1, PAIR).swapaxes(1, 2).reshape(len(taps), -1).view("<i4")
