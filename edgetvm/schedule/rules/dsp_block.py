"""Sums of products of rows with columns, both in words of two values of 16 bits, in registers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from tvm import tirx

from edgetvm.schedule.rules.dsp_instructions import first_product, multiply_pairs, wait_for
from edgetvm.schedule.rules.dsp_words import PAIR
from edgetvm.schedule.rules.write_code import Code, Offset, load, number

REGISTERS = 14  # of 16: without stack pointer and program counter
ADDRESSES = 2


def block_sizes(rows: int, columns: int) -> list[tuple[int, int]]:
    """(rows, columns) of every block that the registers hold: sums, what stays of a step, and the two that pass."""
    sizes = [(r, c) for r in range(1, min(rows, REGISTERS) + 1) for c in range(1, min(columns, REGISTERS) + 1)]
    return [(r, c) for r, c in sizes if r * c + min(r, c) + PAIR + ADDRESSES <= REGISTERS]


def step_cost(rows: int, columns: int, apart: int = 1) -> int:
    """Instructions of one step: products, and loads of two words, or of single ones that are `apart` in x."""
    return rows * columns + (-(-rows // PAIR) if apart == 1 else rows) + -(-columns // PAIR)


@dataclass(frozen=True)
class Block:
    """`rows` by `columns` of sums.

    A step reads a word of each row of x, `apart` words from one to the next, and as many neighbouring words of w as
    there are columns. The fewer ones stay in registers while the others pass, two with one load.
    """

    code: Code
    rows: int
    columns: int
    apart: int = 1

    def place(self, row: int, column: int) -> list[tirx.Expr]:
        """That of a sum."""
        return [number(row * self.columns + column)]

    def step(
        self, acc: tirx.Buffer, x: tirx.Buffer, x_at: Offset, w: tirx.Buffer, w_at: Offset, first: bool = False
    ) -> None:
        """Two products for every sum, which are all that there is after the `first` step."""
        rows = [(x, x_at + row * self.apart) for row in range(self.rows)]
        columns = [(w, w_at + column) for column in range(self.columns)]
        by_row = self.rows < self.columns
        few, many = (rows, columns) if by_row else (columns, rows)
        stay = [self.code.let("a", load(*word)) for word in few]
        for begin in range(0, len(many), PAIR):
            passing = [self.code.let("b", load(*word)) for word in many[begin : begin + PAIR]]
            for (i, other), (j, kept) in product(enumerate(passing, begin), enumerate(stay)):
                at = self.place(j, i) if by_row else self.place(i, j)
                sums = first_product(kept, other) if first else multiply_pairs(tirx.BufferLoad(acc, at), kept, other)
                self.code.add(tirx.BufferStore(acc, sums, at))
            self.code.add(tirx.Evaluate(wait_for(tirx.BufferLoad(acc, at))))

    def sums(self, x: tirx.Buffer, w: tirx.Buffer, steps: int, pitch: int, unrolled: int) -> list[list[tirx.Expr]]:
        """The sums of each row over `steps` words that are `pitch` apart in x, so many unrolled in one body."""
        code = self.code
        acc = code.array("acc", self.rows * self.columns, "int32", "local")
        looped = steps > unrolled
        if looped:
            for i in range(self.rows * self.columns):
                code.add(tirx.BufferStore(acc, number(0), [number(i)]))
        with code.loop("k", steps // unrolled) as k:
            for n in range(unrolled):
                at = k * unrolled + n
                self.step(acc, x, at * pitch, w, at * self.columns, first=not looped and n == 0)
        return [[tirx.BufferLoad(acc, self.place(r, c)) for c in range(self.columns)] for r in range(self.rows)]
