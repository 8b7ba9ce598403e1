"""int8 depthwise convolution by Arm's DSP instructions: one channel at a time, from a plane of pairs of places.

A channel of the image is copied with its border into words of two neighbouring rows (or columns, where that takes fewer
multiplications). Where windows are an odd number of rows apart, two outputs below one another use the same words.
Weights of few taps are bytes, widened once a channel: three instructions more for half of the flash.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.byte_constants import byte_constants
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Rows, constants_of, rows_of
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.dsp_instructions import multiply_halves, multiply_pairs, widen_even, widen_odd
from edgetvm.schedule.rules.dsp_plane import Plane, plane_of
from edgetvm.schedule.rules.packed_weights import packed_weights, position_of, rewritten
from edgetvm.schedule.rules.paired_line import PAIR, TapWords
from edgetvm.schedule.rules.word_epilogue import has_word_epilogue
from edgetvm.schedule.rules.write_code import Code, Offset, load, number, store
from edgetvm.schedule.types import Answer, Constants, Loops

MOST_WEIGHTS = 32  # pairs of weights that a kernel names at once: more would fill the stack


def dsp_depthwise(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of a depthwise convolution of int8 by constant int8 weights; None where there is no DSP."""
    if not machine.dsp:
        return None
    kernel = dot_kernel(sch, list(constants), depthwise=True)
    if kernel is None or not has_word_epilogue(sch, kernel, constants):
        return None
    plane = plane_of(kernel)
    if plane is None:
        return None
    func = sch.mod["main"]
    position = position_of(kernel, func)
    overwritten = _overwritten(kernel, func)
    kernel, narrowed, as_bytes = byte_constants(kernel, func.params, constants)
    size = plane.across.taps * len(plane.along.pairs)
    packing = TapWords(plane.axis, plane.along.pairs, narrow=1 < size <= MOST_WEIGHTS)
    packed = packed_weights(kernel, packing, "int32")
    code = Code()
    rows, pixels = rows_of(code, kernel, packed), machine.recipe.depthwise_pixels
    DepthwiseWriter(kernel, code, rows, plane, packed, packing, pixels).write()
    return Loops(rewritten(func, {**narrowed, position: packed}, code), {**as_bytes, position: packing}, overwritten)


def _overwritten(kernel: DotKernel, func: tirx.PrimFunc) -> tuple[int, ...]:
    """The image, if its shape is the output's: the plane is a copy of all that lies under outputs of its channel."""
    x, out = kernel.x.buffer, kernel.out.buffer
    facts = [(str(b.dtype), *map(int, b.shape), access.channel) for b, access in ((x, kernel.x), (out, kernel.out))]
    return tuple(i for i, param in enumerate(func.params) if param.same_as(x)) if facts[0] == facts[1] else ()


@dataclass(frozen=True)
class DepthwiseWriter:
    """Writes the loops: images, channels, of each the plane and then its outputs, `pixels` across at a time."""

    kernel: DotKernel
    code: Code
    rows: Rows
    plane: Plane
    packed: tirx.Buffer
    packing: TapWords
    pixels: int

    def write(self) -> None:
        """All of it."""
        code, plane = self.code, self.plane
        words = plane.new(code)
        image = self.rows.of(self.kernel.x.buffer)
        with code.loop("b", self.kernel.extents[0]) as b, code.loop("c", self.kernel.channels) as c:
            plane.copy(code, words, image, plane.base + b * plane.image + c)
            self._channel(words, b, c)

    def _channel(self, words: tirx.Buffer, b: Offset, c: Offset) -> None:
        """All outputs of one channel."""
        code, plane, along = self.code, self.plane, self.plane.along
        constants = constants_of(code, self.kernel, self.rows, c, 1)
        epilogue = ChannelEpilogue(code, self.kernel, self.rows, (1,), None, constants, words=True)
        start = epilogue.load_bias(c, 1, 1)[0] if epilogue.bias is not None else number(0)
        size = math.prod(int(extent) for extent in self.packed.shape[1:])
        weights = code.view("wp", self.rows.of(self.packed), c * size, size)
        named = self._named(weights, size) if size <= MOST_WEIGHTS else None
        biased, most = epilogue.bias is not None, self.pixels if named else 1
        columns, rows = most * plane.across.step * along.words, along.together * along.line.step // PAIR
        for z, pixels in self._tiles("z", plane.outputs, most):
            for y, outputs in self._tiles("y", along.outputs, along.together):
                seen = code.view("rp", words, z * columns + y * rows, 1)
                sums = self._sums(seen, weights, named, [[start] * outputs for _ in range(pixels)])
                for p, own in enumerate(sums):
                    for n, total in enumerate(own):
                        at = (y * along.together + n, z * most + p)
                        row, column = at if plane.axis == 0 else at[::-1]
                        epilogue.write(lambda *_, total=total: total, (b, row, column), c, 1, biased)

    def _named(self, weights: tirx.Buffer, size: int) -> list[tirx.Expr]:
        """The words of all taps of a channel."""
        words = [self.code.let("w", load(weights, i)) for i in range(size)]
        if not self.packing.narrow:
            return words
        return [self.code.let("w", widen(word)) for word in words for widen in (widen_even, widen_odd)]

    def _tiles(self, name: str, outputs: int, most: int) -> Iterator[tuple[Offset, int]]:
        """Loops over `outputs`, `most` at a time: (number of the tile, outputs)."""
        whole, rest = divmod(outputs, most)
        if whole:
            with self.code.loop(name, whole) as tile:
                yield tile, most
        if rest:
            yield whole, rest

    def _sums(
        self, seen: tirx.Buffer, weights: tirx.Buffer, named: Sequence[tirx.Expr] | None, starts: list[list[tirx.Expr]]
    ) -> list[list[tirx.Expr]]:
        """Of some pixels across the sums of neighbouring outputs along, which see words from the first of `seen` on."""
        code, across, pairs = self.code, self.plane.across, len(self.plane.along.pairs)
        if named is not None:
            sums, pixels = list(starts), range(len(starts))
            for place in range((len(starts) - 1) * across.step + (across.taps - 1) * across.apart + 1):
                users = [
                    (p, t) for p in pixels for t in range(across.taps) if p * across.step + t * across.apart == place
                ]
                words = self._words(seen, place, len(starts[0])) if users else {}
                for p, t in users:
                    sums[p] = self._add(sums[p], words, named[t * pairs : (t + 1) * pairs])
            return sums
        kept = code.array("sums", len(starts[0]), "int32", "local")
        for i, start in enumerate(starts[0]):
            code.add(store(kept, i, start))
        with code.loop("t", across.taps) as t:
            factors = [load(weights, t * pairs + pair) for pair in range(pairs)]
            words = self._words(seen, t * across.apart, len(starts[0]))
            before = [load(kept, i) for i in range(len(starts[0]))]
            for i, total in enumerate(self._add(before, words, factors)):
                code.add(store(kept, i, total))
        return [[load(kept, i) for i in range(len(starts[0]))]]

    def _words(self, seen: tirx.Buffer, place: Offset, outputs: int) -> dict[int, tirx.Expr]:
        """What neighbouring outputs see at one place across."""
        along = self.plane.along
        words = sorted({product.word for output in range(outputs) for product in along.products(output)})
        return {word: self.code.let("a", load(seen, place * along.words + word)) for word in words}

    def _add(
        self, sums: Sequence[tirx.Expr], words: Mapping[int, tirx.Expr], factors: Sequence[tirx.Expr]
    ) -> list[tirx.Expr]:
        """Neighbouring outputs with the products of one place across."""
        totals = []
        for output, total in enumerate(sums):
            for product in self.plane.along.products(output):
                a, w = words[product.word], factors[product.pair]
                if product.halves is None:
                    total = multiply_pairs(total, a, w)
                else:
                    total = multiply_halves(total, a, product.halves[0], w, product.halves[1])
                total = self.code.let("s", total)
            totals.append(total)
        return totals
