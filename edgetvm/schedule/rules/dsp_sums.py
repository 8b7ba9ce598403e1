"""One tile of sums by smlad: two products an instruction."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Place, Rows
from edgetvm.schedule.rules.dsp_instructions import multiply_pairs, wait_for, widen_even, widen_odd
from edgetvm.schedule.rules.dsp_panels import GROUP
from edgetvm.schedule.rules.dsp_plan import DspPlan
from edgetvm.schedule.rules.dsp_words import PAIR, loads_of
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
            groups = len(places) * words.shared
            first = panel * (words.groups * plan.tile.channels * plan.weight_words) + group * (groups * size)
            w = code.view("wp", weights, first, groups * size)
            unit = 1 if words.copied else GROUP
            reach = max(places) + max(word for word, _ in loads_of(words, self.pixels)) + 1
            xp = code.view("xp", reading.source, reading.start + x * unit, reach * unit)
            for n, place in enumerate(places):
                if words.shared == 1 and (self.channels > self.pixels or not words.copied):
                    self._group(acc, xp, place, w, n)
                else:
                    self._groups(acc, xp, place, w, n * words.shared)

    def _groups(self, acc: tirx.Buffer, x: tirx.Buffer, place: int, w: tirx.Buffer, first: int) -> None:
        """The products of groups that share activations, whose weights stay in registers.

        Activations are loaded when the products before them are done: LLVM would load all and spill sums for it.
        """
        words = self.plan.words
        kept = [
            [half for n in range(words.shared) for half in self._weights(w, first + n, c)] for c in range(self.channels)
        ]
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

    def _group(self, acc: tirx.Buffer, x: tirx.Buffer, place: int, w: tirx.Buffer, n: int) -> None:
        """The products of one group, whose activations stay in registers."""
        held = [self._activations(x, place, p) for p in range(self.pixels)]
        together = PAIR // self.plan.weight_words  # one instruction loads two words
        for first in range(0, self.channels, together):
            some = range(first, min(first + together, self.channels))
            read = [self._read_weights(w, n, c) for c in some]
            for c, words in zip(some, read, strict=True):
                weights = self._both(words)
                for p, pair in enumerate(held):
                    for a, b in zip(pair, weights, strict=True):
                        self._multiply(acc, p, c, a, b)
            self._wait(acc, self.pixels - 1, some[-1])

    def _wait(self, acc: tirx.Buffer, p: int, c: int) -> None:
        self.code.add(tirx.Evaluate(wait_for(tirx.BufferLoad(acc, self._at(p, c)))))

    def _multiply(self, acc: tirx.Buffer, p: int, c: int, a: tirx.Expr, b: tirx.Expr) -> None:
        at = self._at(p, c)
        self.code.add(tirx.BufferStore(acc, multiply_pairs(tirx.BufferLoad(acc, at), a, b), at))

    def _weights(self, w: tirx.Buffer, n: int, c: int) -> list[tirx.Expr]:
        return self._both(self._read_weights(w, n, c))

    def _read_weights(self, w: tirx.Buffer, n: int, c: int) -> list[tirx.Expr]:
        """The words of one group and channel."""
        size = self.plan.weight_words
        return [self.code.let("q", load(w, (n * self.channels + c) * size + i)) for i in range(size)]

    def _activations(self, x: tirx.Buffer, place: int, p: int) -> list[tirx.Expr]:
        at = place + p * self.plan.words.step
        if self.plan.words.copied:
            return [self.code.let("a", load(x, at + half)) for half in range(PAIR)]
        return self._both([self.code.let("q", tirx.reinterpret("int32", load(x, at * GROUP, GROUP)))])

    def _both(self, words: list[tirx.Expr]) -> list[tirx.Expr]:
        """Both words of a group: what was read, or what one word of bytes is widened to."""
        if len(words) == PAIR:
            return words
        return [self.code.let("a", widen(words[0])) for widen in (widen_even, widen_odd)]
