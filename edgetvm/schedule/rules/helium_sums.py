"""Sums of products of a tile of pixels and channels, by Helium's sums over the lanes of two vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from tvm import tirx

from edgetvm.schedule.rules.helium_instructions import VECTOR_BITS, WORDS, multiply_add
from edgetvm.schedule.rules.helium_window import WHOLE, Chunk, Runs
from edgetvm.schedule.rules.nibbles import NIBBLE
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, store, vector_type

Sums: TypeAlias = list[list[tirx.Expr]]  # of each pixel those of its channels


@dataclass(frozen=True)
class Place:
    """Where weights of a channel lie: from byte `at` on, whole bytes, or their lower (0) or upper (1) `half`."""

    at: Offset
    half: int | None


@dataclass(frozen=True)
class Weights:
    """Those of a panel of `columns` channels, and their vectors by their place if registers hold them."""

    panel: tirx.Buffer
    columns: int
    held: Mapping[Place, tirx.Expr]


@dataclass(frozen=True)
class HeliumSums:
    """Writes them: of all runs of a window, with at most `unrolled` products of vectors in one body.

    `nibbles` tells that two channels share bytes.
    """

    code: Code
    runs: Runs
    unrolled: int
    nibbles: bool

    def straight(self, sums: int) -> bool:
        """Whether so many sums are written without a loop."""
        return self.runs.count * len(self.runs.chunks) <= max(self.unrolled // sums, 1)

    def weights(self, panel: tirx.Buffer, columns: int, holds: bool) -> Weights:
        """A panel of weights, which registers hold or which are loaded where they are used."""
        weights = Weights(panel, columns, {})
        if not holds:
            return weights
        held = {
            place: self._factor(weights, place, chunk.lanes)
            for run in range(self.runs.count)
            for chunk, places in self._places(weights, run * self.runs.bytes, self.runs.chunks)
            for place in places
        }
        return replace(weights, held=held)

    def write(self, x: tirx.Buffer, origin: Offset, step: int, weights: Weights, starts: Sums) -> Sums:
        """Windows begin at `origin` of `x` and `step` elements later."""
        code, runs, chunks = self.code, self.runs, self.runs.chunks
        pixels, columns = len(starts), weights.columns
        if self.straight(pixels * columns):
            sums = starts
            for run in range(runs.count):
                i, j = divmod(run, runs.columns)
                start = origin + i * runs.steps[0] + j * runs.steps[1]
                sums = self._chunks(x, start, step, weights, run * runs.bytes, chunks, sums)
            return sums
        most = max(self.unrolled // (pixels * columns), 1)
        kept = code.array("sums", pixels * columns, "int32", "local")

        def keep(sums: Sums) -> None:
            for n in range(pixels * columns):
                code.add(store(kept, n, sums[n // columns][n % columns]))

        def known() -> Sums:
            return [[load(kept, p * columns + c) for c in range(columns)] for p in range(pixels)]

        keep(starts)
        with code.loop("i", runs.rows) as i, code.loop("j", runs.columns) as j:
            start = origin + i * runs.steps[0] + j * runs.steps[1]
            before = (i * runs.columns + j) * runs.bytes
            alike = sum(chunk.lanes == WHOLE and not chunk.known for chunk in chunks)
            group = max((n for n in range(1, most + 1) if alike % n == 0), default=1)
            with code.loop("k", alike // group) as k:
                done = k * (WHOLE * group)
                keep(self._chunks(x, start + done, step, weights, before + done, chunks[: min(group, alike)], known()))
            if chunks[alike:]:
                keep(self._chunks(x, start, step, weights, before + WHOLE * alike, chunks[alike:], known()))
        return known()

    def _chunks(
        self,
        x: tirx.Buffer,
        start: Offset,
        step: int,
        weights: Weights,
        before: Offset,
        chunks: Sequence[Chunk],
        sums: Sums,
    ) -> Sums:
        """Add the products of some chunks; `before` are the bytes of one channel before their weights."""
        at = self.code.view("xp", x, start, 1)
        for chunk, places in self._places(weights, before, chunks):
            activations = [self._vector(at, p * step + chunk.start, chunk.lanes) for p in range(len(sums))]
            result = [list(own) for own in sums]
            for c, place in enumerate(places):
                factor = weights.held[place] if weights.held else self._factor(weights, place, chunk.lanes)
                for p, value in enumerate(activations):
                    result[p][c] = self.code.let("s", multiply_add(sums[p][c], value, factor))
            sums = result
        return sums

    def _factor(self, weights: Weights, place: Place, lanes: int) -> tirx.Expr:
        if lanes != WHOLE:
            return self._vector(weights.panel, place.at, lanes)
        # A load of words reaches further from an address.
        words = load(self.code.view("wp", weights.panel, place.at, WORDS, "int32"), 0, WORDS)
        value = tirx.reinterpret(vector_type("int8", WHOLE), words)
        if place.half is not None:
            half = constant(NIBBLE, "int8", WHOLE)
            value = tirx.RShift(value if place.half else tirx.LShift(value, half), half)
        return self.code.let("w", value)

    def _vector(self, buffer: tirx.Buffer, place: Offset, lanes: int) -> tirx.Expr:
        """So many codes, as numbers that fill a vector; one code as int32."""
        value = load(buffer, place, lanes)
        if lanes == WHOLE:
            return self.code.let("v", value)
        return self.code.let("v", tirx.Cast("int32" if lanes == 1 else f"int{VECTOR_BITS // lanes}x{lanes}", value))

    def _places(self, weights: Weights, before: Offset, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, list[Place]]]:
        """Where the weights of each chunk lie, one place a channel; `before` are the bytes of a channel before them."""
        share = 2 if self.nibbles else 1
        done = 0
        for chunk in chunks:
            first = (before + done) * -(-weights.columns // share)
            rows = ((first + c // share * chunk.lanes, c % share) for c in range(weights.columns))
            yield chunk, [Place(at, half if self.nibbles else None) for at, half in rows]
            done += chunk.lanes
