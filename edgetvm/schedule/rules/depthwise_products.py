"""Sums of a depthwise window, channel by channel, by the instructions that a processor has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from tvm import tirx

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.depthwise_dot import DotColumns
from edgetvm.schedule.rules.depthwise_seen import Seen
from edgetvm.schedule.rules.dot_instruction import dot_instruction
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.neon_products import MOST_IN_16_BITS
from edgetvm.schedule.rules.write_code import Code, constant, load, shuffle
from edgetvm.schedule.types import Packing

BLOCK = 16  # channels of a panel of weights

PMADDWD = {4: "sse2.pmadd.wd", 8: "avx2.pmadd.wd", 16: "avx512.pmaddw.d.512"}


@dataclass(frozen=True)
class NeonTaps:
    """Tap by tap: products of 16 bits are summed as long as they fit (`groups` of taps), then added to 32 bits."""

    neon: Neon
    groups: tuple[tuple[int, ...], ...]
    least: int = 8  # channels that a vector of activations has at least
    channel_bytes: int = 1  # of a panel, from one channel to the next

    def lanes(self, wide: int) -> int:
        """Sums in a vector, for `wide` channels."""
        del wide
        return 4

    @property
    def packing(self) -> Packing:
        """``[panels, i, j, 1, block]``."""
        return Panels(BLOCK)

    def operations(self, taps: tuple[int, int]) -> int:
        """Multiplications of one pixel, of as many channels as a vector of activations has."""
        return taps[0] * taps[1]

    def weights(self, code: Code, w: tirx.Buffer, taps: tuple[int, int], wide: int) -> list[tirx.Expr]:
        """The weights of each tap, of `wide` channels."""
        return [code.let("w", load(w, tap * BLOCK, wide)) for tap in range(taps[0] * taps[1])]

    def start(self, code: Code, w: tirx.Buffer, wide: int) -> list[tirx.Expr]:
        """What sums start from, besides the bias: nothing."""
        del code, w, wide
        return []

    def write(self, code: Code, seen: Seen, weights: Sequence[tirx.Expr], starts: Sequence[list[tirx.Expr]]) -> None:
        """Add to the sums of neighbouring pixels, given as vectors of channels."""
        wide = seen.lanes
        places = [[(row, column) for row in seen.rows for column in columns] for columns in seen.columns]
        activations = {place: seen.vector(*place) for taps in places for place in taps}
        for sums, taps in zip(starts, places, strict=True):
            for group in self.groups:
                for half in range(wide // 8):
                    total: tirx.Expr | None = None
                    for tap in group:
                        product = self.neon.multiply(_eight(activations[taps[tap]], half), _eight(weights[tap], half))
                        total = product if total is None else total + product
                    words = code.let("t", total)
                    for i in (0, 1):
                        part = tirx.Cast("int32x4", shuffle([words], list(range(4 * i, 4 * i + 4))))
                        sums[2 * half + i] = code.let("s", sums[2 * half + i] + part)


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
    least: int = BLOCK
    channel_bytes: int = 2  # of a panel, from one channel to the next

    def lanes(self, wide: int) -> int:
        """Sums in a vector, for `wide` channels."""
        del wide
        return self.words

    @property
    def packing(self) -> Packing:
        return TapPairs(BLOCK)

    def operations(self, taps: tuple[int, int]) -> int:
        """Multiplications of one pixel, of as many channels as a vector of activations has."""
        return taps[0] * taps[1]

    def weights(self, code: Code, w: tirx.Buffer, taps: tuple[int, int], wide: int) -> list[tirx.Expr]:
        """The weights of each column, each pair of taps, each vector of channels."""
        count, size = -(-taps[0] // 2) * taps[1] * wide // self.words, 2 * self.words
        return [code.let("w", tirx.Cast(f"int16x{size}", load(w, n * size, size))) for n in range(count)]

    def start(self, code: Code, w: tirx.Buffer, wide: int) -> list[tirx.Expr]:
        """What sums start from, besides the bias: nothing."""
        del code, w, wide
        return []

    def write(self, code: Code, seen: Seen, weights: Sequence[tirx.Expr], starts: Sequence[list[tirx.Expr]]) -> None:
        """Add to the sums of neighbouring pixels, given as vectors of channels."""
        pairs, vectors = -(-len(seen.rows) // 2), BLOCK // self.words
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
        upper, lower = seen.vector(seen.rows[2 * pair], column), constant(0, "int8", BLOCK)
        if 2 * pair + 1 < len(seen.rows):
            lower = seen.vector(seen.rows[2 * pair + 1], column)
        parts = []
        for first in range(0, BLOCK, self.words):
            turns = [lane for c in range(first, first + self.words) for lane in (c, BLOCK + c)]
            parts.append(code.let("d", tirx.Cast(f"int16x{2 * self.words}", shuffle([upper, lower], turns))))
        return parts


DepthwiseProducts: TypeAlias = NeonTaps | WordPairs | DotColumns


def depthwise_products(machine: Machine, weights: Sequence[np.ndarray]) -> DepthwiseProducts | None:
    """How a processor sums a window; None if it has no such instructions."""
    if machine.neon:
        return NeonTaps(Neon(machine.neon), tuple(map(tuple, tap_groups(weights))))
    if machine.dot == "vpdpbusd":
        instruction = dot_instruction(machine)
        assert instruction is not None
        return DotColumns(instruction, BLOCK)
    if machine.dot == "pmaddwd" and machine.lanes(4) in PMADDWD:
        return WordPairs(machine.lanes(4))
    return None


def tap_groups(weights: Sequence[np.ndarray]) -> list[list[int]]:
    """Taps whose products may be summed in 16 bits, for any activation: first fit in the order of the taps."""
    sizes = np.concatenate([np.abs(array.astype(np.int64)).reshape(-1, array.shape[-1]) for array in weights], 1)
    groups: list[list[int]] = []
    totals: list[np.ndarray] = []
    for tap, size in enumerate(sizes):
        fitting = (i for i, total in enumerate(totals) if (total + size).max() <= MOST_IN_16_BITS)
        found = next(fitting, None)
        if found is None:
            groups.append([tap])
            totals.append(size)
        else:
            groups[found].append(tap)
            totals[found] = totals[found] + size
    return groups


def _eight(vector: tirx.Expr, half: int) -> tirx.Expr:
    return vector if vector.ty.dtype.lanes == 8 else shuffle([vector], list(range(8 * half, 8 * half + 8)))
