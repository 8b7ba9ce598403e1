"""One tile of sums by smlad: two products an instruction."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Place, Rows
from edgetvm.schedule.rules.dsp_instructions import multiply_pairs, wait_for, widen_even, widen_odd
from edgetvm.schedule.rules.dsp_panels import GROUP
from edgetvm.schedule.rules.dsp_plan import DspPlan
from edgetvm.schedule.rules.dsp_words import PAIR
from edgetvm.schedule.rules.write_code import Code, Offset, load, number


@dataclass(frozen=True)
class Reading:
    """Where a tile's activations begin: at word `start` of a copy, or at such an element of the input."""

    source: tirx.Buffer
    start: Offset


@dataclass(frozen=True)
class TileWriter:
    """Writes tiles of `pixels` by `channels`."""

    code: Code
    plan: DspPlan
    rows: Rows
    pixels: int
    channels: int

    def write(self, reading: Reading, panel: Offset, weights: tirx.Buffer, place: Place) -> None:
        """The tile of a panel whose first output is at `place`."""
        code, plan = self.code, self.plan
        channel = panel * plan.tile.channels
        acc = code.array("acc", self.pixels * self.channels, "int32", "local")
        epilogues = [self._epilogue() for _ in range(self.channels)]
        biased = epilogues[0].bias is not None
        for c in range(self.channels):
            start = epilogues[c].load_bias(channel + c, 1, 1)[0] if biased else tirx.const(0, "int32")
            for p in range(self.pixels):
                code.add(tirx.BufferStore(acc, start, self._at(p, c)))
        self._products(acc, reading, panel, weights)
        b, y, z = place
        for c, epilogue in enumerate(epilogues):
            for p in range(self.pixels):

                def total(_first: int, _lanes: int, at: list[tirx.Expr] = self._at(p, c)) -> tirx.Expr:  # noqa: B008
                    return tirx.BufferLoad(acc, at)

                epilogue.write(total, (b, y, z + p), channel + c, 1, biased)

    def _epilogue(self) -> ChannelEpilogue:
        return ChannelEpilogue(self.code, self.plan.kernel, self.rows, (1,), None, {}, words=True)

    def _at(self, pixel: int, channel: int) -> list[tirx.Expr]:
        return [number(pixel * self.channels + channel)]

    def _products(self, acc: tirx.Buffer, reading: Reading, panel: Offset, weights: tirx.Buffer) -> None:
        code, plan = self.code, self.plan
        loops, places = plan.body
        words, size = plan.words, self.channels * plan.weight_words  # of one group
        x: Offset = 0
        group: Offset = 0
        with code.loops("k", [extent for extent, _ in loops]) as indices:
            for (extent, step), index in zip(loops, indices, strict=True):
                x, group = x + index * step, group * extent + index
            first = panel * (words.groups * plan.tile.channels * plan.weight_words) + group * (len(places) * size)
            w = code.view("wp", weights, first, len(places) * size)
            unit = 1 if words.copied else GROUP
            reach = max(places) + (self.pixels - 1) * words.step + PAIR
            xp = code.view("xp", reading.source, reading.start + x * unit, reach * unit)
            for n, place in enumerate(places):
                self._group(acc, xp, place, w, n)

    def _group(self, acc: tirx.Buffer, x: tirx.Buffer, place: int, w: tirx.Buffer, n: int) -> None:
        """The products of one group; the side of which there is less stays in registers.

        The other side is loaded when the products before it are done: LLVM would load all and spill sums for it.
        """
        if self.channels <= self.pixels:
            kept = [self._weights(w, n, c) for c in range(self.channels)]
            for p in range(self.pixels):
                pair = self._activations(x, place, p)
                for c, weights in enumerate(kept):
                    self._multiply(acc, p, c, pair, weights)
                self._wait(acc, p, self.channels - 1)
            return
        held = [self._activations(x, place, p) for p in range(self.pixels)]
        for c in range(self.channels):
            weights = self._weights(w, n, c)
            for p, pair in enumerate(held):
                self._multiply(acc, p, c, pair, weights)
            self._wait(acc, self.pixels - 1, c)

    def _wait(self, acc: tirx.Buffer, p: int, c: int) -> None:
        self.code.add(tirx.Evaluate(wait_for(tirx.BufferLoad(acc, self._at(p, c)))))

    def _multiply(
        self, acc: tirx.Buffer, p: int, c: int, x: tuple[tirx.Expr, tirx.Expr], w: tuple[tirx.Expr, tirx.Expr]
    ) -> None:
        at = self._at(p, c)
        for a, b in zip(x, w, strict=True):
            self.code.add(tirx.BufferStore(acc, multiply_pairs(tirx.BufferLoad(acc, at), a, b), at))

    def _weights(self, w: tirx.Buffer, n: int, c: int) -> tuple[tirx.Expr, tirx.Expr]:
        at = (n * self.channels + c) * self.plan.weight_words
        return self._pair(w, at) if self.plan.wide else self._widened(load(w, at))

    def _activations(self, x: tirx.Buffer, place: int, p: int) -> tuple[tirx.Expr, tirx.Expr]:
        at = place + p * self.plan.words.step
        if self.plan.words.copied:
            return self._pair(x, at)
        return self._widened(tirx.reinterpret("int32", load(x, at * GROUP, GROUP)))

    def _pair(self, source: tirx.Buffer, at: int) -> tuple[tirx.Expr, tirx.Expr]:
        return self.code.let("a", load(source, at)), self.code.let("a", load(source, at + 1))

    def _widened(self, four: tirx.Expr) -> tuple[tirx.Expr, tirx.Expr]:
        word = self.code.let("q", four)
        return self.code.let("a", widen_even(word)), self.code.let("a", widen_odd(word))
