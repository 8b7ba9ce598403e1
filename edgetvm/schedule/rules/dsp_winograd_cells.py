"""Four channels of int8 as two words of 16 bits, for Winograd's tiles by DSP instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.dsp_instructions import HALF_BITS, add_halves, subtract_halves, widen_even, widen_odd
from edgetvm.schedule.rules.dsp_panels import GROUP
from edgetvm.schedule.rules.dsp_winograd_plan import DspWinogradPlan
from edgetvm.schedule.rules.dsp_words import PAIR
from edgetvm.schedule.rules.winograd_code import algebra
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, store

HALVES = {tirx.Add: add_halves, tirx.Sub: subtract_halves}


@dataclass(frozen=True)
class WordCells:
    """Bytes 0 and 2, then 1 and 3. Tiles are ``[position][step][tile]``."""

    code: Code
    plan: DspWinogradPlan
    image: tirx.Buffer
    parts: int = GROUP // PAIR
    lanes: int = 1

    def read(self, at: Offset, lanes: int) -> list[tirx.Expr]:
        word = self.code.let("q", tirx.reinterpret("int32", load(self.image, at, lanes * GROUP)))
        return [self.code.let("d", widen(word)) for widen in (widen_even, widen_odd)]

    def outside(self, lanes: int) -> list[tirx.Expr]:
        code = self.plan.border.fill
        word = (code << HALF_BITS) | (code & ((1 << HALF_BITS) - 1))
        return [self.code.let("d", constant(word, "int32", lanes))] * self.parts

    def transform(self, values: Sequence[tirx.Expr]) -> list[tirx.Expr]:
        """Of sums and differences of words the instruction on their halves."""
        sums = self.plan.form.input(algebra(self.code), values)
        return [HALVES[type(value)](value.a, value.b) for value in sums]

    def put(
        self, tiles: tirx.Buffer, position: Offset, tile: Offset, channel: Offset, parts: Sequence[tirx.Expr]
    ) -> None:
        for part, value in enumerate(parts):
            step = (channel // PAIR + part) * self.plan.span
            self.code.add(store(tiles, position * self.plan.pitch + step + tile, value))
