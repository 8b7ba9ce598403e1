"""Sums of products of 8 bits on NEON without dot product.

Two products of 8 bits fit 16 (`smull`, `smlal`), pairs of neighbouring sums are then added to 32 bits (`sadalp`).
Four such sums belong to one output, or to two: `addp` brings them together at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.tap_groups import MOST_IN_16_BITS
from edgetvm.schedule.rules.write_code import Code, constant, load, shuffle

LOADED = 16  # activations of a pixel that one load brings


@dataclass(frozen=True)
class Form:
    """How a tile's products are arranged.

    by_eight    eight products of one output in a vector, activations as they lie: four sums an output.
                Otherwise four products of two outputs, activations repeated: two sums an output.
    """

    by_eight: bool

    @property
    def group(self) -> int:
        """Products of one output that lie together in the weights."""
        return 16 if self.by_eight else 4

    @property
    def step(self) -> int:
        """Products of one output in a vector."""
        return 8 if self.by_eight else 4

    def registers(self, rows: int, columns: int) -> int:
        """Vectors of sums of a tile."""
        return rows * columns if self.by_eight else rows * columns // 2

    def longest_chain(self, packed: Sequence[np.ndarray]) -> int:
        """How many products may be summed in 16 bits: a power of two, given every constant as `[..., block, group]`."""
        chain = LOADED // self.step
        while chain > 1 and any(self._largest(array, chain) > MOST_IN_16_BITS for array in packed):
            chain //= 2
        return chain

    def _largest(self, packed: np.ndarray, chain: int) -> int:
        """The largest sum of weights of one lane over `chain` steps, which never cross a run."""
        size = np.abs(packed.astype(np.int64))
        groups, block, group = size.shape[-3:]
        lanes = size.reshape(-1, groups, block, group // self.step, self.step)
        lanes = np.moveaxis(lanes, 3, 2).reshape(lanes.shape[0], -1, block, self.step)
        missing = -lanes.shape[1] % chain
        lanes = np.pad(lanes, ((0, 0), (0, missing), (0, 0), (0, 0)))
        return int(lanes.reshape(lanes.shape[0], -1, chain, block, self.step).sum(2).max(initial=0))


@dataclass(frozen=True)
class Tile:
    """Sums of `rows` pixels by `columns` outputs, in registers `acc`."""

    code: Code
    neon: Neon
    form: Form
    rows: int
    columns: int
    chain: int
    acc: tirx.Buffer

    @property
    def per_row(self) -> int:
        return self.form.registers(1, self.columns)

    def start(self, bias: Sequence[tirx.Expr]) -> None:
        """Set all sums: to zero, or to biases in vectors of four outputs."""
        zero = constant(0, "int32", 4)
        for row in range(self.rows):
            for i in range(self.per_row):
                value = zero
                if bias and self.form.by_eight:
                    value = shuffle([bias[i // 4], zero], [i % 4, 4, 4, 4])
                elif bias:
                    value = shuffle([bias[i // 2], zero], [i % 2 * 2, 4, i % 2 * 2 + 1, 4])
                self._set(row, i, value)

    def add(self, x: tirx.Buffer, places: Sequence[tirx.Expr | int], w: tirx.Buffer, at: int, length: int) -> None:
        """Add up to sixteen products an output: of `length` activations from each of `places` on.

        Weights lie from element `at` on. Activations are read as 4, 8 or 16.
        """
        size = next(size for size in (4, 8, 16) if size >= max(length, self.form.step))
        name = self.code.let
        rows = [name("a", load(x, place, size)) for place in places]
        steps = -(-length // self.form.step)
        for first in range(0, steps, self.chain):
            chained = range(first, min(first + self.chain, steps))
            if self.form.by_eight:
                self._add_by_eight(rows, w, at, chained)
            else:
                self._add_by_four(rows, w, at, chained)

    def _add_by_eight(self, rows: list[tirx.Expr], w: tirx.Buffer, at: int, steps: range) -> None:
        for column in range(self.columns):
            weights = self.code.let("w", load(w, at + column * 16, 16))
            for row, a in enumerate(rows):
                whole = int(a.ty.dtype.lanes) == 16
                pairs = [(_half(weights, s), _half(a, s) if whole else a) for s in steps]
                self._accumulate(row, column, pairs)

    def _add_by_four(self, rows: list[tirx.Expr], w: tirx.Buffer, at: int, steps: range) -> None:
        vectors = self.columns // 4
        weights = [
            [self.code.let("w", load(w, at + (s * vectors + v) * 16, 16)) for v in range(vectors)] for s in steps
        ]
        for row, a in enumerate(rows):
            words = int(a.ty.dtype.lanes) // 4
            quads = tirx.reinterpret("int32" if words == 1 else f"int32x{words}", a)
            same = []
            for s in steps:
                word = tirx.Broadcast(quads, 4) if words == 1 else shuffle([quads] * (4 // words), [s] * 4)
                same.append(self.code.let("d", tirx.reinterpret("int8x16", word)))
            for i in range(self.per_row):
                pairs = [(_half(weights[n][i // 2], i % 2), _half(same[n], i % 2)) for n in range(len(steps))]
                self._accumulate(row, i, pairs)

    def _accumulate(self, row: int, i: int, pairs: Sequence[tuple[tirx.Expr, tirx.Expr]]) -> None:
        total = self.neon.multiply(*pairs[0])
        for a, b in pairs[1:]:
            total = total + self.neon.multiply(a, b)
        self._set(row, i, self.neon.add_pairs(self._get(row, i), total))

    def sums(self, row: int) -> list[tirx.Expr]:
        """The sums of one pixel, in vectors of four outputs."""
        parts = [self._get(row, i) for i in range(self.per_row)]
        while len(parts) > self.columns // 4:
            parts = [self.neon.join_pairs(parts[i], parts[i + 1]) for i in range(0, len(parts), 2)]
        return [self.code.let("s", part) for part in parts]

    def _get(self, row: int, i: int) -> tirx.Expr:
        return tirx.BufferLoad(self.acc, [tirx.const(row * self.per_row + i, "int32")])

    def _set(self, row: int, i: int, value: tirx.Expr) -> None:
        place = tirx.const(row * self.per_row + i, "int32")
        self.code.add(tirx.BufferStore(self.acc, value, [place]))


def _half(vector: tirx.Expr, half: int) -> tirx.Expr:
    return shuffle([vector], list(range(8 * (half % 2), 8 * (half % 2) + 8)))
