"""int8 depthwise convolution: channels along the vector, rows of pixels, no test of borders in the loops."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Rows, rows_of
from edgetvm.schedule.rules.depthwise_products import depthwise_products
from edgetvm.schedule.rules.depthwise_seen import Seen
from edgetvm.schedule.rules.depthwise_tiles import DepthwisePlan, Part, parts_of, plan_depthwise
from edgetvm.schedule.rules.depthwise_window import Run
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.packed_weights import packed_weights, position_of, rewritten
from edgetvm.schedule.rules.write_code import Code, Offset, constant, piece
from edgetvm.schedule.types import Answer, Constants, Loops


def depthwise_int8(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of a depthwise convolution of int8 by constant int8 weights."""
    kernel = dot_kernel(sch, list(constants), depthwise=True)
    if kernel is None or not can_lift(kernel.value):
        return None
    func = sch.mod["main"]
    position = position_of(kernel, func)
    forms = depthwise_products(machine, constants[position])
    if not forms:
        return None
    plan = plan_depthwise(kernel, forms, machine)
    products = plan.products
    packed = packed_weights(kernel, products.packing)
    code = Code()
    rows = rows_of(code, kernel, packed)
    neon = Neon(machine.neon) if machine.neon else None
    widths = (16, 8, 4, 1) if neon else tuple(w for w in (16, 8, 4, 1) if w <= products.lanes(products.block))
    epilogue = ChannelEpilogue(code, kernel, rows, widths, neon)
    DepthwiseWriter(kernel, code, rows, epilogue, plan, packed).write()
    return Loops(rewritten(func, {position: packed}, code), {position: products.packing}, tiles=plan.tiles)


@dataclass(frozen=True)
class DepthwiseWriter:
    """Writes the loops: strips of rows, blocks of channels, rows, pixels."""

    kernel: DotKernel
    code: Code
    rows: Rows
    epilogue: ChannelEpilogue
    plan: DepthwisePlan
    packed: tirx.Buffer

    def write(self) -> None:
        """All of it."""
        code, kernel, plan = self.code, self.kernel, self.plan
        with code.loop("b", kernel.extents[0]) as b:
            for count, height, first in plan.strip.pieces:
                with code.loop("strip", count) as number:
                    y0 = first + number * plan.strip.height
                    x, at = self.rows.of(kernel.x.buffer), plan.lines.base + b * plan.lines.image
                    if plan.strip.copied:
                        x, at = plan.strip.write(code, x, b, y0, height)
                    if plan.by_rows:
                        for run in plan.rows(height):
                            with code.loop("y", run.repeats, plan.shared) as y:
                                for block, part in self._channels():
                                    self._row(x, at, (b, y0, run.first + y), run, block, part)
                        continue
                    for block, part in self._channels(plan.shared):
                        for run in plan.rows(height):
                            with code.loop("y", run.repeats) as y:
                                self._row(x, at, (b, y0, run.first + y), run, block, part)

    def _channels(self, shared: bool = False) -> Iterator[tuple[Offset, Part]]:
        """Loops over blocks of channels and over parts of what is left."""
        products = self.plan.products
        whole, rest = divmod(self.kernel.channels, products.block)
        if whole:
            with self.code.loop("block", whole, shared) as block:
                yield block, Part(0, products.block, products.block)
        for part in parts_of(rest, products):
            yield whole, part

    def _row(
        self,
        x: tirx.Buffer,
        at: Offset,
        place: tuple[Offset, Offset, Offset],
        run: Run,
        block: Offset,
        part: Part,
    ) -> None:
        """One row of some channels; `place` is its image, the first row of its strip and its number there."""
        code, plan, products, epilogue = self.code, self.plan, self.plan.products, self.epilogue
        rows, columns = plan.lines.rows, plan.lines.columns
        wide, channel = part.wide, block * products.block + part.start
        size = math.prod(int(extent) for extent in self.packed.shape[1:])
        start = part.start * products.channel_bytes
        wp = code.view("wp", self.rows.of(self.packed), block * size + start, size - start)
        weights = products.weights(code, wp, self.kernel.taps, wide)
        biased = part.count == wide and epilogue.bias is not None
        lanes, vectors = products.lanes(wide), products.vectors(wide)
        bias: list[tirx.Expr] = [constant(0, "int32", lanes)] * vectors
        if biased:
            bias = epilogue.load_bias(channel, vectors, lanes)
        fill = self.kernel.border.fill if self.kernel.border else 0
        starts: dict[tuple[int, ...], list[tirx.Expr]] = {}
        first = at + (rows.first + place[2] * rows.step) * rows.pitch + channel
        for pixels in plan.columns:
            views = self._outside(run, pixels)
            for outside in views:
                if outside not in starts:
                    starts[outside] = products.start(code, weights, bias, outside, fill)
            with code.loop("z", pixels.repeats) as z:
                pixel = pixels.first + z * pixels.count
                origin = first + (columns.first + pixel * columns.step) * columns.pitch
                sums = [list(starts[outside]) for outside in views]
                products.write(code, self._seen(x, origin, run, pixels, part.count, wide), weights, sums)
                for p, total in enumerate(sums):

                    def chosen(first: int, lanes: int, total: list[tirx.Expr] = total) -> tirx.Expr:
                        return piece(total, first, lanes)

                    there = (place[0], place[1] + place[2], pixel + p)
                    epilogue.write(chosen, there, channel, part.count, biased)

    def _outside(self, line: Run, pixels: Run) -> list[tuple[int, ...]]:
        """The taps of each of some pixels that are outside of the image."""
        (_, j), columns = self.kernel.taps, self.plan.lines.columns
        apart = self.plan.lines.rows.apart
        return [
            tuple(
                tap
                for tap in range(math.prod(self.kernel.taps))
                if tap // j * apart not in line.seen or p * columns.step + tap % j * columns.apart not in pixels.seen
            )
            for p in range(pixels.count)
        ]

    def _seen(self, x: tirx.Buffer, origin: Offset, line: Run, pixels: Run, count: int, wide: int) -> Seen:
        """What some pixels see. `origin` is where the first one's window begins, perhaps outside of the image."""
        rows, columns = self.plan.lines.rows, self.plan.lines.columns
        inside = {(i, j): i * rows.pitch + j * columns.pitch for i in line.seen for j in pixels.seen}
        nearest = min(inside.values(), default=0)
        return Seen(
            self.code,
            self.code.view("xp", x, origin + nearest, max(inside.values(), default=0) - nearest + wide),
            {at: offset - nearest for at, offset in inside.items()},
            tuple(i * rows.apart for i in range(rows.taps)),
            tuple(
                tuple(p * columns.step + j * columns.apart for j in range(columns.taps)) for p in range(pixels.count)
            ),
            count,
            wide,
            self.kernel.border.fill if self.kernel.border else 0,
        )
