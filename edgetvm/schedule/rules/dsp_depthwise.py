"""int8 depthwise convolution by Arm's DSP instructions: one channel at a time, from a plane of pairs of places.

A channel of the image is copied with its border into words of two neighbouring rows (or columns, where that takes fewer
multiplications). Where windows are an odd number of rows apart, two outputs below one another use the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Rows, rows_of
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.dsp_instructions import multiply_halves, multiply_pairs
from edgetvm.schedule.rules.dsp_plane import Plane, plane_of
from edgetvm.schedule.rules.paired_line import PAIR, TapWords
from edgetvm.schedule.rules.word_epilogue import has_word_epilogue
from edgetvm.schedule.rules.write_code import Code, Offset, load, number, store
from edgetvm.schedule.types import Answer, Constants, Loops

MOST_WEIGHTS = 32  # words of weights that a kernel names at once: more would fill the stack


def dsp_depthwise(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of a depthwise convolution of int8 by constant int8 weights; None where there is no DSP."""
    if not machine.dsp or machine.helium:
        return None
    kernel = dot_kernel(sch, list(constants), depthwise=True)
    if kernel is None or not has_word_epilogue(sch, kernel, constants):
        return None
    plane = plane_of(kernel)
    if plane is None:
        return None
    func = sch.mod["main"]
    position = next(i for i, param in enumerate(func.params) if param.same_as(kernel.w))
    packing = TapWords(plane.axis, plane.along.pairs)
    shape = packing.pack(np.zeros([int(size) for size in kernel.w.shape], np.int8)).shape
    packed = tirx.decl_buffer(shape, "int32", name=kernel.w.name)
    code = Code()
    DepthwiseWriter(kernel, code, rows_of(code, kernel, packed), plane, packed).write()
    params = [packed if i == position else param for i, param in enumerate(func.params)]
    written = tirx.PrimFunc(params, code.statement(), func.ret_type, func.attrs)
    return Loops(written, {position: packing}, _overwritten(kernel, func))


def _overwritten(kernel: DotKernel, func: tirx.PrimFunc) -> tuple[int, ...]:
    """The image, if its shape is the output's: the plane is a copy of all that lies under outputs of its channel."""
    x, out = kernel.x.buffer, kernel.out.buffer
    facts = [(str(b.dtype), *map(int, b.shape), access.channel) for b, access in ((x, kernel.x), (out, kernel.out))]
    return tuple(i for i, param in enumerate(func.params) if param.same_as(x)) if facts[0] == facts[1] else ()


@dataclass(frozen=True)
class DepthwiseWriter:
    """Writes the loops: images, channels, of each the plane and then its outputs."""

    kernel: DotKernel
    code: Code
    rows: Rows
    plane: Plane
    packed: tirx.Buffer

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
        epilogue = ChannelEpilogue(code, self.kernel, self.rows, (1,), None, self._constants(c), words=True)
        start = epilogue.load_bias(c, 1, 1)[0] if epilogue.bias is not None else number(0)
        size = plane.across.taps * len(along.pairs)
        weights = code.view("wp", self.rows.of(self.packed), c * size, size)
        named = [code.let("w", load(weights, i)) for i in range(size)] if size <= MOST_WEIGHTS else None
        whole, rest = divmod(along.outputs, along.together)
        with code.loop("z", plane.outputs) as z:
            for first, repeats, outputs in (0, whole, along.together), (whole, 1, rest):
                if not repeats * outputs:
                    continue
                with code.loop("y", repeats) as y:
                    step = first + y
                    place = z * (plane.across.step * along.words) + step * (along.together * along.line.step // PAIR)
                    seen = code.view("rp", words, place, 1)
                    for n, total in enumerate(self._sums(seen, weights, named, [start] * outputs)):
                        output = step * along.together + n
                        pixel = (output, z) if plane.axis == 0 else (z, output)
                        epilogue.write(lambda *_, total=total: total, (b, *pixel), c, 1, epilogue.bias is not None)

    def _constants(self, c: Offset) -> dict[tuple[tirx.Buffer, int, int, int], tirx.Expr]:
        """What the epilogue reads of a channel, whatever the place: loaded once."""
        return {
            (at.buffer, at.base, 0, 1): self.code.let("o", load(self.rows.of(at.buffer), at.base + c * at.channel))
            for _, at in self.kernel.operands
            if not any(at.rows)
        }

    def _sums(
        self, seen: tirx.Buffer, weights: tirx.Buffer, named: Sequence[tirx.Expr] | None, starts: list[tirx.Expr]
    ) -> list[tirx.Expr]:
        """The sums of neighbouring outputs along the axis, which see words from the first of `seen` on."""
        code, columns, pairs = self.code, self.plane.across.taps, len(self.plane.along.pairs)
        if named is not None:
            sums = starts
            for column in range(columns):
                sums = self._column(seen, column, named[column * pairs : (column + 1) * pairs], sums)
            return sums
        kept = code.array("sums", len(starts), "int32", "local")
        for i, start in enumerate(starts):
            code.add(store(kept, i, start))
        with code.loop("t", columns) as t:
            factors = [load(weights, t * pairs + pair) for pair in range(pairs)]
            for i, total in enumerate(self._column(seen, t, factors, [load(kept, i) for i in range(len(starts))])):
                code.add(store(kept, i, total))
        return [load(kept, i) for i in range(len(starts))]

    def _column(
        self, seen: tirx.Buffer, column: Offset, factors: Sequence[tirx.Expr], sums: Sequence[tirx.Expr]
    ) -> list[tirx.Expr]:
        """Add the products of one place across."""
        code, along, across = self.code, self.plane.along, self.plane.across
        products = [list(along.products(output)) for output in range(len(sums))]
        words = sorted({product.word for own in products for product in own})
        known = {word: code.let("a", load(seen, column * (across.apart * along.words) + word)) for word in words}
        totals = []
        for total, own in zip(sums, products, strict=True):
            for product in own:
                a, w = known[product.word], factors[product.pair]
                if product.halves is None:
                    total = multiply_pairs(total, a, w)
                else:
                    total = multiply_halves(total, a, product.halves[0], w, product.halves[1])
                total = code.let("s", total)
            totals.append(total)
        return totals
