"""int8 depthwise convolution for Helium: 16 channels at a time, products of several taps summed in 16 bits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tvm import tirx
from tvm.ir import TensorLoad
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import Place, Rows, offset_of
from edgetvm.schedule.rules.dot_epilogue import Narrowed, Requantized, as_narrowed, as_requantized, is_start_value
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.helium_blocks import WIDTHS, Blocks, LaneOrder, TapBlocks, blocks_of
from edgetvm.schedule.rules.helium_epilogue import FourCodes, makes_codes
from edgetvm.schedule.rules.helium_instructions import (
    WORD_SHIFT,
    WORDS,
    add_saturating,
    even_and_odd,
    multiply_every_other,
    narrow_half,
    requantize_half,
)
from edgetvm.schedule.rules.neon_strip import Strip, strip_of
from edgetvm.schedule.rules.packed_weights import position_of, rewritten
from edgetvm.schedule.rules.tap_groups import tap_groups, tap_sizes
from edgetvm.schedule.rules.word_epilogue import has_word_epilogue
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, store
from edgetvm.schedule.types import Answer, Constants, Loops, Packing


def helium_depthwise(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of a depthwise convolution of int8 by constant int8 weights; None where there is no Helium.

    Its result are codes of 8 bits, by a requantization by constants or by that and other codes.
    """
    if not machine.helium:
        return None
    kernel = dot_kernel(sch, list(constants), depthwise=True)
    blocks = blocks_of(kernel.channels) if kernel else None
    if kernel is None or blocks is None or not makes_codes(kernel) or not has_word_epilogue(sch, kernel, constants):
        return None
    read = [place.buffer for _, place in kernel.operands if any(place.rows)]
    if read and kernel.channels % blocks.width:
        return None  # a result may lie where these codes were, and blocks that overlap would read it
    func = sch.mod["main"]
    own = [place.buffer for _, place in kernel.operands if not any(place.rows)]
    packing: dict[int, Packing] = {}
    packed: dict[tirx.Buffer, tirx.Buffer] = {}
    for position, param in enumerate(func.params):
        layout: Packing | None = None
        if param.same_as(kernel.w):
            layout = TapBlocks(blocks)
        elif any(param.same_as(buffer) for buffer in own) and _is_single(param):
            packed[param] = param
        elif any(param.same_as(buffer) for buffer in own):
            layout = LaneOrder(blocks)
        if layout is not None:
            if position not in constants:
                return None
            packing[position] = layout
            shape = layout.pack(constants[position][0]).shape
            packed[param] = tirx.decl_buffer(shape, str(param.dtype), name=param.name)
    code = Code()
    rows = Rows(code)
    for buffer in (kernel.x.buffer, kernel.out.buffer, *read, *packed.values()):
        rows.add(buffer)
    position = position_of(kernel, func)
    groups = tuple(tap_groups(tap_sizes(constants[position]), range(math.prod(kernel.taps))))
    strip = strip_of(kernel, machine, odd=False)
    HeliumDepthwiseWriter(kernel, code, rows, strip, blocks, groups, epilogue_of(kernel), packed).write()
    params = {at: packed[param] for at, param in enumerate(func.params) if param in packed}
    return Loops(rewritten(func, params, code, aliased=True), packing)


@dataclass(frozen=True)
class Epilogue:
    """The codes that are made of a sum, which starts from `bias`."""

    narrowed: Narrowed
    requantized: Requantized
    bias: TensorLoad | None


def epilogue_of(kernel: DotKernel) -> Epilogue | None:
    """What the kernel's value is, if it is such codes, made by numbers and by constants of each channel or of all."""
    narrowed = as_narrowed(kernel.value)
    requantized = as_requantized(narrowed.value) if narrowed else None
    if narrowed is None or requantized is None:
        return None
    acc, shift = requantized.acc, requantized.shift
    bias = is_start_value(acc, kernel.acc)
    alone = isinstance(acc, TensorLoad) and acc.source.same_as(kernel.acc)
    if (bias is None and not alone) or (isinstance(shift, int) and shift <= WORD_SHIFT):
        return None
    if not all(isinstance(part, int | TensorLoad) for part in (requantized.multiplier, shift)):
        return None
    whole = all(
        _is_single(place.buffer) or (place.channel == 1 and not place.base and not any(place.rows))
        for _, place in kernel.operands
    )
    return Epilogue(narrowed, requantized, bias) if whole else None


def _is_single(buffer: tirx.Buffer) -> bool:
    """Whether it has one element, which all channels share."""
    return all(int(extent) == 1 for extent in buffer.shape)


@dataclass(frozen=True)
class HeliumDepthwiseWriter:
    """Writes the loops: strips of rows, blocks of channels, rows, pixels.

    `groups` are taps whose products may be summed in 16 bits, `packed` the constants as they are laid out. `epilogue`
    have kernels that do no more than to requantize.
    """

    kernel: DotKernel
    code: Code
    rows: Rows
    strip: Strip
    blocks: Blocks
    groups: tuple[tuple[int, ...], ...]
    epilogue: Epilogue | None
    packed: dict[tirx.Buffer, tirx.Buffer]

    def write(self) -> None:
        """All of it."""
        code, kernel, width, starts = self.code, self.kernel, self.blocks.width, self.blocks.starts
        for b, y0, height, x, at in self.strip.walk(code, self.rows.of(kernel.x.buffer)):
            with code.loop("block", len(starts)) as block:
                channel: Offset = block * width
                if starts[-1] % width and not isinstance(block, int):
                    channel = tirx.min(channel, tirx.const(starts[-1], "int32"))
                with code.loop("y", height) as y, code.loop("z", kernel.extents[2]) as z:
                    origin = at + y * kernel.x.rows[1] + z * kernel.x.rows[2] + channel
                    sums, place = self._sums(x, origin, block), (b, y0 + y, z)
                    if self.epilogue is None:
                        self._write_apart(sums, block, place, channel)
                        continue
                    codes, at_out = (
                        self._codes(self.epilogue, sums, block),
                        offset_of(kernel.out, place, channel),
                    )
                    code.add(store(self.rows.of(kernel.out.buffer), at_out, codes))

    def _constants(self, operand: TensorLoad | int, block: Offset, sums: int) -> tirx.Expr:
        """Those of one vector of sums."""
        if isinstance(operand, int):
            return constant(operand, "int32", WORDS)
        if _is_single(operand.source):
            return self.code.let("o", tirx.Broadcast(load(self.rows.of(operand.source), 0), WORDS))
        width = self.blocks.width
        own = self.code.view("op", self.rows.of(self.packed[operand.source]), block * width, width)
        return self.code.let("o", load(own, WORDS * sums, WORDS))

    def _sums(self, x: tirx.Buffer, origin: Offset, block: Offset) -> list[tirx.Expr]:
        """The sums of one pixel, whose window begins at `origin`."""
        code, kernel, width = self.code, self.kernel, self.blocks.width
        bias = self.epilogue.bias if self.epilogue else None
        sums = [self._constants(0 if bias is None else bias, block, n) for n in range(width // WORDS)]
        taps = kernel.taps[0] * kernel.taps[1]
        weights = code.view("wp", self.rows.of(self.packed[kernel.w]), block * (taps * width), taps * width)
        at = code.view("xp", x, origin, 1)
        for group in self.groups:
            totals: list[tirx.Expr] = []
            for tap in group:
                i, j = divmod(tap, kernel.taps[1])
                a = load(at, i * kernel.steps[0] + j * kernel.steps[1], width)
                own = self._products(a, load(weights, tap * width, width))
                totals = [a + b for a, b in zip(totals, own, strict=True)] if totals else own
            for n, total in enumerate(totals):
                for half, words in enumerate(even_and_odd(code.let("t", total))):
                    sums[2 * n + half] = code.let("s", sums[2 * n + half] + words)
        return sums

    def _products(self, a: tirx.Expr, w: tirx.Expr) -> list[tirx.Expr]:
        """Of one tap, in vectors of eight."""
        if self.blocks.width == WIDTHS[0]:
            a, w = self.code.let("a", a), self.code.let("w", w)
            return [multiply_every_other(a, w, odd) for odd in (False, True)]
        return [tirx.Cast("int16x8", a) * tirx.Cast("int16x8", w)]

    def _write_apart(self, sums: list[tirx.Expr], block: Offset, place: Place, channel: Offset) -> None:
        """The codes of a block, vector by vector of its sums."""
        for n, (total, channels) in enumerate(zip(sums, self.blocks.order, strict=True)):
            lanes = {
                wanted.source: self._constants(wanted, block, n)
                for wanted, at in self.kernel.operands
                if not any(at.rows)
            }
            places = tuple((0, own) for own in channels)
            FourCodes(self.code, self.kernel, self.rows, places).write(total, lanes, place, channel)

    def _codes(self, epilogue: Epilogue, sums: list[tirx.Expr], block: Offset) -> tirx.Expr:
        """The codes of a block in the order of its channels."""
        narrowed, requantized = epilogue.narrowed, epilogue.requantized
        halves: list[tirx.Expr] = []
        for n, total in enumerate(sums):
            multiplier, shift = self._constants(requantized.multiplier, block, n), requantized.shift
            places = shift if isinstance(shift, int) else self._constants(shift, block, n)
            lower = halves.pop() if n % 2 else None
            halves.append(self.code.let("r", requantize_half(total, multiplier, places, lower)))
        if narrowed.zero:
            halves = [add_saturating(half, constant(narrowed.zero, "int16", 8)) for half in halves]
        result, dtype = halves[0], "int16"
        if len(halves) == 2:
            result, dtype = narrow_half(halves[1], narrow_half(halves[0])), "int8"
        if len(halves) == 1 or narrowed.low > -128:
            result = tirx.max(result, constant(narrowed.low, dtype, self.blocks.width))
        if len(halves) == 1 or narrowed.high < 127:
            result = tirx.min(result, constant(narrowed.high, dtype, self.blocks.width))
        return tirx.Cast(f"int8x{self.blocks.width}", result)
