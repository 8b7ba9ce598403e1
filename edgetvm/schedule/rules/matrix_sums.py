"""The sums of a tile of a float product, in registers: pixels by vectors of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tvm import tirx

from edgetvm.schedule.rules.matrix_plan import MatrixPlan, vector_lengths
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, shuffle, store

Vectors: TypeAlias = Sequence[tuple[int, int]]  # (first channel, lanes)


@dataclass(frozen=True)
class Tap:
    """Steps of the sum that follow one another in memory: `length` activations from `x`, weights from step `w`.

    `seen` tells for each pixel whether it reads them, or those that are outside of the image.
    """

    x: Offset
    w: Offset
    length: int
    seen: tuple[bool, ...]


@dataclass(frozen=True)
class Panel:
    """Weights of a tile: `pitch` elements from one step of the sum to the next, `vectors` in each."""

    weights: tirx.Buffer
    pitch: int
    vectors: Vectors

    @property
    def width(self) -> int:
        return sum(lanes for _, lanes in self.vectors)


@dataclass(frozen=True)
class MatrixSums:
    """Sums of `pixels` by a panel. `pitch` elements lie from one pixel of `x` to the next."""

    code: Code
    plan: MatrixPlan
    x: tirx.Buffer
    pitch: int
    pixels: int
    panel: Panel

    def start(self) -> tirx.Buffer:
        """Zeros, as a row of elements: those of one pixel behind those of another."""
        dtype = str(self.plan.kernel.acc.dtype)
        sums = self.code.array("sums", self.pixels * self.panel.width, dtype, "local")
        for p in range(self.pixels):
            for first, lanes in self.panel.vectors:
                self.code.add(store(sums, p * self.panel.width + first, constant(0.0, dtype, lanes)))
        return sums

    def add(self, sums: tirx.Buffer, tap: Tap) -> None:
        """The products of one tap."""
        steps = self.plan.steps(tap.length)
        whole, rest = divmod(tap.length, steps)
        if whole:
            with self.code.loop("k", whole) as k:
                self._steps(sums, tap, k * steps, steps)
        if rest:
            self._steps(sums, tap, whole * steps, rest)

    def _steps(self, sums: tirx.Buffer, tap: Tap, first: Offset, steps: int) -> None:
        code, plan, panel = self.code, self.plan, self.panel
        pixels = [p for p, own in enumerate(tap.seen) if own]
        loaded: dict[int, tirx.Expr] = {}
        for step in range(steps):
            place = step % plan.group
            group = plan.group if step - place + plan.group <= steps else 1
            if group == 1 or place == 0:
                starts = {p: tap.x + first + (p * self.pitch + step) for p in pixels}
                loaded = {p: code.let("x", load(self.x, at, group)) for p, at in starts.items()}
            row = (tap.w + first + step) * panel.pitch
            weights = [code.let("w", load(panel.weights, row + column, lanes)) for column, lanes in panel.vectors]
            for p in pixels:
                for (column, lanes), weight in zip(panel.vectors, weights, strict=True):
                    value = shuffle([loaded[p]], [place] * lanes) if group > 1 else _same(loaded[p], lanes)
                    at = p * panel.width + column
                    code.add(store(sums, at, load(sums, at, lanes) + value * weight))


def _same(value: tirx.Expr, lanes: int) -> tirx.Expr:
    return tirx.Broadcast(value, lanes) if lanes > 1 else value


def filled_vectors(channels: int, lanes: int) -> Vectors:
    """Vectors of so many channels and, in the last, of zeros behind them."""
    return [(i * lanes, length) for i, length in enumerate(vector_lengths(channels, lanes))]


def exact_vectors(channels: int, lanes: int) -> Vectors:
    """Whole vectors, then parts of one: nothing but these channels."""
    pieces, done = [], 0
    while done < channels:
        while done + lanes > channels:
            lanes //= 2
        pieces.append((done, lanes))
        done += lanes
    return pieces
