"""Sums of products of a tile of pixels and channels, by Helium's sums over the lanes of two vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tvm import tirx

from edgetvm.schedule.rules.helium_instructions import VECTOR_BITS, multiply_add
from edgetvm.schedule.rules.helium_window import WHOLE, Chunk, Runs
from edgetvm.schedule.rules.write_code import Code, Offset, load, store, vector_type

WORDS = 4  # of a vector

Sums: TypeAlias = list[list[tirx.Expr]]  # of each pixel those of its channels


@dataclass(frozen=True)
class HeliumSums:
    """Writes them: of all runs of a window, with at most `unrolled` products of vectors in one body."""

    code: Code
    runs: Runs
    unrolled: int

    def write(self, x: tirx.Buffer, origin: Offset, step: int, weights: tirx.Buffer, starts: Sums) -> Sums:
        """Windows begin at `origin` of `x` and `step` elements later; `weights` is the panel of the channels."""
        code, runs, chunks = self.code, self.runs, self.runs.chunks
        pixels, columns = len(starts), len(starts[0])
        most = max(self.unrolled // (pixels * columns), 1)
        if runs.count * len(chunks) <= most:
            sums = starts
            for run in range(runs.count):
                i, j = divmod(run, runs.columns)
                start = origin + i * runs.steps[0] + j * runs.steps[1]
                sums = self._chunks(x, start, step, weights, run * runs.bytes, chunks, sums)
            return sums
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
        weights: tirx.Buffer,
        before: Offset,
        chunks: Sequence[Chunk],
        sums: Sums,
    ) -> Sums:
        """Add the products of some chunks; `before` are the bytes of one channel before their weights."""
        code, columns, done = self.code, len(sums[0]), 0
        at = code.view("xp", x, start, 1)
        for chunk in chunks:
            activations = [self._vector(at, p * step + chunk.start, chunk.lanes) for p in range(len(sums))]
            result = [list(own) for own in sums]
            for c in range(columns):
                place = (before + done) * columns + c * chunk.lanes
                if chunk.lanes == WHOLE:  # a load of words reaches further from an address
                    words = load(code.view("wp", weights, place, WORDS, "int32"), 0, WORDS)
                    factor = code.let("w", tirx.reinterpret(vector_type("int8", WHOLE), words))
                else:
                    factor = self._vector(weights, place, chunk.lanes)
                for p, value in enumerate(activations):
                    result[p][c] = code.let("s", multiply_add(sums[p][c], value, factor))
            sums, done = result, done + chunk.lanes
        return sums

    def _vector(self, buffer: tirx.Buffer, place: Offset, lanes: int) -> tirx.Expr:
        """So many codes, as numbers that fill a vector; one code as int32."""
        value = load(buffer, place, lanes)
        if lanes == WHOLE:
            return self.code.let("v", value)
        return self.code.let("v", tirx.Cast("int32" if lanes == 1 else f"int{VECTOR_BITS // lanes}x{lanes}", value))
