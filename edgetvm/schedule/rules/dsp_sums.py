"""One tile of sums by smlad: two products an instruction."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Place, Rows
from edgetvm.schedule.rules.dsp_block import Block
from edgetvm.schedule.rules.dsp_instructions import wait_for
from edgetvm.schedule.rules.dsp_nibbles import unscaled
from edgetvm.schedule.rules.dsp_panels import GROUP
from edgetvm.schedule.rules.dsp_plan import DspPlan
from edgetvm.schedule.rules.dsp_weights import WeightReader
from edgetvm.schedule.rules.dsp_words import PAIR, loads_of
from edgetvm.schedule.rules.pair_arithmetic import PairArithmetic
from edgetvm.schedule.rules.write_code import Code, Offset, load, number


@dataclass(frozen=True)
class Reading:
    """Where a tile's activations begin: at word `start` of a copy, or at such an element of the input."""

    source: tirx.Buffer
    start: Offset


@dataclass(frozen=True)
class TileWriter:
    """Writes tiles of `pixels` by `channels`. `mask` is that of nibbles, where weights are such."""

    code: Code
    plan: DspPlan
    arithmetic: PairArithmetic
    rows: Rows
    pixels: int
    channels: int
    mask: tirx.Expr | None

    def write(self, reading: Reading, panel: Offset, weights: tirx.Buffer, place: Place) -> None:
        """The tile of a panel whose first output is at `place`."""
        code, plan = self.code, self.plan
        channel = panel * plan.tile.channels
        acc = code.array("acc", self.pixels * self.channels, "int32", "local")
        epilogues = [self._epilogue() for _ in range(self.channels)]
        biased, scaled = epilogues[0].bias is not None, self.mask is not None
        for c in range(self.channels):
            start = epilogues[c].load_bias(channel + c, 1, 1)[0] if biased and not scaled else tirx.const(0, "int32")
            for p in range(self.pixels):
                code.add(tirx.BufferStore(acc, start, self._at(p, c)))
        self._products(acc, reading, panel, weights)
        b, y, z = place
        for c, epilogue in enumerate(epilogues):
            later = epilogue.load_bias(channel + c, 1, 1) if biased and scaled else []
            for p in range(self.pixels):
                total: tirx.Expr = tirx.BufferLoad(acc, self._at(p, c))
                if scaled:
                    total = unscaled(total, later[0] if biased else None)
                epilogue.write(lambda _first, _lanes, total=total: total, (b, y, z + p), channel + c, 1, biased)  # type: ignore[misc]

    def _epilogue(self) -> ChannelEpilogue:
        return ChannelEpilogue(self.code, self.plan.kernel, self.rows, (1,), None, {}, words=True)

    def _at(self, pixel: int, channel: int) -> list[tirx.Expr]:
        return [number(pixel * self.channels + channel)]

    def _products(self, acc: tirx.Buffer, reading: Reading, panel: Offset, weights: tirx.Buffer) -> None:
        code, plan = self.code, self.plan
        loops, places = plan.body
        words = plan.words
        block = Block(code, self.pixels, self.channels, words.step)
        x: Offset = 0
        group: Offset = 0
        with code.loops("k", [extent for extent, _ in loops]) as indices:
            for (extent, step), index in zip(loops, indices, strict=True):
                x, group = x + index * step, group * extent + index
            groups = len(places) * words.shared
            size = plan.weight_words(groups, self.channels)
            first = panel * plan.weight_words(words.groups, plan.tile.channels) + group * size
            w = code.view("wp", weights, first + plan.packing.header, size)
            read = WeightReader(code, self.arithmetic, w, plan.bits, self.channels, self.mask)
            unit = 1 if words.copied else GROUP
            reach = max(places) + max(word for word, _ in loads_of(words, self.pixels)) + 1
            xp = code.view("xp", reading.source, reading.start + x * unit, reach * unit)
            for n, place in enumerate(places):
                if words.apart:
                    block.step(acc, xp, place, w, n * self.channels)
                elif words.shared == 1 and (self.channels > self.pixels or not words.copied):
                    self._group(acc, xp, place, read, n)
                else:
                    self._groups(acc, xp, place, read, n * words.shared)

    def _groups(self, acc: tirx.Buffer, x: tirx.Buffer, place: int, weights: WeightReader, first: int) -> None:
        """The products of groups that share activations, whose weights stay in registers.

        Activations are loaded when the products before them are done: LLVM would load all and spill sums for it.
        """
        words = self.plan.words
        kept: list[list[tirx.Expr]] = [[] for _ in range(self.channels)]
        for some in weights.together():
            for n in range(first, first + words.shared):
                weights.read(n, some)
                for c in some:
                    kept[c] += weights.pairs(n, c)
        loads = loads_of(words, self.pixels)
        while loads:
            neighbours = 2 if len(loads) > 1 and loads[1][0] == loads[0][0] + 1 else 1
            now, loads = loads[:neighbours], loads[neighbours:]
            read = [self.code.let("a", load(x, place + word)) for word, _ in now]
            for activations, (_, uses) in zip(read, now, strict=True):
                for p, pair in uses:
                    for c in range(self.channels):
                        self._multiply(acc, p, c, activations, kept[c][pair])
            self._wait(acc, now[-1][1][-1][0], self.channels - 1)

    def _group(self, acc: tirx.Buffer, x: tirx.Buffer, place: int, weights: WeightReader, n: int) -> None:
        """The products of one group, whose activations stay in registers."""
        held = [self._activations(x, place, p) for p in range(self.pixels)]
        for some in weights.together():
            weights.read(n, some)
            for c in some:
                both = weights.pairs(n, c)
                for p, pair in enumerate(held):
                    for a, b in zip(pair, both, strict=True):
                        self._multiply(acc, p, c, a, b)
            self._wait(acc, self.pixels - 1, some[-1])

    def _wait(self, acc: tirx.Buffer, p: int, c: int) -> None:
        self.code.add(tirx.Evaluate(wait_for(tirx.BufferLoad(acc, self._at(p, c)))))

    def _multiply(self, acc: tirx.Buffer, p: int, c: int, a: tirx.Expr, b: tirx.Expr) -> None:
        at = self._at(p, c)
        self.code.add(tirx.BufferStore(acc, self.arithmetic.multiply(tirx.BufferLoad(acc, at), a, b), at))

    def _activations(self, x: tirx.Buffer, place: int, p: int) -> list[tirx.Expr]:
        at = place + p * self.plan.words.step
        if self.plan.words.copied:
            return [self.code.let("a", load(x, at + half)) for half in range(PAIR)]
        return [self.code.let("a", word) for word in self.arithmetic.read(x, at * GROUP)]
