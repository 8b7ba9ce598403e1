"""Sums of products of rows with columns, both in words of two values of 16 bits, in registers."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.dsp_instructions import first_product, multiply_pairs, wait_for
from edgetvm.schedule.rules.dsp_words import PAIR
from edgetvm.schedule.rules.write_code import Code, Offset, load, number

REGISTERS = 14  # of 16: without stack pointer and program counter
ADDRESSES = 2


def block_sizes(columns: int) -> list[tuple[int, int]]:
    """(rows, columns) of every block that the registers hold: sums, what stays of a step, and the two that pass."""
    sizes = [(r, c) for r in range(1, REGISTERS) for c in range(1, columns + 1) if r * c < REGISTERS]
    return [(r, c) for r, c in sizes if r * c + min(r, c) + PAIR + ADDRESSES <= REGISTERS]


def step_cost(rows: int, columns: int) -> int:
    """Instructions of one step: products, and loads of two words."""
    return rows * columns + -(-rows // PAIR) + -(-columns // PAIR)


@dataclass(frozen=True)
class WordBlock:
    """`rows` by `columns` of sums over `steps` words, some `unrolled` in one body.

    A step reads `rows` neighbouring words of x, `pitch` behind those of the step before, and `columns` of w. The fewer
    ones stay in registers while the others pass, two with one load.
    """

    code: Code
    rows: int
    columns: int
    steps: int
    pitch: int
    unrolled: int

    def write(self, x: tirx.Buffer, w: tirx.Buffer) -> list[list[tirx.Expr]]:
        """The loops; gives the sums of each row."""
        code = self.code
        acc = code.array("acc", self.rows * self.columns, "int32", "local")
        looped = self.steps > self.unrolled
        if looped:
            for i in range(self.rows * self.columns):
                code.add(tirx.BufferStore(acc, number(0), [number(i)]))
        with code.loop("k", self.steps // self.unrolled) as k:
            for n in range(self.unrolled):
                step = k * self.unrolled + n
                self._step(acc, (x, step * self.pitch), (w, step * self.columns), first=not looped and n == 0)
        places = [[[number(self._at(r, c))] for c in range(self.columns)] for r in range(self.rows)]
        return [[tirx.BufferLoad(acc, place) for place in row] for row in places]

    def _at(self, row: int, column: int) -> int:
        return row * self.columns + column

    def _step(
        self, acc: tirx.Buffer, x: tuple[tirx.Buffer, Offset], w: tuple[tirx.Buffer, Offset], first: bool
    ) -> None:
        by_row = self.rows < self.columns
        (kept, passing), (held, moved) = (
            ((self.rows, self.columns), (x, w)) if by_row else ((self.columns, self.rows), (w, x))
        )
        stay = [self.code.let("a", load(held[0], held[1] + i)) for i in range(kept)]
        for begin in range(0, passing, PAIR):
            some = range(begin, min(begin + PAIR, passing))
            read = [self.code.let("b", load(moved[0], moved[1] + i)) for i in some]
            place = [number(0)]
            for i, value in zip(some, read, strict=True):
                for j, other in enumerate(stay):
                    place = [number(self._at(j, i) if by_row else self._at(i, j))]
                    sums = (
                        first_product(other, value)
                        if first
                        else multiply_pairs(tirx.BufferLoad(acc, place), other, value)
                    )
                    self.code.add(tirx.BufferStore(acc, sums, place))
            self.code.add(tirx.Evaluate(wait_for(tirx.BufferLoad(acc, place))))
