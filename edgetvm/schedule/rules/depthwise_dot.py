"""Sums of a depthwise window by an instruction that sums four products of 8 bits: four taps below one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from edgetvm.schedule.rules.depthwise_seen import Seen
from edgetvm.schedule.rules.dot_instruction import INT8_OFFSET, DotInstruction
from edgetvm.schedule.rules.dot_window import GROUP
from edgetvm.schedule.rules.write_code import Code, constant, load, shuffle
from edgetvm.schedule.types import Packing

START_BYTES = 4  # of an int32


@dataclass(frozen=True)
class TapQuads:
    """Weights ``[i, j, 1, C]`` as panels of bytes: `block` int32 to start from, then ``[j, i / 4, block, 4]``.

    A sum starts from ``-128 * sum w``: activations have 128 added.
    """

    block: int

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        return f"quads_{self.block}"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        i, j, _, channels = data.shape
        panels = -(-channels // self.block)
        filled = np.pad(data, ((0, -i % GROUP), (0, 0), (0, 0), (0, panels * self.block - channels)))
        taps = filled.reshape(-1, GROUP, j, panels, self.block).transpose(3, 2, 0, 4, 1)
        start = -INT8_OFFSET * taps.sum((1, 2, 4), dtype=np.int64)
        return np.concatenate([start.astype("<i4").view(np.int8), taps.reshape(panels, -1)], axis=1)


@dataclass(frozen=True)
class DotColumns:
    """A column of the image is brought into order once, for all pixels that see it: ``[block, 4 rows]``."""

    instruction: DotInstruction
    least: int

    @property
    def lanes(self) -> int:
        """Channels of a vector of sums."""
        return self.instruction.lanes

    @property
    def packing(self) -> Packing:
        return TapQuads(self.least)

    def operations(self, taps: tuple[int, int]) -> int:
        """Multiplications of one pixel."""
        return -(-taps[0] // GROUP) * taps[1]

    def start(self, code: Code, w: tirx.Buffer) -> list[tirx.Expr]:
        """What sums start from, besides the bias."""
        header = code.view("start", w, 0, self.least, "int32")
        return [code.let("s", load(header, first, self.lanes)) for first in range(0, self.least, self.lanes)]

    def write(self, code: Code, seen: Seen, w: tirx.Buffer, starts: Sequence[list[tirx.Expr]]) -> None:
        """Add to the sums of neighbouring pixels, given as vectors of `lanes` channels."""
        quads = -(-len(seen.rows) // GROUP)
        known: dict[tuple[int, int], list[tirx.Expr]] = {}
        for sums, columns in zip(starts, seen.columns, strict=True):
            for j, column in enumerate(columns):
                for quad in range(quads):
                    rows = seen.rows[quad * GROUP : (quad + 1) * GROUP]
                    if seen.fill == -INT8_OFFSET and not any(seen.inside(row, column) for row in rows):
                        continue  # with 128 added they are 0
                    if (column, quad) not in known:
                        known[column, quad] = self._join(code, [seen.vector(row, column) for row in rows])
                    for v, activations in enumerate(known[column, quad]):
                        place = START_BYTES * self.least + ((j * quads + quad) * self.least + v * self.lanes) * GROUP
                        weights = [load(w, place, self.instruction.bytes)]
                        sums[v] = code.let("s", self.instruction.add(sums[v], weights, [activations]))

    def _join(self, code: Code, rows: Sequence[tirx.Expr]) -> list[tirx.Expr]:
        """Up to four rows of activations, channel by channel, as unsigned numbers.

        By fours of channels first, then within each 16 bytes: what processors have instructions for.
        """
        rows = [*rows, *[rows[-1]] * (GROUP - len(rows))]  # by weights that are 0
        words = [tirx.reinterpret(f"int32x{self.least // 4}", row) for row in rows]
        result = []
        for first in range(0, self.least, self.lanes):
            fours = range(first // 4, (first + self.lanes) // 4)
            near = shuffle(words, [n * (self.least // 4) + four for four in fours for n in range(GROUP)])
            near = tirx.reinterpret(f"int8x{4 * self.lanes}", near)
            turns = [16 * four + 4 * n + c for four in range(len(fours)) for c in range(4) for n in range(GROUP)]
            unsigned = tirx.bitwise_xor(shuffle([near], turns), constant(-INT8_OFFSET, "int8", 4 * self.lanes))
            result.append(code.let("d", unsigned))
        return result
