"""What a body of loops reads of its weights: words of memory, each once, and the pairs of 16 bits that they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tvm import tirx

from edgetvm.schedule.rules.dsp_nibbles import unpacked
from edgetvm.schedule.rules.dsp_words import BYTE, PAIR
from edgetvm.schedule.rules.nibbles import NIBBLE
from edgetvm.schedule.rules.pair_arithmetic import PairArithmetic
from edgetvm.schedule.rules.write_code import Code, load


@dataclass(frozen=True)
class WeightReader:
    """Reads weights of `bits` from `words`, group by group those of `channels`; `mask` is that of nibbles."""

    code: Code
    arithmetic: PairArithmetic
    words: tirx.Buffer
    bits: int
    channels: int
    mask: tirx.Expr | None
    known: dict[int, tirx.Expr] = field(default_factory=dict)

    def together(self) -> Iterator[range]:
        """Channels whose weights one instruction loads: two words, or one that both share."""
        step = 1 if self.bits > BYTE else PAIR
        return (range(first, min(first + step, self.channels)) for first in range(0, self.channels, step))

    def read(self, group: int, some: range) -> None:
        """Load the words of some channels of a group that are not loaded yet."""
        for c in some:
            for bit in range(0, self.bits, BYTE):
                at = ((group * self.channels + c) * self.bits + bit) // BYTE
                if at not in self.known:
                    self.known[at] = self.code.let("q", load(self.words, at))

    def pairs(self, group: int, c: int) -> list[tirx.Expr]:
        """Both pairs of weights of a group and channel that are read."""
        place = (group * self.channels + c) * self.bits
        word = self.known[place // BYTE]
        if self.bits > BYTE:
            return [word, self.known[place // BYTE + 1]]
        if self.bits == BYTE:
            return [self.code.let("a", pair) for pair in self.arithmetic.widen(word)]
        assert self.mask is not None
        first = place % BYTE // NIBBLE * PAIR
        return [self.code.let("a", unpacked(word, first + half, self.mask)) for half in range(PAIR)]
