"""Activations widened to 16 bits in scratch: rows of an image with its border, or the pixels of one tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dsp_panels import GROUP
from edgetvm.schedule.rules.dsp_words import PAIR, Words
from edgetvm.schedule.rules.pair_arithmetic import PairArithmetic
from edgetvm.schedule.rules.write_code import Code, Offset, load, number, store

TOGETHER = 4  # groups or words of one iteration


@dataclass(frozen=True)
class Copy:
    """Writes the copy of activations `source` to `target`, both as rows of elements."""

    code: Code
    arithmetic: PairArithmetic
    kernel: DotKernel
    words: Words
    source: tirx.Buffer
    target: tirx.Buffer

    def prepare(self) -> None:
        """Before the first copy: the border everywhere, where an image has one, and what is behind the last row."""
        copied = self.words.rows * self.words.row_words
        if self.kernel.border is not None:
            self._fill(0, copied)
        for word in range(copied, self.words.words):  # or TVM allocates only what it sees being written
            self.code.add(store(self.target, word, tirx.const(0, "int32")))

    def rows(self, image_index: Offset, first: Offset) -> None:
        """Rows from `first` on of the image with its border."""
        code, words, image = self.code, self.words, self.words.image
        assert image is not None
        border = image.border
        _, height, width, _ = (int(extent) for extent in border.image.shape)
        seen = min(width, words.pixels - border.left)
        if seen <= 0:
            return  # all is border
        with code.loop("r", words.rows) as r:
            own = first + r - border.top
            place = ((image_index * height + own) * width) * self.kernel.depth

            def copy() -> None:
                self._pixels(place, self.kernel.depth, seen, r * words.row_words, border.left)

            if border.top == 0 and int(border.padded.shape[1]) == height:
                copy()
                return
            inside = tirx.And(number(own) >= number(0), number(own) < number(height))
            with code.when(inside):
                copy()
            with code.when(tirx.Not(inside)):
                self._fill(r * words.row_words, words.row_words)

    def pixels(self, start: Offset, step: int, count: int) -> None:
        """`count` pixels of the kernel's input from element `start` on, `step` elements apart."""
        self._pixels(start, step, count, 0, 0)

    def _pixels(self, start: Offset, step: int, count: int, at: Offset, first: int) -> None:
        """Pixels to pixel `first` and the next ones of the row at word `at`."""
        code, words, depth = self.code, self.words, self.kernel.depth
        if words.quads:
            with code.loop("g", depth // GROUP) as g:
                place = at + g * (words.pixels * PAIR) + first * words.pixel
                self._quads(start + g * GROUP, step, count, place)
            return
        if words.depth == depth == step:
            self._elements(start, count * depth, at, first * depth)
            return
        with code.loop("p", count) as p:
            self._elements(start + p * step, depth, at + (first + p) * (words.depth // PAIR), 0)

    def _quads(self, start: Offset, step: int, count: int, place: Offset) -> None:
        """Of `count` pixels one group each."""
        code = self.code

        def move(p: Offset) -> None:
            for half, word in enumerate(self.arithmetic.read(self.source, start + p * step)):
                code.add(store(self.target, place + p * self.words.pixel + half * self.words.half, word))

        _unrolled(code, count, move)

    def _elements(self, start: Offset, count: int, at: Offset, first: int) -> None:
        """`count` elements that follow one another, to number `first` and the next ones from word `at` on.

        What is beside them in the first and in the last word is the border, or is multiplied by nothing.
        """
        join, fill = self.arithmetic.join, tirx.const(self.kernel.border.fill if self.kernel.border else 0, "int32")
        word, odd = at + first // PAIR, first % PAIR

        def element(e: Offset) -> tirx.Expr:
            return tirx.Cast("int32", load(self.source, start + e))

        def move(pair: Offset) -> None:
            e = pair * PAIR + odd
            self.code.add(store(self.target, word + odd + pair, join(element(e), element(e + 1))))

        if odd:
            self.code.add(store(self.target, word, join(fill, element(0))))
        whole, rest = divmod(count - odd, PAIR)
        _unrolled(self.code, whole, move)
        if rest:
            self.code.add(store(self.target, word + odd + whole, join(element(count - 1), fill)))

    def _fill(self, at: Offset, count: int) -> None:
        assert self.kernel.border is not None
        fill = tirx.const(self.kernel.border.fill, "int32")
        both = self.arithmetic.join(fill, fill)
        _unrolled(self.code, count, lambda e: self.code.add(store(self.target, at + e, both)))


def _unrolled(code: Code, count: int, move: Callable[[Offset], None]) -> None:
    """`count` moves, some in each iteration of a loop."""
    whole, rest = divmod(count, TOGETHER)
    if whole:
        with code.loop("e", whole) as e:
            for i in range(TOGETHER):
                move(e * TOGETHER + i)
    for i in range(count - rest, count):
        move(i)
