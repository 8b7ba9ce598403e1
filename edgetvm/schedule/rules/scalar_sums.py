"""Sums of a tile of pixels by channels in registers, to which products are added one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.dsp_instructions import wait_for
from edgetvm.schedule.rules.write_code import Code, Offset, load, store

TOGETHER = 2  # loads side by side: the second takes a cycle less


@dataclass(frozen=True)
class Sums:
    """`pixels` x `columns` of them, kept in the local array `kept`."""

    code: Code
    pixels: int
    columns: int
    kept: tirx.Buffer

    def start(self, values: Sequence[tirx.Expr]) -> None:
        """What the sums of each channel start from."""
        for n in range(self.pixels * self.columns):
            self.code.add(store(self.kept, n, values[n % self.columns]))

    def of_pixel(self, p: int) -> Callable[[int, int], tirx.Expr]:
        """Those of one pixel, as `ChannelEpilogue` asks for them."""
        return lambda channel, _lanes: load(self.kept, p * self.columns + channel)

    def add(self, x: tirx.Buffer, at: Offset, step: int, w: tirx.Buffer, first: Offset) -> None:
        """One product to each: of activations `step` apart from `at` on by weights that follow one another.

        Of whichever there are fewer all are held, and of the others some loaded when the products before are done:
        LLVM would load all and spill sums for it.
        """
        size = self.pixels * self.columns
        if self.pixels <= self.columns:
            held = [self._read(x, at + p * step) for p in range(self.pixels)]
            for c, weight in self._some(w, first, 1, range(size - self.columns, size)):
                for p, activation in enumerate(held):
                    self.multiply(p, c, activation, weight)
            return
        weights = [self._read(w, first + c) for c in range(self.columns)]
        for p, activation in self._some(x, at, step, range(self.columns - 1, size, self.columns)):
            for c, weight in enumerate(weights):
                self.multiply(p, c, activation, weight)

    def multiply(self, p: int, c: int, activation: tirx.Expr, weight: tirx.Expr) -> None:
        """Add one product to one sum."""
        at = p * self.columns + c
        self.code.add(store(self.kept, at, load(self.kept, at) + activation * weight))

    def wait(self, n: int) -> None:
        """What is loaded from here on stays behind what was added to sum `n`."""
        self.code.add(tirx.Evaluate(wait_for(load(self.kept, n))))

    def _some(self, row: tirx.Buffer, at: Offset, step: int, last: Sequence[int]) -> Iterator[tuple[int, tirx.Expr]]:
        """Elements with their numbers; `last` are the sums to which each is added in the end."""
        for first in range(0, len(last), TOGETHER):
            some = range(first, min(first + TOGETHER, len(last)))
            yield from zip(some, [self._read(row, at + n * step) for n in some], strict=True)
            self.wait(last[some[-1]])

    def _read(self, row: tirx.Buffer, at: Offset) -> tirx.Expr:
        return self.code.let("e", tirx.Cast("int32", load(row, at)))
