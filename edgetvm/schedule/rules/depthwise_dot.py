"""Sums of a depthwise window by an instruction that sums four products of 8 bits: four taps below one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from edgetvm.schedule.rules.depthwise_seen import Seen
from edgetvm.schedule.rules.dot_instruction import INT8_OFFSET, DotInstruction
from edgetvm.schedule.rules.dot_window import GROUP
from edgetvm.schedule.rules.write_code import Code, constant, lanes_of, load, shuffle
from edgetvm.schedule.types import Packing


@dataclass(frozen=True)
class TapQuads:
    """Weights ``[i, j, 1, C]`` as fours of taps below one another: ``[panels, j, i / 4, block, 4]``."""

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
        taps = filled.reshape(-1, GROUP, j, panels, self.block)
        return np.ascontiguousarray(taps.transpose(3, 2, 0, 4, 1))


@dataclass(frozen=True)
class DotColumns:
    """A column of the image is brought into order once, for all pixels that see it: ``[block, 4 rows]``."""

    instruction: DotInstruction
    block: int
    least: int = 8
    channel_bytes: int = GROUP  # of a panel, from one channel to the next

    def lanes(self, wide: int) -> int:
        """Sums in a vector, for `wide` channels."""
        return self.instruction.of(wide).lanes

    def vectors(self, wide: int) -> int:
        """Vectors of sums of `wide` channels."""
        return wide // self.lanes(wide)

    @property
    def packing(self) -> Packing:
        return TapQuads(self.block)

    def operations(self, taps: tuple[int, int]) -> int:
        """Multiplications of one pixel."""
        return -(-taps[0] // GROUP) * taps[1]

    def column(self, wide: int, rows: int) -> int:
        """Instructions that bring a column of the window into order: loads, two to join them, two a vector."""
        return rows + -(-rows // GROUP) * (2 + 2 * self.vectors(wide))

    def pixel(self, wide: int, taps: tuple[int, int]) -> int:
        """Instructions that multiply and add for a pixel."""
        return self.vectors(wide) * self.operations(taps)

    def weights(self, code: Code, w: tirx.Buffer, taps: tuple[int, int], wide: int) -> list[tirx.Expr]:
        """The weights of each column, each four taps, each vector of `wide` channels."""
        size, lanes = GROUP * self.block, GROUP * self.lanes(wide)
        quads = range(0, -(-taps[0] // GROUP) * taps[1] * size, size)
        return [code.let("w", load(w, at + v, lanes)) for at in quads for v in range(0, GROUP * wide, lanes)]

    def start(
        self, code: Code, weights: Sequence[tirx.Expr], bias: Sequence[tirx.Expr], outside: Sequence[int], fill: int
    ) -> list[tirx.Expr]:
        """What sums start from: the bias less 128 times the weights, since activations have 128 added."""
        del outside, fill
        lanes, vectors = lanes_of(bias[0]), len(bias)
        same = constant(-INT8_OFFSET, "int8", GROUP * lanes)
        extra: list[tirx.Expr] = [constant(0, "int32", lanes)] * vectors
        for n, factor in enumerate(weights):
            extra[n % vectors] = code.let("s", self.instruction.of(lanes).add(extra[n % vectors], [factor], [same]))
        return [code.let("s", a - b) for a, b in zip(bias, extra, strict=True)]

    def write(self, code: Code, seen: Seen, weights: Sequence[tirx.Expr], starts: Sequence[list[tirx.Expr]]) -> None:
        """Add to the sums of neighbouring pixels, given as vectors of channels."""
        instruction, quads = self.instruction.of(seen.lanes), -(-len(seen.rows) // GROUP)
        known: dict[tuple[int, int], list[tirx.Expr]] = {}
        for sums, columns in zip(starts, seen.columns, strict=True):
            for j, column in enumerate(columns):
                for quad in range(quads):
                    rows = seen.rows[quad * GROUP : (quad + 1) * GROUP]
                    if seen.fill == -INT8_OFFSET and not any(seen.inside(row, column) for row in rows):
                        continue  # with 128 added they are 0
                    if (column, quad) not in known:
                        known[column, quad] = self._join(code, [seen.vector(row, column) for row in rows], seen.lanes)
                    for v, activations in enumerate(known[column, quad]):
                        factor = weights[(j * quads + quad) * len(sums) + v]
                        sums[v] = code.let("s", instruction.add(sums[v], [factor], [activations]))

    def _join(self, code: Code, rows: Sequence[tirx.Expr], wide: int) -> list[tirx.Expr]:
        """Up to four rows of `wide` activations, channel by channel, as unsigned numbers.

        By fours of channels first, then within each 16 bytes: what processors have instructions for.
        """
        lanes, quarter = self.lanes(wide), wide // 4
        rows = [*rows, *[rows[-1]] * (GROUP - len(rows))]  # by weights that are 0
        words = [tirx.reinterpret(f"int32x{quarter}", row) for row in rows]
        result = []
        for first in range(0, quarter, lanes // 4):
            near = shuffle(words, [n * quarter + first + four for four in range(lanes // 4) for n in range(GROUP)])
            near = tirx.reinterpret(f"int8x{4 * lanes}", near)
            turns = [16 * four + 4 * n + c for four in range(lanes // 4) for c in range(4) for n in range(GROUP)]
            unsigned = tirx.bitwise_xor(shuffle([near], turns), constant(-INT8_OFFSET, "int8", 4 * lanes))
            result.append(code.let("d", unsigned))
        return result
