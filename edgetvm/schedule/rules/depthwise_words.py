"""Sums of a depthwise window by x86's sums of two products of 16 bits: pairs of taps below one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from edgetvm.schedule.rules.depthwise_seen import Seen
from edgetvm.schedule.rules.write_code import Code, constant, load, shuffle
from edgetvm.schedule.types import Packing

PMADDWD = {4: "sse2.pmadd.wd", 8: "avx2.pmadd.wd", 16: "avx512.pmaddw.d.512"}


@dataclass(frozen=True)
class TapPairs:
    """Weights ``[i, j, 1, C]`` as pairs of taps below one another: ``[panels, j, i / 2, block, 2]``."""

    block: int

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        return f"pairs_{self.block}"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        i, j, _, channels = data.shape
        panels = -(-channels // self.block)
        filled = np.pad(data, ((0, i % 2), (0, 0), (0, 0), (0, panels * self.block - channels)))
        pairs = filled.reshape(-1, 2, j, panels, self.block)
        return np.ascontiguousarray(pairs.transpose(3, 2, 0, 4, 1))


@dataclass(frozen=True)
class WordPairs:
    """Two taps at a time, one below the other, by x86's sums of two products of 16 bits.

    A column of the image is made words once, for all pixels that see it.
    """

    words: int  # in a vector
    block: int  # channels of a panel of weights
    least: int = 16  # of which activations are loaded at once
    channel_bytes: int = 2  # of a panel, from one channel to the next

    def lanes(self, wide: int) -> int:
        """Sums in a vector, for `wide` channels."""
        del wide
        return self.words

    def vectors(self, wide: int) -> int:
        """Vectors of sums of `wide` channels."""
        return wide // self.words

    @property
    def packing(self) -> Packing:
        return TapPairs(self.block)

    def operations(self, taps: tuple[int, int]) -> int:
        """Multiplications of one pixel, of as many channels as a vector of activations has."""
        return taps[0] * taps[1]

    def column(self, wide: int, rows: int) -> int:
        """Instructions that bring a column of the window into order: loads, and of each pair a vector two."""
        return rows + 2 * -(-rows // 2) * self.vectors(wide)

    def pixel(self, wide: int, taps: tuple[int, int]) -> int:
        """Instructions that multiply and add for a pixel."""
        return 2 * self.vectors(wide) * -(-taps[0] // 2) * taps[1]

    def weights(self, code: Code, w: tirx.Buffer, taps: tuple[int, int], wide: int) -> list[tirx.Expr]:
        """The weights of each column, each pair of taps, each vector of channels."""
        size, lanes = 2 * self.block, 2 * self.words
        pairs = range(0, -(-taps[0] // 2) * taps[1] * size, size)
        loads = [load(w, at + v, lanes) for at in pairs for v in range(0, 2 * wide, lanes)]
        return [code.let("w", tirx.Cast(f"int16x{lanes}", value)) for value in loads]

    def start(
        self, code: Code, weights: Sequence[tirx.Expr], bias: Sequence[tirx.Expr], outside: Sequence[int], fill: int
    ) -> list[tirx.Expr]:
        """What sums start from: the bias."""
        del code, weights, outside, fill
        return list(bias)

    def write(self, code: Code, seen: Seen, weights: Sequence[tirx.Expr], starts: Sequence[list[tirx.Expr]]) -> None:
        """Add to the sums of neighbouring pixels, given as vectors of channels."""
        pairs, vectors = -(-len(seen.rows) // 2), self.vectors(seen.lanes)
        name = f"llvm.x86.{PMADDWD[self.words]}"
        known: dict[int, list[list[tirx.Expr]]] = {}
        for sums, columns in zip(starts, seen.columns, strict=True):
            for j, column in enumerate(columns):
                if column not in known:
                    known[column] = [self._words(code, seen, column, pair) for pair in range(pairs)]
                for pair in range(pairs):
                    for v, words in enumerate(known[column][pair]):
                        factor = weights[(j * pairs + pair) * vectors + v]
                        products = tirx.call_llvm_pure_intrin(f"int32x{self.words}", name, words, factor)
                        sums[v] = code.let("s", sums[v] + products)

    def _words(self, code: Code, seen: Seen, column: int, pair: int) -> list[tirx.Expr]:
        """One column's activations of two rows, channel by channel in turn."""
        upper, lower = seen.vector(seen.rows[2 * pair], column), constant(0, "int8", seen.lanes)
        if 2 * pair + 1 < len(seen.rows):
            lower = seen.vector(seen.rows[2 * pair + 1], column)
        parts = []
        for first in range(0, seen.lanes, self.words):
            turns = [lane for c in range(first, first + self.words) for lane in (c, seen.lanes + c)]
            parts.append(code.let("d", tirx.Cast(f"int16x{2 * self.words}", shuffle([upper, lower], turns))))
        return parts
