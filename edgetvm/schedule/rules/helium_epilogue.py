"""int8 codes of four sums at a time on Helium: the sums are in general registers, their codes are made in a vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad

from edgetvm.schedule.rules.channel_epilogue import Kept, Place, Rows, offset_of
from edgetvm.schedule.rules.dot_epilogue import as_requantized
from edgetvm.schedule.rules.dot_kernel import Access, DotKernel
from edgetvm.schedule.rules.helium_instructions import WORD_SHIFT, WORDS, gather_bytes, scatter_bytes
from edgetvm.schedule.rules.lift_epilogue import Lift
from edgetvm.schedule.rules.write_code import Code, Offset, load, number, shuffle, store, vector_type

Lanes: TypeAlias = dict[tirx.Buffer, tirx.Expr]  # a vector of each constant that an epilogue reads


@dataclass(frozen=True)
class FourCodes:
    """Writes the codes of four sums; `places` are the pixel and the channel of each, counted from the first."""

    code: Code
    kernel: DotKernel
    rows: Rows
    places: tuple[tuple[int, int], ...]

    def lanes(self, constants: Kept) -> Lanes:
        """The constants of the channels, each as a vector in the order of the sums."""
        return {
            wanted.source: self.vector([constants[at.buffer, at.base, channel, 1] for _, channel in self.places])
            for wanted, at in self.kernel.operands
            if not any(at.rows)
        }

    def write(self, total: tirx.Expr, lanes: Lanes, place: Place, first: Offset) -> None:
        """The sums of pixels from `place` on, of channels from `first` on, before anything is added to them."""

        def find(value: tirx.Expr) -> tirx.Expr | None:
            if isinstance(value, tirx.Cast) and isinstance(value.value, TensorLoad) and is_code(value.value):
                return self._read(value.value, place, first)
            if not isinstance(value, TensorLoad):
                return None
            if is_code(value):
                return tirx.Cast(vector_type("int8", WORDS), self._read(value, place, first))
            return total if value.source.same_as(self.kernel.acc) else lanes[value.source]

        codes = Lift(self.code, WORDS, find, neon=None, helium=True)(self.kernel.value)
        assert isinstance(codes, tirx.Cast)
        out, row = self.kernel.out, self.rows.of(self.kernel.out.buffer)
        at = offset_of(out, place, first)
        if self._is_run(out):
            self.code.add(store(row, at, codes))
        else:
            self.code.add(scatter_bytes(row, at, self._offsets(out), codes.value))

    def _read(self, wanted: TensorLoad, place: Place, first: Offset) -> tirx.Expr:
        """Four codes as int32."""
        access = next(access for known, access in self.kernel.operands if known.same_as(wanted))
        row, at = self.rows.of(access.buffer), offset_of(access, place, first)
        if self._is_run(access):
            return self.code.let("c", tirx.Cast(vector_type("int32", WORDS), load(row, at, WORDS)))
        return self.code.let("c", gather_bytes(row, at, self._offsets(access)))

    def _is_run(self, access: Access) -> bool:
        """Whether the four lie behind one another."""
        return access.channel == 1 and self.places == tuple((0, channel) for channel in range(WORDS))

    def _offsets(self, access: Access) -> tirx.Expr:
        """By how many elements the four are behind the first."""
        elements = [pixel * access.rows[2] + channel * access.channel for pixel, channel in self.places]
        return self.vector([number(element) for element in elements])

    def vector(self, elements: Sequence[tirx.Expr]) -> tirx.Expr:
        """Four numbers as one vector."""
        return self.code.let("l", shuffle(list(elements), list(range(WORDS))))


def makes_codes(kernel: DotKernel) -> bool:
    """Whether the kernel's value are such codes, made of its sums, of constants and of other codes at their places."""
    if str(kernel.out.buffer.dtype) != "int8" or not isinstance(kernel.value, tirx.Cast):
        return False
    if not all(is_code(wanted) == any(access.rows) for wanted, access in kernel.operands):
        return False
    shifts: list[tirx.Expr | int] = []

    def visit(cast: tirx.Cast) -> None:
        requantized = as_requantized(cast)
        if requantized is not None:
            shifts.append(requantized.shift)

    tvm_ffi.structural_walk(kernel.value, (tirx.Cast, visit))
    return not any(isinstance(shift, int) and shift <= WORD_SHIFT for shift in shifts)


def is_code(wanted: TensorLoad) -> bool:
    """Whether it is the element of a tensor of codes."""
    return str(wanted.ty.dtype) == "int8"
