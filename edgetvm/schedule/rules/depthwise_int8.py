"""int8 depthwise convolution: channels along the vector, rows of pixels, products summed in 16 bits while they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Rows, rows_of
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.neon_products import MOST_IN_16_BITS
from edgetvm.schedule.rules.neon_strip import Strip, strip_of
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, shuffle
from edgetvm.schedule.types import Answer, Constants, Loops

BLOCK = 16  # channels of a panel of weights
HALF = 8


def depthwise_int8(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of a depthwise convolution of int8 by constant int8 weights."""
    if not machine.neon:
        return None
    kernel = dot_kernel(sch, list(constants), depthwise=True)
    if kernel is None or not can_lift(kernel.value):
        return None
    func = sch.mod["main"]
    position = next(i for i, param in enumerate(func.params) if param.same_as(kernel.w))
    panels = Panels(BLOCK)
    shape = panels.pack(np.zeros([int(size) for size in kernel.w.shape], np.int8)).shape
    packed = tirx.decl_buffer(shape, "int8", name=kernel.w.name)
    code = Code()
    rows = rows_of(code, kernel, packed)
    neon = Neon(machine.neon)
    epilogue = ChannelEpilogue(code, kernel, rows, (16, 8, 4, 1), neon)
    strip = strip_of(kernel, machine, kernel.channels % HALF != 0)
    pixels = pixels_at_a_time(kernel.extents[2], kernel.taps[0] * kernel.taps[1], machine)
    groups = tap_groups(constants[position])
    DepthwiseWriter(kernel, code, rows, epilogue, neon, strip, groups, pixels, packed).write()
    params = [packed if i == position else param for i, param in enumerate(func.params)]
    written = tirx.PrimFunc(params, code.statement(), func.ret_type, func.attrs)
    return Loops(written, {position: panels})


def tap_groups(weights: Sequence[np.ndarray]) -> list[list[int]]:
    """Taps whose products may be summed in 16 bits, for any activation: first fit in the order of the taps."""
    sizes = np.concatenate([np.abs(array.astype(np.int64)).reshape(-1, array.shape[-1]) for array in weights], 1)
    groups: list[list[int]] = []
    totals: list[np.ndarray] = []
    for tap, size in enumerate(sizes):
        fitting = (i for i, total in enumerate(totals) if (total + size).max() <= MOST_IN_16_BITS)
        found = next(fitting, None)
        if found is None:
            groups.append([tap])
            totals.append(size)
        else:
            groups[found].append(tap)
            totals[found] = totals[found] + size
    return groups


def pixels_at_a_time(width: int, taps: int, machine: Machine) -> int:
    """Pixels of a row that one body computes, which share loads: a divisor of the row if there is one."""
    most = max(machine.recipe.unrolled_operations // (4 * taps), 1)
    fitting = range(1, min(most, width) + 1)
    return max(fitting, key=lambda count: (min(count, 2), width % count == 0, count))


@dataclass(frozen=True)
class DepthwiseWriter:
    """Writes the loops: strips of rows, blocks of channels, rows, pixels."""

    kernel: DotKernel
    code: Code
    rows: Rows
    epilogue: ChannelEpilogue
    neon: Neon
    strip: Strip
    groups: list[list[int]]
    pixels: int
    packed: tirx.Buffer

    def write(self) -> None:
        """All of it."""
        code, kernel = self.code, self.kernel
        whole, rest = divmod(kernel.channels, BLOCK)
        with code.loop("b", kernel.extents[0]) as b:
            for count, height, first in self.strip.pieces:
                with code.loop("strip", count) as number:
                    y0 = first + number * self.strip.height
                    x, at = self.strip.write(code, self.rows.of(kernel.x.buffer), b, y0, height)
                    if whole:
                        with code.loop("block", whole) as block:
                            self._rows(x, at, (b, y0), height, block, 0, BLOCK)
                    for start in range(0, rest, HALF):
                        self._rows(x, at, (b, y0), height, whole, start, min(rest - start, HALF))

    def _rows(
        self,
        x: tirx.Buffer,
        at: Offset,
        origin: tuple[Offset, Offset],
        height: int,
        block: Offset,
        start: int,
        outputs: int,
    ) -> None:
        code = self.code
        width = self.kernel.extents[2]
        with code.loop("y", height) as y:
            row = at + y * self.kernel.x.rows[1] + block * BLOCK + start
            place = (origin[0], origin[1] + y)
            whole, rest = divmod(width, self.pixels)
            if whole:
                with code.loop("z", whole) as z:
                    self._pixels(x, row, (*place, z * self.pixels), self.pixels, block, start, outputs)
            if rest:
                self._pixels(x, row, (*place, whole * self.pixels), rest, block, start, outputs)

    def _pixels(
        self,
        x: tirx.Buffer,
        row: Offset,
        place: tuple[Offset, Offset, Offset],
        count: int,
        block: Offset,
        start: int,
        outputs: int,
    ) -> None:
        code, kernel = self.code, self.kernel
        lanes = BLOCK if outputs == BLOCK else HALF
        (_, width), (step_i, step_j) = kernel.taps, kernel.steps
        step = kernel.x.rows[2]
        taps = kernel.taps[0] * width
        reach = (count - 1) * step + (kernel.taps[0] - 1) * step_i + (width - 1) * step_j + lanes
        xp = code.view("xp", x, row + place[2] * step, reach)
        wp = code.view("wp", self.rows.of(self.packed), block * (taps * BLOCK) + start, taps * BLOCK - start)
        weights = [code.let("w", load(wp, tap * BLOCK, lanes)) for tap in range(taps)]
        channel = block * BLOCK + start
        biased = outputs >= HALF and self.epilogue.bias is not None
        seen: dict[int, tirx.Expr] = {}
        for p in range(count):
            for tap in range(taps):
                at = p * step + tap // width * step_i + tap % width * step_j
                if at not in seen:
                    seen[at] = code.let("a", load(xp, at, lanes))
        vectors = lanes // 4
        zero = constant(0, "int32", 4)
        for p in range(count):
            sums = self.epilogue.load_bias(channel, vectors, 4) if biased else [zero] * vectors
            for group in self.groups:
                for half in range(lanes // HALF):
                    total: tirx.Expr | None = None
                    for tap in group:
                        at = p * step + tap // width * step_i + tap % width * step_j
                        pair = (_half(seen[at], half, lanes), _half(weights[tap], half, lanes))
                        product = self.neon.multiply(*pair)
                        total = product if total is None else total + product
                    assert total is not None
                    words = code.let("t", total)
                    for quarter in range(2):
                        part = shuffle([words], list(range(4 * quarter, 4 * quarter + 4)))
                        i = half * 2 + quarter
                        sums[i] = code.let("s", sums[i] + tirx.Cast("int32x4", part))

            def chosen(first: int, wanted: int, sums: list[tirx.Expr] = sums) -> tirx.Expr:
                return pick(sums, first, wanted)

            self.epilogue.write(chosen, (place[0], place[1], place[2] + p), channel, outputs, biased)


def pick(sums: list[tirx.Expr], first: int, lanes: int) -> tirx.Expr:
    """Sums `first` to `first + lanes` of vectors of four."""
    if lanes == 1:
        return tirx.Shuffle([sums[first // 4]], [tirx.const(first % 4, "int32")])
    chosen = sums[first // 4 : (first + lanes) // 4]
    return chosen[0] if len(chosen) == 1 else shuffle(chosen, list(range(lanes)))


def _half(vector: tirx.Expr, half: int, lanes: int) -> tirx.Expr:
    return vector if lanes == HALF else shuffle([vector], list(range(HALF * half, HALF * half + HALF)))
