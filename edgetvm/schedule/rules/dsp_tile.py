"""int8 convolution and matrix product on Cortex-M: two products of 16 bits at a time, by DSP instructions or without.

Sums of a tile of pixels by channels stay in registers until the epilogue has used them. Activations are widened to 16
bits once for all channels, in scratch: rows of an image with its border, or the pixels of a tile. Weights are widened
as they are loaded, unless the recipe has them widened at compile time; those that fit 4 bits are held so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.byte_constants import byte_constants
from edgetvm.schedule.rules.channel_epilogue import Place, Rows, offset_of, rows_of
from edgetvm.schedule.rules.dot_kernel import dot_kernel
from edgetvm.schedule.rules.dsp_choice import plan_of
from edgetvm.schedule.rules.dsp_copy import Copy
from edgetvm.schedule.rules.dsp_nibbles import have_room, mask_of_nibbles
from edgetvm.schedule.rules.dsp_plan import DspPlan
from edgetvm.schedule.rules.dsp_sums import Reading, TileWriter
from edgetvm.schedule.rules.nibbles import NIBBLE, are_nibbles
from edgetvm.schedule.rules.packed_weights import packed_weights, position_of, rewritten
from edgetvm.schedule.rules.pair_arithmetic import PairArithmetic, pair_arithmetic
from edgetvm.schedule.rules.word_epilogue import has_word_epilogue
from edgetvm.schedule.rules.write_code import Code, Offset
from edgetvm.schedule.types import Constants, Loops


def dsp_tile(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of one such kernel; None where the machine or the kernel is another."""
    return write_pairs(sch, machine, constants) if machine.dsp else None


def write_pairs(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """The same on any machine with `pair_arithmetic`."""
    kernel = dot_kernel(sch, tuple(constants))
    if kernel is None or not has_word_epilogue(sch, kernel, constants):
        return None
    func = sch.mod["main"]
    position = position_of(kernel, func)
    kernel, narrowed, as_bytes = byte_constants(kernel, func.params, constants)
    weights = constants[position]
    narrow = machine.dsp and not machine.recipe.wide_percent and are_nibbles(weights) and have_room(weights)
    plan = plan_of(kernel, machine, narrow)
    if plan is None:
        return None
    packed = packed_weights(kernel, plan.packing, "int32")
    code = Code()
    rows = rows_of(code, kernel, packed)
    mask = code.let("mask", mask_of_nibbles()) if plan.bits == NIBBLE else None
    DspWriter(code, plan, pair_arithmetic(machine, code, rows.of(packed)), rows, packed, mask).write()
    written = rewritten(func, {**narrowed, position: packed}, code, aliased=True)
    return Loops(written, {**as_bytes, position: plan.packing}, tiles=plan.tiles)


@dataclass(frozen=True)
class DspWriter:
    """Writes one kernel: copies, in each panels of channels, in these tiles. `mask` is that of nibbles."""

    code: Code
    plan: DspPlan
    arithmetic: PairArithmetic
    rows: Rows
    packed: tirx.Buffer
    mask: tirx.Expr | None

    def write(self) -> None:
        """The whole function."""
        code, plan, words = self.code, self.plan, self.plan.words
        images, height, _ = plan.kernel.extents
        source = self.rows.of(plan.kernel.x.buffer)
        scratch = code.array("words", words.words, "int32", "global") if words.copied else source
        copy = Copy(code, self.arithmetic, plan.kernel, words, source, scratch)
        if words.copied:
            copy.prepare()
        with code.loop("b", images) as b, code.loop("y", height // plan.band) as part:
            first = part * plan.band
            if words.image is not None:
                copy.rows(b, first * words.image.step[0])
                self._band(scratch, b, first)
            elif words.copied:
                self._pixels(copy, b, first)
            else:
                self._band(source, b, first)

    def _band(self, source: tirx.Buffer, b: Offset, first: Offset) -> None:
        """Rows of outputs from `first` on, panel by panel."""
        plan, x = self.plan, self.plan.kernel.x
        words = plan.words

        def panel_of(panel: Offset, channels: int) -> None:
            def tile_of(z: Offset, pixels: int) -> None:
                start = y * words.down + z * words.step if words.copied else offset_of(x, (b, first + y, z), 0)
                self._tile(Reading(source, start), panel, (b, first + y, z), pixels, channels)

            with self.code.loop("row", plan.band) as y:
                in_pieces(self.code, "z", plan.kernel.extents[2], plan.tile.pixels, tile_of)

        self._panels(panel_of)

    def _pixels(self, copy: Copy, b: Offset, y: Offset) -> None:
        """A row of outputs, tile by tile."""
        plan, x = self.plan, self.plan.kernel.x

        def tile_of(z: Offset, pixels: int) -> None:
            copy.pixels(offset_of(x, (b, y, z), 0), x.rows[2], pixels)
            self._panels(
                lambda panel, channels: self._tile(Reading(copy.target, 0), panel, (b, y, z), pixels, channels)
            )

        in_pieces(self.code, "z", plan.kernel.extents[2], plan.tile.pixels, tile_of)

    def _panels(self, write: Callable[[Offset, int], None]) -> None:
        in_pieces(self.code, "o", self.plan.kernel.channels, self.plan.tile.channels, write, by_piece=True)

    def _tile(self, reading: Reading, panel: Offset, place: Place, pixels: int, channels: int) -> None:
        writer = TileWriter(self.code, self.plan, self.arithmetic, self.rows, pixels, channels, self.mask)
        writer.write(reading, panel, self.rows.of(self.packed), place)


def in_pieces(
    code: Code, name: str, extent: int, size: int, write: Callable[[Offset, int], None], by_piece: bool = False
) -> None:
    """`extent` in pieces of `size` and a last one: where each begins, or with `by_piece` its number, and its size."""
    whole, rest = divmod(extent, size)
    unit = 1 if by_piece else size
    if whole:
        with code.loop(name, whole) as at:
            write(at * unit, size)
    if rest:
        write(whole * unit, rest)
